"""Similarity of the networks of a group: of their outputs, decisions and weights.

    cka               CKA of the outputs (landscape/similarity/cka.py); of softmax in classification
    cka_last_token    the same at the last counted token, where tokens are predicted
    agreement         100 * (items with the same predicted class) / n
    weight_distance   |w_a - w_b|, over trainable parameters, without buffers

standard-1   one sample of 1,024 training items, mixed once, each with its own lambda; the same for
             all members, so k members cost k passes over it; debiased; all pairs.
paper-1      different 768 training items for every ordered pair of members, mixed in batches of 128
             with one lambda; biased; all ordered pairs.

Outputs are compared between training items (mixup with Beta(16, 16)), because on the items
themselves networks that fit them are similar.  Stored BatchNorm statistics.

The value is the mean over pairs, its standard error sd / sqrt(pairs).  Pairs that share a member
are not independent, so this underestimates rather than overestimates the error.  For a single pair
it is taken over items: the jackknife for cka, sqrt(p (1-p) / n) for agreement.

Where tokens are predicted, the output of an item is the mean over its counted tokens (in cka), and
an item agrees by the share of them that do.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from mdtree.landscape import (
    MIN_ITEMS,
    ComputeCost,
    Outputs,
    cka,
    cka_stderr,
    derive_seed,
    generator,
    item_means,
    mixed_sample,
    outputs,
    preserved_state,
    trainable_parameters,
)
from mdtree.metrics.base import Metric, MetricInput, MetricResult, Workload, needs_two
from mdtree.models import Weights
from mdtree.rows import Detail, Measured, Missing, Value
from mdtree.tokens import TokenLoss

__all__ = ["SIMILARITY"]

_ITEMS = 1024

_PAPER_BATCH = 128
_PAPER_ITEMS = 6 * _PAPER_BATCH

_QUANTITIES = ("cka", "agreement", "weight_distance")
_OF_TOKENS = ("cka_last_token",)


@dataclass(frozen=True, kw_only=True)
class _Pair:
    """The similarity of two members."""

    a: str
    b: str
    cka: Value
    agreement: Value
    cka_last_token: Value | None = None  # None: items have classes, not tokens


@dataclass(frozen=True, kw_only=True)
class _Compared:
    """All pairs that a protocol measured."""

    pairs: Sequence[_Pair]
    notes: tuple[str, ...] = ()


def compute(metric_input: MetricInput) -> MetricResult:
    """Measure cka, agreement and weight_distance; of tokens also cka_last_token."""
    if len(metric_input.members) == 1:
        of_tokens = _OF_TOKENS if isinstance(metric_input.runner.loss, TokenLoss) else ()
        return needs_two((*_QUANTITIES, *of_tokens), count=1)
    distances = {
        (a, b): _distance(metric_input, a, b)
        for a, b in itertools.combinations(metric_input.members, 2)
    }
    with preserved_state(metric_input.runner, derive_seed(metric_input.seed, "similarity")):
        compared = _PROTOCOLS[metric_input.protocol](metric_input)
    values = {
        "cka": _over_pairs([pair.cka for pair in compared.pairs]),
        "agreement": _over_pairs([pair.agreement for pair in compared.pairs]),
        "weight_distance": _over_pairs(list(distances.values())),
    }
    if last := [pair.cka_last_token for pair in compared.pairs if pair.cka_last_token is not None]:
        values["cka_last_token"] = _over_pairs(last)
    return MetricResult(
        values,
        details={"pairs": _table(compared.pairs, distances)},
        notes=compared.notes,
    )


def cost(work: Workload) -> ComputeCost:
    """Estimate the cost: one forward pass per member, or two per ordered pair."""
    if work.protocol == "paper-1":
        ordered = work.members * (work.members - 1)
        return ComputeCost(forward=2 * ordered * min(work.train_items, _PAPER_ITEMS))
    passes = work.members if work.members > 1 else 0
    return ComputeCost(forward=passes * min(work.train_items, _ITEMS))


def _standard(metric_input: MetricInput) -> _Compared:
    runner = metric_input.runner
    source = generator(metric_input.seed, "similarity items")
    sample, unmixed = mixed_sample(runner, metric_input.data.train, _ITEMS, source)
    member_outputs = {
        name: runner.network.with_weights(weights, partial(outputs, runner, sample))
        for name, weights in metric_input.members.items()
    }
    alone = len(member_outputs) == 2  # noqa: PLR2004 - a pair
    pairs = [
        _pair({a: member_outputs[a], b: member_outputs[b]}, debiased=True, alone=alone)
        for a, b in itertools.combinations(member_outputs, 2)
    ]
    notes = () if unmixed is None else (f"similarity on unmixed training items: {unmixed}",)
    return _Compared(pairs=pairs, notes=notes)


def _paper(metric_input: MetricInput) -> _Compared:
    return _Compared(
        pairs=[
            _paper_pair(metric_input, a, b)
            for a, b in itertools.permutations(metric_input.members, 2)
        ]
    )


def _paper_pair(metric_input: MetricInput, a: str, b: str) -> _Pair:
    runner = metric_input.runner
    source = generator(metric_input.seed, "similarity items", a, b)
    sample, unmixed = mixed_sample(
        runner, metric_input.data.train, _PAPER_ITEMS, source, together=_PAPER_BATCH
    )
    if unmixed is not None:
        missing = Missing(missing=f"paper-1 mixes training items: {unmixed}")
        last = missing if isinstance(runner.loss, TokenLoss) else None
        return _Pair(a=a, b=b, cka=missing, agreement=missing, cka_last_token=last)
    member_outputs = {
        name: runner.network.with_weights(
            metric_input.members[name], partial(outputs, runner, sample)
        )
        for name in (a, b)
    }
    return _pair(member_outputs, debiased=False, alone=False)


_PROTOCOLS: dict[str, Callable[[MetricInput], _Compared]] = {
    "standard-1": _standard,
    "paper-1": _paper,
}


def _pair(member_outputs: dict[str, Outputs], *, debiased: bool, alone: bool) -> _Pair:
    a, b = member_outputs
    compared = partial(_cka, debiased=debiased, alone=alone)
    at_last = {name: replace(output, kernel=output.last) for name, output in member_outputs.items()}
    return _Pair(
        a=a,
        b=b,
        cka=compared(member_outputs),
        agreement=_agreement(member_outputs),
        cka_last_token=None if member_outputs[a].numbers is None else compared(at_last),
    )


def _cka(member_outputs: dict[str, Outputs], *, debiased: bool, alone: bool) -> Value:
    least = MIN_ITEMS if debiased else 2
    for name, output in member_outputs.items():
        if output.kernel is None:
            return Missing(missing=f"the outputs of {name} {output.fault}")
        if len(output.kernel) < least:
            return Missing(missing=f"needs {least} training items, found {len(output.kernel)}")
        if output.kernel.is_constant:
            return Missing(missing=f"the outputs of {name} are all equal")
    first, second = (output.kernel for output in member_outputs.values())
    assert first is not None
    assert second is not None
    value = cka(first, second, debiased=debiased)
    if value is None:
        return Missing(missing="the outputs of no two items are related")
    stderr = cka_stderr(first, second, debiased=debiased) if alone else None
    return Measured(value=value, stderr=stderr)


def _agreement(member_outputs: dict[str, Outputs]) -> Value:
    for name, output in member_outputs.items():
        if output.fault is not None:
            return Missing(missing=f"the outputs of {name} {output.fault}")
    first, second = (output.classes for output in member_outputs.values())
    if first is None or second is None:
        return Missing(missing="needs class numbers as targets, and one output per class")
    numbers = next(iter(member_outputs.values())).numbers
    equal = item_means((first == second).double(), numbers)
    stderr = float(equal.std(correction=0)) / math.sqrt(len(equal))
    return Measured(value=100 * float(equal.mean()), stderr=100 * stderr)


def _distance(metric_input: MetricInput, a: str, b: str) -> Value:
    names = trainable_parameters(metric_input.runner.network).shapes
    if not names:
        return Missing(missing="the network has no trainable parameters")
    first, second = metric_input.members[a], metric_input.members[b]
    distance = _length(first, second, list(names))
    if not math.isfinite(distance):
        return Missing(missing=f"the distance between {a} and {b} is not finite")
    return Measured(value=distance)


def _length(first: Weights, second: Weights, names: Sequence[str]) -> float:
    gaps = [(_exact(first[name]) - _exact(second[name])).square().sum() for name in names]
    return math.sqrt(float(torch.stack(gaps).sum()))


def _exact(tensor: Tensor) -> Tensor:
    return tensor.cpu().double()  # some devices lack double precision


def _over_pairs(values: Sequence[Value]) -> Value:
    """Compute the mean over pairs; it is missing if any of them is."""
    measured = [value for value in values if isinstance(value, Measured)]
    if len(measured) < len(values):
        return next(value for value in values if isinstance(value, Missing))
    if len(measured) == 1:
        return measured[0]
    each = [value.value for value in measured]
    return Measured(
        value=statistics.fmean(each), stderr=statistics.stdev(each) / math.sqrt(len(each))
    )


def _table(pairs: Sequence[_Pair], distances: dict[tuple[str, str], Value]) -> Detail:
    both = distances | {(b, a): value for (a, b), value in distances.items()}
    columns: dict[str, tuple[str | float | None, ...]] = {
        "a": tuple(pair.a for pair in pairs),
        "b": tuple(pair.b for pair in pairs),
        "cka": tuple(_plain(pair.cka) for pair in pairs),
        "agreement": tuple(_plain(pair.agreement) for pair in pairs),
        "weight_distance": tuple(_plain(both[pair.a, pair.b]) for pair in pairs),
    }
    last = [pair.cka_last_token for pair in pairs if pair.cka_last_token is not None]
    if last:
        columns["cka_last_token"] = tuple(_plain(value) for value in last)
    return Detail(columns=columns)


def _plain(value: Value) -> float | None:
    return value.value if isinstance(value, Measured) else None


SIMILARITY = Metric(
    name="similarity", quantities=_QUANTITIES, of_tokens=_OF_TOKENS, compute=compute, cost=cost
)

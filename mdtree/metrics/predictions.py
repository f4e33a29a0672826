"""Quantities of the predictions of a group: agreement, ensemble, confidence, tail of the loss.

    ensemble_gain     error of one network - error of the mean of all probabilities
    disagreement      100 * (items that two networks put into different classes) / n
    overconfidence    100 * mean(largest probability) - (100 - error)
    loss_tail         100 * (loss of the tenth of the items with the largest loss) / (loss of all)

They are measured on test items, and on training items under the same name with the prefix `train_`.
The ensemble removes what differs between seeds: its gain is variance, and what remains is bias (and
label noise).  At most 10,000 items of each half are used, the same for all members.  Both protocols
measure these quantities in the same way.

Where tokens are predicted, classes are tokens, and numbers are averaged within each sequence first.
Fewer sequences are used where the probabilities of one member would take more than half a gigabyte.

The value is the mean over members or pairs.  Its standard error is taken over items, which is the
larger one for small test sets and does not need three members.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from mdtree.datasets import Items
from mdtree.landscape import (
    ComputeCost,
    Predictions,
    derive_seed,
    draw,
    generator,
    predict,
    preserved_state,
)
from mdtree.metrics.base import Metric, MetricInput, MetricResult, Workload
from mdtree.models import Run
from mdtree.rows import Measured, Missing, Value

__all__ = ["PREDICTIONS"]

_ITEMS = 10_000
_TAIL = 0.1  # share of the items
_MEMORY = 1 << 29  # bytes of probabilities of one member

_OF_PAIRS = ("ensemble_gain", "disagreement")
_OF_ONE = ("overconfidence", "loss_tail")
_HALVES = {"train": "train_", "test": ""}
_QUANTITIES = (
    *(f"{prefix}{name}" for prefix in _HALVES.values() for name in (*_OF_PAIRS, *_OF_ONE)),
)


def compute(metric_input: MetricInput) -> MetricResult:
    """Measure the quantities of the predictions of all members for the same items."""
    data = {"train": metric_input.data.train, "test": metric_input.data.test}
    halves = {half: _drawn(metric_input, half, items) for half, items in data.items()}
    with preserved_state(metric_input.runner, derive_seed(metric_input.seed, "predictions")):
        members = [
            metric_input.runner.network.with_weights(weights, partial(_all, metric_input, halves))
            for weights in metric_input.members.values()
        ]
    values: dict[str, Value] = {}
    for half, prefix in _HALVES.items():
        if halves[half] is None:
            missing: Value = Missing(missing=metric_input.data.without_test)
            values |= dict.fromkeys((prefix + name for name in (*_OF_PAIRS, *_OF_ONE)), missing)
            continue
        of_half = _half([member[half] for member in members])
        values |= {prefix + name: value for name, value in of_half.items()}
    return MetricResult(values, notes=_notes(data, halves))


def cost(work: Workload) -> ComputeCost:
    """Estimate the cost: one forward pass per item and member."""
    items = min(work.train_items, _ITEMS) + min(work.test_items, _ITEMS)
    return ComputeCost(forward=work.members * items)


def _drawn(metric_input: MetricInput, half: str, items: Items | None) -> Items | None:
    if items is None:
        return None
    source = generator(metric_input.seed, "prediction items", half)
    runner, count = metric_input.runner, _ITEMS
    if runner.output_bytes:
        count = min(count, max(_MEMORY // runner.output_bytes, 1))
    return draw(runner, items, count, source)


def _notes(data: Mapping[str, Items | None], halves: Mapping[str, Items | None]) -> tuple[str, ...]:
    """Return what was left out for lack of memory."""
    return tuple(
        f"quantities of predictions: on {len(drawn)} of {len(items)} {half} items, whose "
        "probabilities fit into memory"
        for half, items in data.items()
        if items is not None
        and (drawn := halves[half]) is not None
        and len(drawn) < min(len(items), _ITEMS)
    )


def _all(
    metric_input: MetricInput, halves: Mapping[str, Items | None], run: Run
) -> dict[str, Predictions | None]:
    return {
        half: predict(metric_input.runner, items, run)
        for half, items in halves.items()
        if items is not None
    }


def _half(members: Sequence[Predictions | None]) -> dict[str, Value]:
    known = [member for member in members if member is not None]
    if len(known) < len(members):
        missing: Value = Missing(missing="the targets are not class numbers")
        return dict.fromkeys((*_OF_PAIRS, *_OF_ONE), missing)
    if any(not bool(member.probabilities.isfinite().all()) for member in known):
        return dict.fromkeys((*_OF_PAIRS, *_OF_ONE), Missing(missing="outputs are not finite"))
    values: dict[str, Value] = {
        "overconfidence": _mean([_overconfidence(member) for member in known]),
        "loss_tail": _tail([member.losses for member in known]),
    }
    if len(known) == 1:
        two = Missing(missing="needs 2 checkpoints, found 1")
        return {**values, **dict.fromkeys(_OF_PAIRS, two)}
    return {**values, "ensemble_gain": _ensemble_gain(known), "disagreement": _disagreement(known)}


def _wrong(probabilities: Tensor, labels: Tensor) -> Tensor:
    return (probabilities.argmax(1) != labels).double()


def _ensemble_gain(members: Sequence[Predictions]) -> Value:
    first = members[0]
    labels = first.labels
    alone = torch.stack([_wrong(member.probabilities, labels) for member in members]).mean(0)
    together = torch.stack([member.probabilities for member in members]).mean(0)
    return _mean([first.item_means(alone - _wrong(together, labels))])


def _disagreement(members: Sequence[Predictions]) -> Value:
    classes = [member.probabilities.argmax(1) for member in members]
    pairs = [(a != b).double() for a, b in itertools.combinations(classes, 2)]
    return _mean([members[0].item_means(torch.stack(pairs).mean(0))])


def _overconfidence(member: Predictions) -> Tensor:
    right = 1 - _wrong(member.probabilities, member.labels)
    return member.item_means(member.probabilities.max(1).values.double() - right)


def _tail(members: Sequence[Tensor | None]) -> Value:
    known = [losses for losses in members if losses is not None]
    if len(known) < len(members):
        return Missing(missing="the loss returns means of batches, not the loss of each item")
    shares = [_share_of_tail(losses) for losses in known]
    if any(share is None for share in shares):
        return Missing(missing="the losses are all zero, or some are negative or not finite")
    return Measured(value=100 * sum(share for share in shares if share is not None) / len(shares))


def _share_of_tail(losses: Tensor) -> float | None:
    """Compute the share of the worst tenth of the items; of 15 items, one and a half."""
    total = float(losses.sum())
    if not math.isfinite(total) or total <= 0 or bool((losses < 0).any()):
        return None
    count = _TAIL * len(losses)
    ordered = losses.sort(descending=True).values
    whole = int(count)
    part = float(ordered[whole]) * (count - whole) if whole < len(losses) else 0.0
    return (float(ordered[:whole].sum()) + part) / total


def _mean(members: Sequence[Tensor]) -> Value:
    """Compute the mean over members and items in percent, with its standard error over items."""
    items = torch.stack(list(members)).mean(0)
    stderr = float(items.std()) / math.sqrt(len(items)) if len(items) > 1 else None
    return Measured(
        value=100 * float(items.mean()), stderr=None if stderr is None else 100 * stderr
    )


PREDICTIONS = Metric(name="predictions", quantities=_QUANTITIES, compute=compute, cost=cost)

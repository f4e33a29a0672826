"""Baselines: the test error of simple classifiers that are fitted to the same training items.

    linear_error          of a linear classifier of the inputs
    baseline_error        of the better of that and a linear classifier of random features
    baseline_half_error   the same, fitted to half of the training items

A network that is worse than these leaves something to gain; and what a simple classifier loses with
half of the items tells what more of them would bring.  All are least-squares fits in closed form
(`mdtree.baselines`), and no network is run.  At most 8,192 training items and 5,000 test items are
used.  The standard error is that of the test items.  Both protocols measure these quantities in the
same way; groups of one run with the same items share them.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from mdtree.baselines import Inputs, as_inputs, least_squares, random_features, read_items
from mdtree.datasets import Data, Items
from mdtree.exceptions import MdtreeError
from mdtree.landscape import ComputeCost, derive_seed, generator, preserved_state
from mdtree.metrics.base import Metric, MetricInput, MetricResult, Workload
from mdtree.rows import Measured, Missing, Value
from mdtree.tokens import TokenLoss

__all__ = ["BASELINE", "baseline_of"]

_QUANTITIES = ("baseline_error", "baseline_half_error", "linear_error")
_TRAIN_ITEMS = 8_192
_TEST_ITEMS = 5_000
_LEAST_ITEMS = 8  # of the training; half of them are fitted to as well
_CLASSES = 1_024  # that are told apart; with more, a class has too few of these items
_FEW = 64  # items that are read to estimate the time
_OF_FEATURES = 4e6  # products of numbers for the random features of an item; colour pictures
_PRODUCTS = 2e10  # of numbers in a second
_KEPT = 1_024  # results; groups of a zoo have the same items

_known: dict[bytes, dict[str, float]] = {}  # digest of the items -> errors


def compute(metric_input: MetricInput) -> MetricResult:
    """Measure the test errors of simple classifiers."""
    if isinstance(metric_input.runner.loss, TokenLoss):
        return _missing("tokens are predicted, not classes of items")
    try:
        # a data set may draw random numbers
        with preserved_state(metric_input.runner, derive_seed(metric_input.seed, "baseline")):
            return baseline_of(metric_input.data, seed=metric_input.seed)
    except Exception as error:  # noqa: BLE001 - must not take the other metrics with it
        kind = "" if isinstance(error, MdtreeError) else f"{type(error).__name__}: "
        return _missing(f"simple classifiers cannot be fitted: {kind}{error!s:.300}")


def baseline_of(data: Data, *, seed: int) -> MetricResult:
    """Fit simple classifiers to the training items, and count their errors on the test items."""
    problem = _problem(data, seed)
    if isinstance(problem, str):
        return _missing(problem)
    if problem.digest not in _known:
        if len(_known) >= _KEPT:
            _known.clear()
        _known[problem.digest] = _errors(problem, seed)
    tested = len(problem.wanted)
    values: dict[str, Value] = {
        name: Measured(value=100 * error, stderr=100 * math.sqrt(error * (1 - error) / tested))
        for name, error in _known[problem.digest].items()
    }
    return MetricResult(values, notes=_notes(data, len(problem.labels), tested))


def cost(_: Workload) -> ComputeCost:
    """Return no cost: no network is run."""
    return ComputeCost()


def seconds(data: Data) -> float:
    """Estimate how long it takes on one core; 0 where nothing can be fitted."""
    if data.test is None or len(data.train) < _LEAST_ITEMS:
        return 0.0
    started = time.perf_counter()
    try:
        few = read_items(_drawn(data.train, _FEW, 0))
    except Exception:  # noqa: BLE001 - the metric says why
        return 0.0
    if isinstance(few, str):
        return 0.0
    reading = (time.perf_counter() - started) / len(few[1])
    train, test = min(len(data.train), _TRAIN_ITEMS), min(len(data.test), _TEST_ITEMS)
    columns = 1 + min(_CLASSES, len(few[1].unique()))  # type: ignore[no-untyped-call]
    products = float((train + test) * _OF_FEATURES)
    for numbers in (few[0][0].numel(), 1024):
        short, long = sorted((train, numbers))
        fit = 2 * long * short**2 + 6 * short**3 + 34 * train * short * columns
        products += 1.5 * fit  # and that of half of the items
    return (train + test) * reading + products / _PRODUCTS


@dataclass(frozen=True, kw_only=True, eq=False)
class _Problem:
    """Inputs and class numbers, to fit to and to test with."""

    train: Inputs
    labels: Tensor
    test: Inputs
    wanted: Tensor
    digest: bytes  # the same for the same items


def _problem(data: Data, seed: int) -> _Problem | str:
    """Draw the items, or say why simple classifiers cannot be fitted to them."""
    if data.test is None:
        return data.without_test
    if len(data.train) < _LEAST_ITEMS:
        return f"needs {_LEAST_ITEMS} training items, found {len(data.train)}"
    train = read_items(_drawn(data.train, _TRAIN_ITEMS, seed))
    test = read_items(_drawn(data.test, _TEST_ITEMS, seed))
    if isinstance(train, str) or isinstance(test, str):
        return train if isinstance(train, str) else str(test)
    inputs, labels = as_inputs(train[0], test[0]), _classes(train[1], test[1])
    if isinstance(inputs, str) or isinstance(labels, str):
        return inputs if isinstance(inputs, str) else str(labels)
    return _Problem(
        train=inputs[0],
        labels=labels[0],
        test=inputs[1],
        wanted=labels[1],
        digest=_digest((*train, *test), seed),
    )


def _classes(train: Tensor, test: Tensor) -> tuple[Tensor, Tensor] | str:
    """Return class numbers that are not too large, or why there are none."""
    if any(half.is_floating_point() or half.is_complex() for half in (train, test)):
        return "the targets are not class numbers"
    train, test = train.long(), test.long()
    if min(int(train.min()), int(test.min())) < 0:
        return "some targets are negative"
    if max(int(train.max()), int(test.max())) < _CLASSES:
        return train, test
    seen, train = train.unique(return_inverse=True)  # type: ignore[no-untyped-call]
    if len(seen) >= _CLASSES:
        return f"the training items have more than {_CLASSES - 1:,} classes"
    places = torch.searchsorted(seen, test).clamp_max(len(seen) - 1)
    return train, torch.where(seen[places] == test, places, len(seen))


def _errors(problem: _Problem, seed: int) -> dict[str, float]:
    labels, wanted = problem.labels, problem.wanted
    classes = 1 + max(int(labels.max()), int(wanted.max()))
    features = random_features(problem.train, generator(seed, "baseline", "features"))
    pairs = [
        (problem.train.plain(), problem.test.plain()),
        (features(problem.train), features(problem.test)),
    ]

    def errors(count: int) -> list[float]:
        fitted = [(least_squares(seen[:count], labels[:count], classes), a) for seen, a in pairs]
        return [float((fit.classes_of(a) != wanted).double().mean()) for fit, a in fitted]

    whole, half = errors(len(labels)), errors(len(labels) // 2)  # the items are in random order
    return {
        "baseline_error": min(whole),
        "baseline_half_error": min(half),
        "linear_error": whole[0],
    }


def _drawn(items: Items, count: int, seed: int) -> Items:
    """Draw items without replacement, in random order."""
    source = generator(seed, "baseline", "items", len(items))
    return items.take(torch.randperm(len(items), generator=source)[:count])


def _digest(tensors: Iterable[Tensor], seed: int) -> bytes:
    digest = hashlib.blake2b(str(seed).encode())
    for tensor in tensors:
        digest.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().numpy().data)
    return digest.digest()


def _missing(reason: str) -> MetricResult:
    return MetricResult(dict.fromkeys(_QUANTITIES, Missing(missing=reason)))


def _notes(data: Data, train: int, test: int) -> tuple[str, ...]:
    """Return how many items were used, if not all."""
    assert data.test is not None
    if (train, test) == (len(data.train), len(data.test)):
        return ()
    note = f"baselines: on {train} of {len(data.train)} training items"
    return (f"{note} and {test} of {len(data.test)} test items",)


BASELINE = Metric(
    name="baseline", quantities=_QUANTITIES, compute=compute, cost=cost, seconds=seconds
)

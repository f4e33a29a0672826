"""Features: the numbers that trees ask about, computed from the quantities and facts of a row.

Trees use natural logarithms of the Hessian's values, as the published ones do.  A missing number
is NaN here, and only here: estimators accept it, and rows never hold it.

`COMPARABLE` features mean the same for every task: errors are relative to the chance-level error,
losses to the chance-level loss, weight distances to the square root of the parameter count.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mdtree.exceptions import MdtreeError
from mdtree.labelling import number_of
from mdtree.messages import nearest
from mdtree.rows import QUANTITIES, Measured, Row
from mdtree.trees.template import DECIMALS

__all__ = [
    "COMPARABLE",
    "FACT_FEATURES",
    "FEATURES",
    "LANDSCAPE",
    "SPECTRUM",
    "TRAINING",
    "Feature",
    "feature_matrix",
    "numbers_of",
]


@dataclass(frozen=True, kw_only=True)
class Feature:
    """One number that a tree can ask about."""

    name: str
    needs: tuple[str, ...]  # quantities or facts
    meaning: str
    unit: str
    low: str  # what a low value means
    high: str  # what a high value means
    compute: Callable[..., float]  # of the values of `needs`

    @property
    def logarithm(self) -> bool:
        """Whether it is the natural logarithm of a number that people know."""
        return self.name.startswith("log_") and self.compute is not _identity


def _identity(value: float) -> float:
    return value


def _log(value: float) -> float:
    return math.log(value) if value > 0 else math.nan


def _log_ratio(above: float, below: float) -> float:
    return _log(above) - _log(below)  # not the log of the ratio, which overflows


_LEAST = 0.05  # percent; keeps the ratio of two errors finite


def _peak_ratio(peak: float, train_error: float) -> float:
    return _log(max(-peak, 0.0) + _LEAST) - _log(train_error + _LEAST)


_FARTHEST = 1e100  # of a ratio: its square is finite


def _ratio(value: float, unit: float) -> float:
    if not unit > 0:
        return math.nan
    return min(max(value / unit, -_FARTHEST), _FARTHEST)


def _gap(test: float, train: float, unit: float) -> float:
    return _ratio(test - train, unit)


def _log_product(*factors: float) -> float:
    return sum(map(_log, factors))


def _log_gradient_noise(learning_rate: float, batch_size: float, trace: float) -> float:
    return _log_product(learning_rate, trace) - _log(batch_size)


def _log_epochs(steps: float, batch_size: float, items: float) -> float:
    return _log_product(steps, batch_size) - _log(items)


def _log_distance(distance: float, parameters: float) -> float:
    return _log_ratio(distance, math.sqrt(parameters)) if parameters > 0 else math.nan


_LEAST_STDERR = 0.05  # percent; if two seeds agree better, it is by chance


def _log_noise(stderr: float, error: float) -> float:
    return _log_ratio(max(stderr, _LEAST_STDERR), error) + math.log(2 * math.sqrt(2))


_PLAIN = ("train_error", "train_loss", "test_error", "test_loss")
_PAIRS = ("connectivity", "connectivity_peak", "cka")

_OTHERS = ("agreement", "loss_tail", "train_loss_tail", "random_like", "traps")

# What the weights alone tell; trees ask for these only on request.
SPECTRUM: tuple[str, ...] = (
    "alpha",
    "alpha_hat",
    "log_norm",
    "log_spectral_norm",
    "log_alpha_norm",
    "stable_rank",
    "soft_rank",
)

# unit -> what it is, and the quantities that are measured in it
_SHARES = (
    (
        "chance_error",
        "the chance-level error",
        (
            "train_error",
            "test_error",
            "connectivity",
            "connectivity_peak",
            "barrier",
            "linear_barrier",
            "train_ensemble_gain",
            "train_disagreement",
            "train_overconfidence",
            "overconfidence",
        ),
    ),
    ("chance_loss", "the chance-level loss", ("barrier_loss", "linear_barrier_loss")),
    ("test_error", "the test error", ("ensemble_gain", "disagreement")),
)

_LIST = (
    *(
        Feature(
            name=name,
            needs=(name,),
            meaning=QUANTITIES[name].meaning,
            unit=QUANTITIES[name].unit,
            low=QUANTITIES[name].low,
            high=QUANTITIES[name].high,
            compute=_identity,
        )
        for name in (*_PLAIN, *_PAIRS, *SPECTRUM, *_OTHERS)
    ),
    Feature(
        name="log_hessian_top",
        needs=("hessian_top",),
        meaning="natural logarithm of the Hessian's largest eigenvalue",
        unit="",
        low=QUANTITIES["hessian_top"].low,
        high=QUANTITIES["hessian_top"].high,
        compute=_log,
    ),
    Feature(
        name="log_hessian_trace",
        needs=("hessian_trace",),
        meaning="natural logarithm of the Hessian's trace",
        unit="",
        low=QUANTITIES["hessian_trace"].low,
        high=QUANTITIES["hessian_trace"].high,
        compute=_log,
    ),
    Feature(
        name="log_hessian_share",
        needs=("hessian_top", "hessian_trace"),
        meaning="natural logarithm of the largest eigenvalue's share of the trace",
        unit="",
        low="the curvature is spread over many directions",
        high="a few directions hold most of the curvature",
        compute=_log_ratio,
    ),
    Feature(
        name="log_peak_ratio",
        needs=("connectivity_peak", "train_error"),
        meaning="natural logarithm of the curve's highest training error over the networks' own",
        unit="",
        low="the curve between the networks has no more training error than they have",
        high="the curve between the networks has a barrier of training error",
        compute=_peak_ratio,
    ),
    *(
        Feature(
            name=f"{name}_share",
            needs=(name, unit),
            meaning=f"{QUANTITIES[name].meaning}, relative to {what}",
            unit="",
            low=QUANTITIES[name].low,
            high=QUANTITIES[name].high,
            compute=_ratio,
        )
        for unit, what, names in _SHARES
        for name in names
    ),
    *(
        Feature(
            name=f"log_{name}_share",
            needs=(name, "chance_loss"),
            meaning=f"natural logarithm of the {name.replace('_', ' ')} over the chance-level loss",
            unit="",
            low=QUANTITIES[name].low,
            high=QUANTITIES[name].high,
            compute=_log_ratio,
        )
        for name in ("train_loss", "test_loss")
    ),
    Feature(
        name="error_gap",
        needs=("test_error", "train_error", "chance_error"),
        meaning="test error minus training error, relative to the chance-level error",
        unit="",
        low="the network does as well on new data as on its training data",
        high="the network does worse on new data than on its training data (overfitting)",
        compute=_gap,
    ),
    Feature(
        name="log_loss_gap",
        needs=("test_loss", "train_loss"),
        meaning="natural logarithm of the test loss over the training loss",
        unit="",
        low="the network does as well on new data as on its training data",
        high="the network does worse on new data than on its training data (overfitting)",
        compute=_log_ratio,
    ),
    Feature(
        name="log_distance",
        needs=("weight_distance", "parameters"),
        meaning="natural logarithm of the weight distance over the root of the parameter count",
        unit="",
        low=QUANTITIES["weight_distance"].low,
        high=QUANTITIES["weight_distance"].high,
        compute=_log_distance,
    ),
    Feature(
        name="log_noise",
        needs=("test_error_stderr", "test_error"),
        meaning="natural logarithm of the gain that could be noise, relative to the test error",
        unit="",
        low="seeds agree, so even a small gain stands out from noise",
        high="seeds differ, so only a large gain stands out from noise",
        compute=_log_noise,
    ),
    Feature(
        name="log_parameters",
        needs=("parameters",),
        meaning="natural logarithm of the number of weights",
        unit="",
        low="the network is small",
        high="the network is large",
        compute=_log,
    ),
    Feature(
        name="log_data_amount",
        needs=("data_amount",),
        meaning="natural logarithm of the number of training items",
        unit="",
        low="there is little training data",
        high="there is a lot of training data",
        compute=_log,
    ),
    Feature(
        name="log_parameters_per_item",
        needs=("parameters", "data_amount"),
        meaning="natural logarithm of the number of weights per training item",
        unit="",
        low="few weights for each training item",
        high="many weights for each training item",
        compute=_log_ratio,
    ),
    Feature(
        name="log_learning_rate",
        needs=("learning_rate",),
        meaning="natural logarithm of the learning rate",
        unit="",
        low="small training steps (low temperature)",
        high="large training steps (high temperature)",
        compute=_log,
    ),
    Feature(
        name="log_batch_size",
        needs=("batch_size",),
        meaning="natural logarithm of the batch size",
        unit="",
        low="small batches make training noisy (high temperature)",
        high="large batches make training less noisy (low temperature)",
        compute=_log,
    ),
    Feature(
        name="log_temperature",
        needs=("learning_rate", "batch_size"),
        meaning="natural logarithm of the learning rate over the batch size",
        unit="",
        low="little noise in training (low temperature)",
        high="much noise in training (high temperature)",
        compute=_log_ratio,
    ),
    Feature(
        name="log_batch_share",
        needs=("batch_size", "data_amount"),
        meaning="natural logarithm of the batch size over the number of training items",
        unit="",
        low="many steps per epoch",
        high="few steps per epoch",
        compute=_log_ratio,
    ),
    Feature(
        name="log_steps",
        needs=("steps",),
        meaning="natural logarithm of the number of training steps",
        unit="",
        low="training was short",
        high="training was long",
        compute=_log,
    ),
    Feature(
        name="log_epochs",
        needs=("steps", "batch_size", "data_amount"),
        meaning="natural logarithm of the number of epochs",
        unit="",
        low="each training item was seen only a few times",
        high="each training item was seen many times",
        compute=_log_epochs,
    ),
    Feature(
        name="log_training_time",
        needs=("learning_rate", "steps"),
        meaning="natural logarithm of the learning rate times the number of training steps",
        unit="",
        low="training cannot have moved the weights far",
        high="training may have moved the weights far",
        compute=_log_product,
    ),
    Feature(
        name="log_edge",
        needs=("learning_rate", "hessian_top"),
        meaning="natural logarithm of the learning rate times the top eigenvalue",
        unit="",
        low="the minimum is flat relative to the step size",
        high="training is at the edge of stability (2) or beyond",
        compute=_log_product,
    ),
    Feature(
        name="log_edge_trace",
        needs=("learning_rate", "hessian_trace"),
        meaning="natural logarithm of the learning rate times the trace",
        unit="",
        low="the minimum is flat relative to the step size",
        high="the minimum is sharp relative to the step size",
        compute=_log_product,
    ),
    Feature(
        name="log_gradient_noise",
        needs=("learning_rate", "batch_size", "hessian_trace"),
        meaning="natural logarithm of the temperature times the trace",
        unit="",
        low="the noise of the training steps is small relative to the curvature",
        high="the noise of the training steps is large relative to the curvature",
        compute=_log_gradient_noise,
    ),
)

FEATURES: dict[str, Feature] = {feature.name: feature for feature in _LIST}

# What a tree may ask about any trained network, without facts and without test results.
LANDSCAPE: tuple[str, ...] = (
    "train_error",
    "train_loss",
    "log_hessian_top",
    "log_hessian_trace",
    "connectivity",
    "connectivity_peak",
    "cka",
    "log_hessian_share",
    "log_peak_ratio",
)

# What means the same for every task, network and data set; the only fact is the parameter count.
COMPARABLE: tuple[str, ...] = (
    *(f"{name}_share" for _, _, names in _SHARES for name in names),
    "log_train_loss_share",
    "log_test_loss_share",
    "error_gap",
    "log_loss_gap",
    "log_hessian_top",
    "log_hessian_trace",
    "log_hessian_share",
    "log_peak_ratio",
    "cka",
    "log_distance",
    *_OTHERS,
    *SPECTRUM,
)

FACT_FEATURES: tuple[str, ...] = ("log_parameters", "log_data_amount")

# What a recipe tells about training, alone and in relation to the curvature.
TRAINING: tuple[str, ...] = (
    *FACT_FEATURES,
    "log_parameters_per_item",
    "log_learning_rate",
    "log_batch_size",
    "log_temperature",
    "log_batch_share",
    "log_steps",
    "log_epochs",
    "log_training_time",
    "log_edge",
    "log_edge_trace",
    "log_gradient_noise",
)


def feature_matrix(rows: Sequence[Row], names: Iterable[str]) -> NDArray[np.float64]:
    """Return features of rows: one line for each row, one column for each name, NaN if missing.

    Raises:
        MdtreeError: If a name is not that of a feature.

    """
    features = [_feature(name) for name in names]
    matrix = np.full((len(rows), len(features)), np.nan)
    for line, row in enumerate(rows):
        numbers = numbers_of(row)
        for column, feature in enumerate(features):
            values = [numbers.get(need) for need in feature.needs]
            if all(value is not None for value in values):
                number = feature.compute(*values)
                # the last bits of what is computed depend on the processor
                is_computed = feature.compute is not _identity
                matrix[line, column] = round(number, DECIMALS) if is_computed else number
    return matrix


def _feature(name: str) -> Feature:
    if name not in FEATURES:
        raise MdtreeError(
            f"feature {name!r} is unknown{nearest(name, FEATURES)} (known: {', '.join(FEATURES)})"
        )
    return FEATURES[name]


def numbers_of(row: Row) -> Mapping[str, float]:
    """Return what features are computed from: measurements, facts, and what follows from facts."""
    facts = {name: number_of(row, name) for name in row.facts}
    numbers = {name: value for name, value in facts.items() if value is not None}
    quantities = {n: v for n, v in row.quantities.items() if isinstance(v, Measured)}
    measured = {name: value.value for name, value in quantities.items()}
    stderrs = {
        f"{name}_stderr": value.stderr
        for name, value in quantities.items()
        if value.stderr is not None
    }
    steps = _training_steps(numbers)
    return {**numbers, **stderrs, **measured} | ({} if steps is None else {"steps": steps})


def _training_steps(facts: Mapping[str, float]) -> float | None:
    """Return the number of training steps: a fact, or computed from the epochs."""
    if "steps" in facts:
        return facts["steps"]
    epochs, items, batch = (facts.get(name) for name in ("epochs", "data_amount", "batch_size"))
    if epochs is None or items is None or batch is None or not batch > 0:
        return None
    batches = items / batch
    steps = epochs * math.ceil(batches) if math.isfinite(batches) else math.inf
    return steps if math.isfinite(steps) else None

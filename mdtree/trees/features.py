"""Features: the numbers that trees ask about, made from the quantities and facts of a row.

Trees use natural logarithms of the Hessian's values, as the published ones do.  A number that is
missing is NaN here, and only here: estimators take it, and rows never hold it.
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

__all__ = ["FACT_FEATURES", "FEATURES", "LANDSCAPE", "SPECTRUM", "Feature", "feature_matrix"]


@dataclass(frozen=True, kw_only=True)
class Feature:
    """One number that a tree can ask about."""

    name: str
    needs: tuple[str, ...]  # quantities or facts
    meaning: str
    unit: str
    low: str  # what a low value says
    high: str  # what a high value says
    compute: Callable[..., float]  # of the values of `needs`

    @property
    def logarithm(self) -> bool:
        """Say whether it is the natural logarithm of a number that people know."""
        return self.compute in (_log, _log_ratio, _peak_ratio)


def _identity(value: float) -> float:
    return value


def _log(value: float) -> float:
    return math.log(value) if value > 0 else math.nan


def _log_ratio(top: float, trace: float) -> float:
    return _log(top) - _log(trace)  # not the log of the ratio, which overflows


_LEAST = 0.05  # percent; keeps the ratio of two errors finite


def _peak_ratio(peak: float, train_error: float) -> float:
    return _log(max(-peak, 0.0) + _LEAST) - _log(train_error + _LEAST)


_PLAIN = ("train_error", "train_loss", "test_error", "test_loss")
_PAIRS = ("connectivity", "connectivity_peak", "cka")

# What the weights alone say; trees do not ask for these unless they are told to.
SPECTRUM: tuple[str, ...] = (
    "alpha",
    "alpha_hat",
    "log_norm",
    "log_spectral_norm",
    "log_alpha_norm",
    "stable_rank",
    "soft_rank",
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
        for name in (*_PLAIN, *_PAIRS, *SPECTRUM)
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
        low="the curve between the networks is better than they are",
        high="a barrier lies between two trained networks",
        compute=_peak_ratio,
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
        low="there are few training data",
        high="there are many training data",
        compute=_log,
    ),
)

FEATURES: dict[str, Feature] = {feature.name: feature for feature in _LIST}

# What a tree may ask of any trained network, without facts and without test figures.
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

FACT_FEATURES: tuple[str, ...] = ("log_parameters", "log_data_amount")


def feature_matrix(rows: Sequence[Row], names: Iterable[str]) -> NDArray[np.float64]:
    """Collect features of rows: one line for each row, one column for each name, NaN if missing."""
    features = [_feature(name) for name in names]
    matrix = np.full((len(rows), len(features)), np.nan)
    for line, row in enumerate(rows):
        numbers = _numbers(row)
        for column, feature in enumerate(features):
            values = [numbers.get(need) for need in feature.needs]
            if all(value is not None for value in values):
                number = feature.compute(*values)
                # the last bits of a logarithm depend on the processor
                matrix[line, column] = round(number, DECIMALS) if feature.logarithm else number
    return matrix


def _feature(name: str) -> Feature:
    if name not in FEATURES:
        raise MdtreeError(
            f"feature {name!r} is unknown{nearest(name, FEATURES)} (known: {', '.join(FEATURES)})"
        )
    return FEATURES[name]


def _numbers(row: Row) -> Mapping[str, float]:
    facts = {name: number_of(row, name) for name in row.facts}
    numbers = {name: value for name, value in facts.items() if value is not None}
    measured = {n: v.value for n, v in row.quantities.items() if isinstance(v, Measured)}
    return {**numbers, **measured}

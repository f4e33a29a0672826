"""A feature: one number that a tree can ask about, and the formulas that make it.

Formulas take and return one number for each row; NaN is missing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mdtree.trees.arrays import Floats

__all__ = [
    "Feature",
    "error_ratio",
    "gap",
    "identity",
    "log",
    "log_distance",
    "log_epochs",
    "log_gradient_noise",
    "log_noise",
    "log_product",
    "log_ratio",
    "peak_ratio",
    "ratio",
]


@dataclass(frozen=True, kw_only=True, eq=False)
class Feature:
    """One number that a tree can ask about."""

    name: str
    needs: tuple[str, ...]  # quantities or facts
    meaning: str
    low: str  # what a low value says
    high: str  # what a high value says
    compute: Callable[..., Floats]  # of the values of `needs`
    unit: str = ""

    @property
    def logarithm(self) -> bool:
        """Whether it is the natural logarithm of a number that people know."""
        return self.name.startswith("log_") and self.compute is not identity


def identity(value: Floats) -> Floats:
    """Return the number as it is."""
    return value


def log(value: Floats) -> Floats:
    """Return the natural logarithm; NaN of what is not above 0.

    >>> log(np.array([1.0, 0.0])).tolist()
    [0.0, nan]
    """
    return np.log(np.where(value > 0, value, np.nan))


def log_ratio(above: Floats, below: Floats) -> Floats:
    """Return the logarithm of a ratio."""
    return log(above) - log(below)  # not the log of the ratio, which overflows


_LEAST = 0.05  # percent; keeps the ratio of two errors finite
_FEW = 0.3  # percent: of a thousand test items, three more or less tell nothing
_FARTHEST = 1e100  # of a ratio: its square is finite
_LEAST_STDERR = 0.05  # percent; if two seeds agree better, it is by chance


def peak_ratio(peak: Floats, train_error: Floats) -> Floats:
    """Return the logarithm of the highest error on a curve over that of its ends."""
    return log(np.maximum(-peak, 0.0) + _LEAST) - log(train_error + _LEAST)


def error_ratio(above: Floats, below: Floats) -> Floats:
    """Return the logarithm of a ratio of two test errors."""
    return log(above + _FEW) - log(below + _FEW)


def ratio(value: Floats, unit: Floats) -> Floats:
    """Return a value in units of another; NaN where there is no unit."""
    with np.errstate(over="ignore"):
        return (value / np.where(unit > 0, unit, np.nan)).clip(-_FARTHEST, _FARTHEST)


def gap(test: Floats, train: Floats, unit: Floats) -> Floats:
    """Return a difference in units of a third number."""
    return ratio(test - train, unit)


def log_product(*factors: Floats) -> Floats:
    """Return the logarithm of a product."""
    return np.asarray(np.sum([log(factor) for factor in factors], axis=0))


def log_gradient_noise(learning_rate: Floats, batch_size: Floats, trace: Floats) -> Floats:
    """Return the logarithm of learning rate x trace / batch size."""
    return log_product(learning_rate, trace) - log(batch_size)


def log_epochs(steps: Floats, batch_size: Floats, items: Floats) -> Floats:
    """Return the logarithm of the passes over the training items."""
    return log_product(steps, batch_size) - log(items)


def log_distance(distance: Floats, parameters: Floats) -> Floats:
    """Return the logarithm of a distance for each root of a parameter."""
    return log(distance) - log(parameters) / 2


def log_noise(stderr: Floats, error: Floats) -> Floats:
    """Return the logarithm of two standard errors of a difference, relative to the error."""
    return log_ratio(np.maximum(stderr, _LEAST_STDERR), error) + math.log(2 * math.sqrt(2))

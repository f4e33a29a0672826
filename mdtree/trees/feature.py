"""A feature: one number that a tree can ask about, and the formulas that make it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

__all__ = [
    "Feature",
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


@dataclass(frozen=True, kw_only=True)
class Feature:
    """One number that a tree can ask about."""

    name: str
    needs: tuple[str, ...]  # quantities or facts
    meaning: str
    low: str  # what a low value says
    high: str  # what a high value says
    compute: Callable[..., float]  # of the values of `needs`
    unit: str = ""

    @property
    def logarithm(self) -> bool:
        """Whether it is the natural logarithm of a number that people know."""
        return self.name.startswith("log_") and self.compute is not identity


def identity(value: float) -> float:
    """Return the number as it is."""
    return value


def log(value: float) -> float:
    """Return the natural logarithm; NaN of what is not above 0."""
    return math.log(value) if value > 0 else math.nan


def log_ratio(above: float, below: float) -> float:
    """Return the logarithm of a ratio."""
    return log(above) - log(below)  # not the log of the ratio, which overflows


_LEAST = 0.05  # percent; keeps the ratio of two errors finite
_FARTHEST = 1e100  # of a ratio: its square is finite
_LEAST_STDERR = 0.05  # percent; if two seeds agree better, it is by chance


def peak_ratio(peak: float, train_error: float) -> float:
    """Return the logarithm of the highest error on a curve over that of its ends."""
    return log(max(-peak, 0.0) + _LEAST) - log(train_error + _LEAST)


def ratio(value: float, unit: float) -> float:
    """Return a value in units of another; NaN where there is no unit."""
    if not unit > 0:
        return math.nan
    return min(max(value / unit, -_FARTHEST), _FARTHEST)


def gap(test: float, train: float, unit: float) -> float:
    """Return a difference in units of a third number."""
    return ratio(test - train, unit)


def log_product(*factors: float) -> float:
    """Return the logarithm of a product."""
    return sum(map(log, factors))


def log_gradient_noise(learning_rate: float, batch_size: float, trace: float) -> float:
    """Return the logarithm of learning rate x trace / batch size."""
    return log_product(learning_rate, trace) - log(batch_size)


def log_epochs(steps: float, batch_size: float, items: float) -> float:
    """Return the logarithm of the passes over the training items."""
    return log_product(steps, batch_size) - log(items)


def log_distance(distance: float, parameters: float) -> float:
    """Return the logarithm of a distance for each root of a parameter."""
    return log_ratio(distance, math.sqrt(parameters)) if parameters > 0 else math.nan


def log_noise(stderr: float, error: float) -> float:
    """Return the logarithm of two standard errors of a difference, relative to the error."""
    return log_ratio(max(stderr, _LEAST_STDERR), error) + math.log(2 * math.sqrt(2))

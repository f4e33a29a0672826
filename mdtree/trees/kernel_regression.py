"""Kernel regression: several targets of a group, estimated from similar training groups.

    target(x) = mean + sum_j weight_j exp(-width d(x, c_j)^2),   d^2 the mean over the features

The centres c are some of the training groups.  Each feature is put on a common scale first: the
rank of a value among the training groups, as a normal score, so that units and extreme values do
not matter.  An unknown feature is left out of the distance; if none is known, no centre is near,
and the mean remains.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist

import numpy as np

from mdtree.trees.binning import Floats

__all__ = [
    "KernelRegression",
    "QuantileScale",
    "kernel",
    "rounded",
    "scaled",
]


@dataclass(frozen=True, kw_only=True, eq=False)
class QuantileScale:
    """The map from one feature to the common scale."""

    quantiles: Floats  # of the training groups, at evenly spaced shares; never falling

    def __post_init__(self) -> None:
        """Refuse numbers that are not quantiles."""
        if not len(self.quantiles) or not np.isfinite(self.quantiles).all():
            raise ValueError("a scale needs finite quantiles")
        if (np.diff(self.quantiles) < 0).any():
            raise ValueError("the quantiles of a scale must not fall")

    @cached_property
    def _knots(self) -> tuple[Floats, Floats]:
        """Return the distinct quantiles and the place of each; equal ones share the middle."""
        count = len(self.quantiles)
        places = np.array([NormalDist().inv_cdf((n + 0.5) / count) for n in range(count)])
        values, which = np.unique(self.quantiles, return_inverse=True)
        return values, np.bincount(which, places) / np.bincount(which)

    def __call__(self, values: Floats) -> Floats:
        """Scale values; those beyond the training groups are clipped to the last of them."""
        scaled = np.interp(values, *self._knots)
        return np.where(np.isnan(values), np.nan, scaled)

    def inverse(self, scaled: Floats) -> Floats:
        """Return the values at given places."""
        values, places = self._knots
        return np.asarray(np.interp(scaled, places, values))


@dataclass(frozen=True, kw_only=True, eq=False)
class KernelRegression:
    """Targets, each from 0 to 1, as smooth functions of the features."""

    scales: Mapping[int, QuantileScale]  # number of a column -> its scale
    centres: Floats  # one line for each, one number for each scale
    width: float  # the larger, the nearer a group must be to count
    means: Mapping[str, float]  # target -> its value far from all centres
    weights: Mapping[str, Floats]  # target -> one number for each centre

    def __post_init__(self) -> None:
        """Refuse numbers that do not belong together."""
        if not self.weights or self.means.keys() != self.weights.keys():
            raise ValueError("a kernel regression needs weights, and a mean for each target")
        if self.centres.ndim != 2 or self.centres.shape[1] != len(self.scales):  # noqa: PLR2004
            raise ValueError("a centre must have one number for each column")
        single = np.array([self.width, *self.means.values()])
        numbers = [self.centres, single, *self.weights.values()]
        if not self.width > 0 or not all(np.isfinite(part).all() for part in numbers):
            raise ValueError("a kernel regression must hold finite numbers, and a width above 0")
        if any(part.shape != (len(self.centres),) for part in self.weights.values()):
            raise ValueError("each target needs one weight for each centre")

    @property
    def columns(self) -> tuple[int, ...]:
        """The columns that it uses."""
        return tuple(self.scales)

    def values(self, matrix: Floats) -> dict[str, Floats]:
        """Compute each target for each line."""
        near = kernel(scaled(self.scales, matrix), self.centres, self.width)
        return {
            target: np.clip(self.means[target] + near @ weights, 0.0, 1.0)
            for target, weights in self.weights.items()
        }

    def alike(self, line: Floats, count: int) -> Floats:
        """Return the training groups most similar to a line; unused columns are NaN."""
        near = kernel(scaled(self.scales, line[None]), self.centres, self.width)[0]
        chosen = self.centres[np.argsort(-near, kind="stable")[:count]]
        lines = np.full((len(chosen), len(line)), np.nan)
        for (column, scale), places in zip(self.scales.items(), chosen.T, strict=True):
            lines[:, column] = scale.inverse(places)
        return lines


def scaled(scales: Mapping[int, QuantileScale], matrix: Floats) -> Floats:
    """Return the columns on the common scale."""
    columns = [scale(matrix[:, column]) for column, scale in scales.items()]
    return np.array(columns).reshape(len(columns), len(matrix)).T


def kernel(lines: Floats, centres: Floats, width: float) -> Floats:
    """Return the similarity of each line and each centre, 0 to 1; lines may have unknown numbers.

    The squared distance is the mean over the known numbers.  A line without known numbers is
    similar to no centre.
    """
    known = ~np.isnan(lines)
    filled = np.where(known, lines, 0.0)
    squares = (filled**2).sum(axis=1)[:, None] + known @ (centres**2).T - 2 * filled @ centres.T
    count = known.sum(axis=1)[:, None]
    distance = np.maximum(squares, 0.0) / np.maximum(count, 1)
    return np.where(count > 0, np.exp(-width * distance), 0.0)


def rounded(numbers: Sequence[float] | Floats, digits: int) -> Floats:
    """Round each number to that many digits."""
    return np.array([float(f"{number:.{digits}g}") for number in numbers])

"""Kernel regression: several targets of a group, estimated from similar training groups.

    target(x) = mean + sum_j weight_j exp(-width d(x, c_j)^2),   d^2 the mean over the features

The centres c are some of the training groups.  Each feature is put on a common scale first: the
rank of a value among the training groups, as a normal score, so that units and extreme values do
not matter.  An unknown feature is left out of the distance; if none is known, no centre is near,
and the mean remains.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from mdtree.trees.arrays import DECIMALS, Floats

__all__ = [
    "KernelRegression",
    "QuantileScale",
    "kernel",
    "rounded",
    "scaled",
]

_BLOCK = 40  # lines at once: their similarities stay in the cache of the processor
_MANY = 16  # lines


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
        places = _places(len(self.quantiles))
        is_new = np.append(True, self.quantiles[1:] > self.quantiles[:-1])
        which = is_new.cumsum() - 1
        return self.quantiles[is_new], np.bincount(which, places) / np.bincount(which)

    def __call__(self, values: Floats) -> Floats:
        """Scale values; those beyond the training groups are clipped to the last of them."""
        scaled = np.interp(values, *self._knots)
        return np.where(np.isnan(values), np.nan, scaled)

    def inverse(self, scaled: Floats) -> Floats:
        """Return the values at given places."""
        values, places = self._knots
        return np.asarray(np.interp(scaled, places, values))


@cache
def _places(count: int) -> Floats:
    """Return the normal scores of so many quantiles."""
    return np.array([NormalDist().inv_cdf((n + 0.5) / count) for n in range(count)])


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

    @cached_property
    def _weights(self) -> tuple[Floats, Floats]:
        """Return the means, and the weights with a column for each target."""
        return np.array(list(self.means.values())), np.column_stack(
            [self.weights[target] for target in self.means]
        )

    @cached_property
    def _ready(self) -> _Centres:
        return _Centres(self.centres)

    def values(self, matrix: Floats) -> dict[str, Floats]:
        """Compute each target for each line."""
        return self.values_at(self.scaled(matrix))

    def values_at(self, lines: Floats) -> dict[str, Floats]:
        """Compute each target for lines whose columns are on the common scale."""
        means, weights = self._weights
        sums = np.empty((len(lines), len(means)))
        for start in range(0, len(lines), _BLOCK):
            block = slice(start, start + _BLOCK)
            sums[block] = self._ready.near(lines[block], self.width) @ weights
        found = np.clip(means + sums, 0.0, 1.0)
        columns = dict(zip(self.means, found.T, strict=True))
        return {target: columns[target] for target in self.weights}

    def scaled(self, matrix: Floats) -> Floats:
        """Return the columns that the regression uses, on their common scale."""
        return scaled(self.scales, matrix)

    def alike(self, lines: Floats, count: int, wanted: Collection[int]) -> Floats:
        """Return the training groups most similar to each line: (lines, count, columns).

        Columns that are not wanted, or not used, are NaN.
        """
        near = self._ready.near(scaled(self.scales, lines), self.width)
        near = near.round(DECIMALS)  # the last bits depend on how many lines there are
        chosen = self.centres[np.argsort(-near, axis=1, kind="stable")[:, :count]]
        found = np.full((*chosen.shape[:2], lines.shape[1]), np.nan)
        for place, (column, scale) in enumerate(self.scales.items()):
            if column in wanted:
                found[:, :, column] = scale.inverse(chosen[:, :, place])
        return found


def scaled(scales: Mapping[int, QuantileScale], matrix: Floats) -> Floats:
    """Return the columns on the common scale."""
    columns = [scale(matrix[:, column]) for column, scale in scales.items()]
    return np.ascontiguousarray(np.array(columns).reshape(len(columns), len(matrix)).T)


def kernel(lines: Floats, centres: Floats, width: float) -> Floats:
    """Return the similarity of each line and each centre, 0 to 1; lines may have unknown numbers.

    The squared distance is the mean over the known numbers.  A line without known numbers is
    similar to no centre.
    """
    return _Centres(centres).near(lines, width)


class _Centres:
    """Centres, and their squares, ready for many products."""

    def __init__(self, centres: Floats) -> None:
        self._turned = np.ascontiguousarray(centres.T)
        self._squares = self._turned**2
        self._ones = np.ones((1, len(centres)))
        self._all = np.vstack([self._turned, self._squares, self._ones])
        self._last: tuple[bytes | None, Floats] = (None, self._all)  # columns, and what is theirs

    def near(self, lines: Floats, width: float) -> Floats:
        """Compute exp(-width d^2) with -width d^2 = (2 x.c - known.c^2 - x^2) width / count."""
        known = ~np.isnan(lines)
        filled = np.where(known, lines, 0.0)
        count = known.sum(axis=1)[:, None]
        own = (filled**2).sum(axis=1)[:, None]
        if len(lines) >= _MANY and (known == known[0]).all():  # draws of one row
            left = np.hstack([2 * filled[:, known[0]], np.full_like(own, -1.0), -own])
            right = self._of_columns(known[0])
        else:
            left, right = np.hstack([2 * filled, -known.astype(float), -own]), self._all
        near = (left * (width / np.maximum(count, 1))) @ right
        np.minimum(near, 0.0, out=near)  # in place: it may be large
        np.exp(near, out=near)
        near[count[:, 0] == 0] = 0.0
        return np.asarray(near)

    def _of_columns(self, known: NDArray[np.bool_]) -> Floats:
        """Return the smaller product of lines that have these columns alone."""
        key = known.tobytes()
        last, right = self._last
        if key != last:
            squares = self._squares[known].sum(axis=0)[None]
            right = np.vstack([self._turned[known], squares, self._ones])
            self._last = key, right
        return right


def rounded(numbers: Sequence[float] | Floats, digits: int) -> Floats:
    """Round each number to that many digits."""
    return np.array([float(f"{number:.{digits}g}") for number in numbers])

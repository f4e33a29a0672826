"""Kernel regression: what each change would gain, judged by the groups that look most alike.

    gain(x) = mean + sum_j weight_j exp(-width d(x, c_j)^2),   d^2 the mean over the features

The centres c are some of the training groups.  Each feature is put on a common scale first: the
place of a value among those of the training groups, as a standard normal number, so that no unit
and no extreme value counts.  A feature that is not known is left out of the distance; where none
is known, no centre is near, and the mean gain is what is left.

Ridge regression on few centres: Nystroem approximation of kernel ridge regression (Saunders,
Gammerman, Vovk 1998; Williams, Seeger 2001).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from mdtree.trees.binning import Floats

__all__ = ["KernelRegression", "QuantileScale", "fitted", "rounded", "scaled"]

_BLOCK = 2048  # lines
_JITTER = 1e-6  # of the diagonal, so that centres that lie together can be told apart


@dataclass(frozen=True, kw_only=True, eq=False)
class QuantileScale:
    """The way of one feature to the common scale."""

    quantiles: Floats  # of the training groups, at evenly spaced shares; never falling

    def __post_init__(self) -> None:
        """Refuse what is no list of quantiles."""
        if not len(self.quantiles) or not np.isfinite(self.quantiles).all():
            raise ValueError("a scale needs finite quantiles")
        if (np.diff(self.quantiles) < 0).any():
            raise ValueError("the quantiles of a scale must not fall")

    @cached_property
    def _knots(self) -> tuple[Floats, Floats]:
        """Give the different quantiles, and where each lies; of equal ones the middle counts."""
        count = len(self.quantiles)
        places = np.array([NormalDist().inv_cdf((n + 0.5) / count) for n in range(count)])
        values, which = np.unique(self.quantiles, return_inverse=True)
        return values, np.bincount(which, places) / np.bincount(which)

    def __call__(self, values: Floats) -> Floats:
        """Scale values; what lies beyond the training groups is as the last of them."""
        scaled = np.interp(values, *self._knots)
        return np.where(np.isnan(values), np.nan, scaled)

    def inverse(self, scaled: Floats) -> Floats:
        """Give the values that lie at such places."""
        values, places = self._knots
        return np.asarray(np.interp(scaled, places, values))


@dataclass(frozen=True, kw_only=True, eq=False)
class KernelRegression:
    """Gains as a smooth function of the features."""

    scales: Mapping[int, QuantileScale]  # number of a column -> its scale
    centres: Floats  # one line for each, one number for each scale
    width: float  # the larger, the nearer a group must be to count
    means: Mapping[str, float]  # remedy -> gain far from all centres
    weights: Mapping[str, Floats]  # remedy -> one number for each centre

    def __post_init__(self) -> None:
        """Refuse numbers that do not belong together."""
        if not self.weights or self.means.keys() != self.weights.keys():
            raise ValueError("a kernel regression needs weights, and a mean for each remedy")
        if self.centres.ndim != 2 or self.centres.shape[1] != len(self.scales):  # noqa: PLR2004
            raise ValueError("a centre must have one number for each column")
        single = np.array([self.width, *self.means.values()])
        numbers = [self.centres, single, *self.weights.values()]
        if not self.width > 0 or not all(np.isfinite(part).all() for part in numbers):
            raise ValueError("a kernel regression must hold finite numbers, and a width above 0")
        if any(part.shape != (len(self.centres),) for part in self.weights.values()):
            raise ValueError("each remedy needs one weight for each centre")

    @property
    def columns(self) -> tuple[int, ...]:
        """List the columns that it looks at."""
        return tuple(self.scales)

    def gains(self, matrix: Floats) -> dict[str, Floats]:
        """Give the expected gain of each remedy for each line, relative to the test error."""
        near = kernel(scaled(self.scales, matrix), self.centres, self.width)
        return {
            remedy: np.clip(self.means[remedy] + near @ weights, 0.0, 1.0)
            for remedy, weights in self.weights.items()
        }

    def alike(self, line: Floats, count: int) -> Floats:
        """Give the training groups most like a line: lines whose other columns are NaN."""
        near = kernel(scaled(self.scales, line[None]), self.centres, self.width)[0]
        chosen = self.centres[np.argsort(-near, kind="stable")[:count]]
        lines = np.full((len(chosen), len(line)), np.nan)
        for (column, scale), places in zip(self.scales.items(), chosen.T, strict=True):
            lines[:, column] = scale.inverse(places)
        return lines


def scaled(scales: Mapping[int, QuantileScale], matrix: Floats) -> Floats:
    """Put columns on the common scale."""
    columns = [scale(matrix[:, column]) for column, scale in scales.items()]
    return np.array(columns).reshape(len(columns), len(matrix)).T


def kernel(lines: Floats, centres: Floats, width: float) -> Floats:
    """Say how alike each line and each centre are, 0 to 1; lines may have unknown numbers.

    The squared distance is the mean over the numbers that are known.  A line of which none is
    known is like no centre.
    """
    known = ~np.isnan(lines)
    told = np.where(known, lines, 0.0)
    squares = (told**2).sum(axis=1)[:, None] + known @ (centres**2).T - 2 * told @ centres.T
    count = known.sum(axis=1)[:, None]
    distance = np.maximum(squares, 0.0) / np.maximum(count, 1)
    return np.where(count > 0, np.exp(-width * distance), 0.0)


def fitted(
    scales: Mapping[int, QuantileScale],
    lines: Floats,
    gains: Mapping[str, Floats],
    weights: Floats,
    centres: Floats,
    *,
    width: float,
    ridge: float,
    digits: int,
) -> KernelRegression:
    """Fit the weights of the centres to the gains of scaled lines; a gain may be NaN."""
    among = kernel(centres, centres, width)
    is_known = {remedy: np.isfinite(values) for remedy, values in gains.items()}
    usual = {remedy: weights[known].mean() for remedy, known in is_known.items()}
    means = {
        remedy: float(np.average(values[is_known[remedy]], weights=weights[is_known[remedy]]))
        for remedy, values in gains.items()
    }
    deviations = [
        np.where(is_known[remedy], values - means[remedy], 0.0) for remedy, values in gains.items()
    ]
    squares, products = _sums(
        lines,
        centres,
        weights,
        known=np.array(list(is_known.values())),
        deviations=np.array(deviations),
        width=width,
    )
    slopes = {}
    for number, remedy in enumerate(gains):
        left = sum(part for pattern, part in squares.items() if pattern[number]) / usual[remedy]
        left += ridge * among + _JITTER * np.eye(len(centres))
        slope = np.linalg.solve(left, products[number] / usual[remedy])
        slopes[remedy] = rounded(slope, digits)
    return KernelRegression(
        scales=scales,
        centres=centres,
        width=width,
        means={remedy: float(f"{mean:.{digits}g}") for remedy, mean in means.items()},
        weights=slopes,
    )


def _sums(
    lines: Floats,
    centres: Floats,
    weights: Floats,
    *,
    known: NDArray[np.bool_],  # one line for each remedy
    deviations: Floats,
    width: float,
) -> tuple[dict[tuple[bool, ...], Floats], Floats]:
    """Sum K' W K over lines of which the same gains are known, and K' W y for each remedy.

    Most gains share most lines.  Blocks of lines stay in the cache of a processor.
    """
    patterns, which = np.unique(known, axis=1, return_inverse=True)
    squares = {tuple(p.tolist()): np.zeros((len(centres), len(centres))) for p in patterns.T}
    products = np.zeros((len(known), len(centres)))
    for start in range(0, len(lines), _BLOCK):
        block = slice(start, start + _BLOCK)
        near = kernel(lines[block], centres, width)
        weighted = near * weights[block, None]
        products += deviations[:, block] @ weighted
        for number, pattern in enumerate(patterns.T):
            own = which[block] == number
            squares[tuple(pattern.tolist())] += near[own].T @ weighted[own]
    return squares, products


def rounded(numbers: Sequence[float] | Floats, digits: int) -> Floats:
    """Keep that many digits of each number."""
    return np.array([float(f"{number:.{digits}g}") for number in numbers])

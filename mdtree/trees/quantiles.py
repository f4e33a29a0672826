"""Quantiles: of the normal and the chi-square distribution, and of features that were seen.

SciPy has those of distributions too, but loading it takes longer than a verdict from rows.  With
the regularised incomplete gamma function P, the chi-square quantile at the upper tail q solves

    P(k / 2, x / 2) = 1 - q

by halving an interval; P is a series below its mean and a continued fraction (Lentz) above it.
Abramowitz and Stegun 1964, 6.5.29 and 6.5.31.

The normal score of a value is the normal quantile at its level among those that were seen.
"""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from mdtree.trees.arrays import Floats

__all__ = [
    "LEVELS",
    "chi_square_quantile",
    "level_of",
    "normal_quantiles",
    "normal_scores",
    "quantile_table",
    "short",
]

_FEW = 256  # numbers, up to which a loop takes less time than loading SciPy
_TERMS = 10_000
_PRECISION = 1e-16
_TINY = 1e-300
_NORMAL = NormalDist()

LEVELS = np.linspace(0, 1, 41)
_SPREAD = _NORMAL.inv_cdf(0.95) - _NORMAL.inv_cdf(0.05)
_END = 0.02  # the least level that a score is made of
_LARGEST = 1e300  # differences of such numbers are still finite
_SMALLEST = sys.float_info.min
_FARTHEST = 1e6  # spreads beyond the ends: farther away is no worse


def normal_quantiles(levels: Floats) -> Floats:
    """Return the standard normal quantiles of levels strictly between 0 and 1."""
    if levels.size > _FEW:
        from scipy.special import ndtri

        return np.asarray(ndtri(levels))
    each = [_NORMAL.inv_cdf(level) for level in levels.reshape(-1).tolist()]
    return np.array(each).reshape(levels.shape)


@functools.lru_cache(maxsize=1024)  # groups with the same features ask for the same ones
def chi_square_quantile(freedom: float, tail: float) -> float:
    """Return what a chi-square of these degrees of freedom exceeds with probability `tail`."""
    shape, low, high = freedom / 2, 0.0, 1.0
    while _upper(shape, high) > tail:
        low, high = high, 2 * high
    while True:
        middle = (low + high) / 2
        if not low < middle < high:
            return 2 * middle
        if _upper(shape, middle) > tail:
            low = middle
        else:
            high = middle


def _upper(shape: float, x: float) -> float:
    """Compute 1 - P(shape, x)."""
    scale = math.exp(shape * math.log(x) - x - math.lgamma(shape))
    return 1 - scale * _series(shape, x) if x < shape + 1 else scale * _fraction(shape, x)


def _series(shape: float, x: float) -> float:
    """Sum x^n / (shape (shape + 1) ... (shape + n))."""
    term = total = 1 / shape
    for n in range(1, _TERMS):
        term *= x / (shape + n)
        total += term
        if term < total * _PRECISION:
            break
    return total


def _fraction(shape: float, x: float) -> float:
    """Evaluate 1 / (x + 1 - shape - 1 (1 - shape) / (x + 3 - shape - ...))."""
    b = x + 1 - shape
    c, d = 1 / _TINY, 1 / b
    value = d
    for n in range(1, _TERMS):
        a = n * (shape - n)
        b += 2
        d = 1 / (a * d + b or _TINY)
        c = b + a / c or _TINY
        value *= c * d
        if abs(c * d - 1) < _PRECISION:
            break
    return value


def quantile_table(values: Floats) -> tuple[float, ...]:
    """Compute the quantiles of values, at levels from 0 to 1."""
    quantiles = np.quantile(values.clip(-_LARGEST, _LARGEST), LEVELS)
    return tuple(map(short, quantiles))


def short(value: float) -> float:
    """Keep five digits."""
    return float(f"{value:.5g}")


def level_of(quantiles: Floats, values: Floats) -> Floats:
    """Return levels by linear interpolation; a value that many groups share is in their middle."""
    levels = np.linspace(0, 1, len(quantiles))
    first = np.searchsorted(quantiles, values, side="left")
    behind = np.searchsorted(quantiles, values, side="right")
    middles = (levels[np.minimum(first, len(quantiles) - 1)] + levels[behind - 1]) / 2
    return np.asarray(np.where(first < behind, middles, np.interp(values, quantiles, levels)))


def normal_scores(tables: Sequence[Sequence[float]], groups: Floats) -> Floats:
    """Compute the normal score of each value: a column, and a table, for each feature."""
    columns = zip(tables, groups.T, strict=True)
    return np.column_stack([_scores(np.array(quantiles), column) for quantiles, column in columns])


def _scores(quantiles: Floats, values: Floats) -> Floats:
    inside: Floats = normal_quantiles(level_of(quantiles, values).clip(_END, 1 - _END))
    values = values.clip(-_LARGEST, _LARGEST)
    low, high = np.interp((0.05, 0.95), np.linspace(0, 1, len(quantiles)), quantiles)
    spread = float(high - low or quantiles[-1] - quantiles[0] or _SMALLEST)
    farthest = _FARTHEST * spread
    beyond: Floats = (values - values.clip(quantiles[0], quantiles[-1])).clip(-farthest, farthest)
    return inside + beyond / spread * _SPREAD

"""Quantiles of the normal and the chi-square distribution, for a few numbers at a time.

SciPy has them too, but loading it takes longer than a verdict from rows.  With the regularised
incomplete gamma function P, the chi-square quantile at the upper tail q solves

    P(k / 2, x / 2) = 1 - q

by halving an interval; P is a series below its mean and a continued fraction (Lentz) above it.

Abramowitz and Stegun 1964, 6.5.29 and 6.5.31.
"""

from __future__ import annotations

import functools
import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

__all__ = ["chi_square_quantile", "normal_quantiles"]

_FEW = 256  # numbers, up to which a loop takes less time than loading SciPy
_TERMS = 10_000
_PRECISION = 1e-16
_TINY = 1e-300
_NORMAL = NormalDist()


def normal_quantiles(levels: NDArray[np.float64]) -> NDArray[np.float64]:
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

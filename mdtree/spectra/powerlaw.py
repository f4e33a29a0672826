"""The power law in the tail of a spectrum: maximum likelihood, with the best fitting xmin.

    p(x) = (alpha - 1) / xmin * (x / xmin)^-alpha          x >= xmin
    alpha = 1 + n / sum_i ln(x_i / xmin)                   sigma = (alpha - 1) / sqrt(n)
    D = max_i | 1 - (x_i / xmin)^(1 - alpha) - i / n |     i = 0 .. n - 1, the n values from xmin up

Every distinct value except the largest is a candidate for xmin, whose tail are all values from it
up; the candidate with the smallest D wins (Clauset, Shalizi, Newman 2009, arXiv 0706.1062).  A
lower bound on D from a few values of each tail excludes most candidates, so that D is computed only
for the others: the result is exact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["PowerLaw", "fit_power_law"]

_PROBES = 32  # values of each tail for the bound


@dataclass(frozen=True, kw_only=True)
class PowerLaw:
    """The fit of one spectrum."""

    alpha: float
    stderr: float
    xmin: float
    distance: float  # D, the Kolmogorov-Smirnov distance
    tail: int  # values from xmin up


def fit_power_law(values: NDArray[np.float64]) -> PowerLaw | None:
    """Fit a power law to the tail of positive values; None without two different values.

    >>> law = fit_power_law((1 - np.arange(200) / 200) ** -0.5)  # quantiles of alpha = 3
    >>> round(law.alpha, 1)
    3.0
    """
    x = np.sort(np.asarray(values, dtype=np.float64))
    if len(x) < 2 or x[0] == x[-1]:  # noqa: PLR2004 - a tail has two ends
        return None
    logs = np.log(
        x / x[-1]
    )  # relative to the largest, so that different values have different logs
    tails = len(x) - np.arange(len(x))
    gaps = np.diff(logs)
    # the sum of ln(x / xmin) over the tail, from gaps: no subtraction, so no cancellation
    sums = np.cumsum((gaps * tails[1:])[::-1])[::-1]
    candidates = np.flatnonzero(np.diff(x, prepend=0))[:-1]  # the first of each value
    alphas = 1 + tails[candidates] / sums[candidates]
    bounds = _bounds(logs, candidates, alphas)
    best, distance = 0, math.inf
    for place in np.argsort(bounds, kind="stable"):
        if bounds[place] >= distance:
            break
        candidate_distance = _distance(logs, candidates[place], alphas[place])
        if candidate_distance < distance:
            best, distance = int(place), candidate_distance
    start, alpha = int(candidates[best]), float(alphas[best])
    tail = len(x) - start
    return PowerLaw(
        alpha=alpha,
        stderr=(alpha - 1) / math.sqrt(tail),
        xmin=float(x[start]),
        distance=distance,
        tail=tail,
    )


def _distance(logs: NDArray[np.float64], start: int, alpha: float) -> float:
    """Compute D of a whole tail."""
    tail = logs[start:]
    below = np.arange(len(tail)) / len(tail)
    return float(np.abs(-np.expm1((1 - alpha) * (tail - tail[0])) - below).max())


def _bounds(
    logs: NDArray[np.float64], candidates: NDArray[np.intp], alphas: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Compute a lower bound on D of each tail from some of its values."""
    tails = len(logs) - candidates
    shares = np.linspace(0, 1, _PROBES) ** 2  # most of them near xmin
    bounds = np.zeros(len(candidates))
    for share in shares:
        steps = np.floor(share * (tails - 1)).astype(np.intp)
        law = -np.expm1((1 - alphas) * (logs[candidates + steps] - logs[candidates]))
        np.maximum(bounds, np.abs(law - steps / tails), out=bounds)
    return bounds

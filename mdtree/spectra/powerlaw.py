"""The power law in the tail of a spectrum: maximum likelihood, with the start of best fit.

    p(x) = (alpha - 1) / xmin * (x / xmin)^-alpha          x >= xmin
    alpha = 1 + n / sum_i ln(x_i / xmin)                   sigma = (alpha - 1) / sqrt(n)
    D = max_i | 1 - (x_i / xmin)^(1 - alpha) - i / n |     i = 0 .. n - 1, the n values from xmin up

Every different value but the largest is a candidate for xmin, the tail being all values from it
up; the one with the smallest D is taken (Clauset, Shalizi, Newman 2009, arXiv 0706.1062).  A bound
on D from a few values of each tail says which candidates can be the best, and only of those all
values are looked at: the result is exact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["PowerLaw", "fit_power_law"]

_PROBES = 32  # values of each tail that the bound is taken from


@dataclass(frozen=True, kw_only=True)
class PowerLaw:
    """The fit of one spectrum."""

    alpha: float
    stderr: float
    xmin: float
    distance: float  # D, Kolmogorov and Smirnov's
    tail: int  # values from xmin up


def fit_power_law(values: NDArray[np.float64]) -> PowerLaw | None:
    """Fit the tail of positive values; None if all are equal, or there are fewer than two."""
    x = np.sort(np.asarray(values, dtype=np.float64))
    if len(x) < 2 or x[0] == x[-1]:  # noqa: PLR2004 - a tail has two ends
        return None
    logs = np.log(x / x[-1])  # of the largest, so that values that differ have logs that differ
    tails = len(x) - np.arange(len(x))
    gaps = np.diff(logs)
    # the sum over the tail of ln(x / xmin), of gaps: nothing is subtracted, nothing cancels
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
    """Compare the whole tail with its law."""
    tail = logs[start:]
    below = np.arange(len(tail)) / len(tail)
    return float(np.abs(-np.expm1((1 - alpha) * (tail - tail[0])) - below).max())


def _bounds(
    logs: NDArray[np.float64], candidates: NDArray[np.intp], alphas: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Compare some values of each tail with its law: D is at least as large."""
    tails = len(logs) - candidates
    shares = np.linspace(0, 1, _PROBES) ** 2  # most of them near xmin
    bounds = np.zeros(len(candidates))
    for share in shares:
        steps = np.floor(share * (tails - 1)).astype(np.intp)
        law = -np.expm1((1 - alphas) * (logs[candidates + steps] - logs[candidates]))
        np.maximum(bounds, np.abs(law - steps / tails), out=bounds)
    return bounds

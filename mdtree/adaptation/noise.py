"""Noise: how large a gain must be to be more than chance.

The log loss decides.  It changes with every probability; accuracy changes only if an answer flips,
which is rare in a dozen groups.  With the labels y, and for each group i and class c

    d_i(c) = log p_after(c | i) - log p_before(c | i),   gain = mean over groups of d_i(y_i),

a gain is claimed only if both hold:

    interval:  its 2.5 % end, over groups resampled with replacement, is above zero;
    chance:    labels drawn from p_before itself give as large a mean in at most 2.5 % of draws.

The interval alone is not enough: six groups that all agree with a tree that is 90 % sure of them
have no spread, so it excludes zero, although half of all such sixes agree.
"""

from __future__ import annotations

import numpy as np

from mdtree.adaptation.result import TAIL
from mdtree.trees.binning import Floats, Ints

__all__ = ["chance", "interval", "logs", "of"]

_DRAWS = 2000
_SURE = 1e-3  # smallest probability in a log loss, as in `mdtree evaluate`


def logs(probabilities: Floats) -> Floats:
    """Return logarithms of probabilities, which are raised to a minimum first."""
    logarithms: Floats = np.log(np.maximum(probabilities, _SURE))
    return logarithms


def of(table: Floats, codes: Ints) -> Floats:
    """Return the value of one class for each group."""
    values: Floats = table[np.arange(len(codes)), codes]
    return values


def interval(gains: Floats, rng: np.random.Generator) -> tuple[float, float]:
    """Return the 95 % interval of the mean gain, by resampling groups with replacement."""
    count = len(gains)
    means = [gains[rng.integers(count, size=count)].mean() for _ in range(_DRAWS)]
    low, high = np.quantile(means, (TAIL, 1 - TAIL))
    return float(low), float(high)


def chance(change: Floats, before: Floats, codes: Ints, rng: np.random.Generator) -> float:
    """Return how often labels drawn from the original tree show as large a gain."""
    observed = of(change, codes).mean()
    ends = before.cumsum(axis=1)[:, :-1]
    count = 0
    for _ in range(_DRAWS):
        drawn = (rng.random((len(codes), 1)) > ends).sum(axis=1)
        count += bool(of(change, drawn).mean() >= observed)
    return (1 + count) / (1 + _DRAWS)

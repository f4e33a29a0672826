"""The population: what the training groups of a tree look like, and whether a new group is one.

Each feature x is brought to a normal score z by its quantiles in the training groups; beyond their
ends, z goes on in a straight line, in units of the feature's spread.  With the correlations R of
the scores, the distance of a group whose features S are known is

    d^2 = z_S' (R_SS + 0.05 I)^-1 z_S / |S| .

The limit is the distance that 5 % of the training groups exceed, each measured by the correlations
of all others.  For one feature it is that of a normal score, and between them it goes from one to
the other, in units of the same quantile of chi / sqrt(|S|).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.special import chdtri, ndtri

from mdtree.trees.evidence import Floats

__all__ = ["Population", "mixed", "population_of"]

_LEVELS = np.linspace(0, 1, 41)
_END = 0.02  # the least level that a score is made of
_SPREAD = float(ndtri(0.95) - ndtri(0.05))
_RIDGE = 0.05
_OUTSIDE = 0.05  # of the training groups are farther away than the limit
_LEAST = 8  # groups that tell a correlation


@dataclass(frozen=True, kw_only=True)
class Population:
    """Quantiles of the features of the training groups, and how the features go together."""

    quantiles: Mapping[str, tuple[float, ...]]  # feature -> at levels from 0 to 1, evenly spaced
    names: tuple[str, ...]  # the features that the distance looks at
    correlation: tuple[tuple[float, ...], ...]
    limit: float  # of the distance, with all features known

    def __post_init__(self) -> None:
        """Refuse tables that do not fit each other."""
        for name, held in self.quantiles.items():
            if len(held) < 2 or any(low > high for low, high in pairwise(held)):  # noqa: PLR2004
                raise ValueError(f"the quantiles of {name} must rise")
        if not set(self.names) <= set(self.quantiles):
            raise ValueError("its distance looks at features without quantiles")
        matrix = np.array(self.correlation, dtype=float)
        size = len(self.names)
        if matrix.shape != (size, size) and size:
            raise ValueError(f"its correlations must be {size} by {size}")
        if size and (matrix != matrix.T).any():
            raise ValueError("its correlations must be symmetric")
        if size and np.linalg.eigvalsh(matrix).min() < -_RIDGE / 2:
            raise ValueError("its correlations are none: they contradict each other")

    def level(self, name: str, value: float) -> float | None:
        """Say which share of the training groups lies below a value of a feature."""
        held = self.quantiles.get(name)
        if held is None or math.isnan(value):
            return None
        return _level(np.array(held), value)

    def distance(self, values: Mapping[str, float]) -> tuple[float, float] | None:
        """Give the distance of a group, and the limit for the features that it has."""
        known = [
            place
            for place, name in enumerate(self.names)
            if not math.isnan(values.get(name, math.nan))
        ]
        if not known:
            return None
        names = [self.names[place] for place in known]
        scores = np.array([_score(np.array(self.quantiles[n]), values[n]) for n in names])
        matrix = np.array(self.correlation)[np.ix_(known, known)]
        return _distance(scores, matrix), self._limit(len(known))

    def _limit(self, known: int) -> float:
        """Go from the normal distribution's limit for one feature to the measured one for all."""
        every = len(self.names)
        share = (known - 1) / (every - 1) if every > 1 else 1.0
        factor = 1 - share + share * self.limit / _quantile(every)
        return factor * _quantile(known)


def population_of(matrix: Floats, names: Sequence[str]) -> Population | None:
    """Describe training groups: one line each, one column for each feature, NaN if missing."""
    quantiles: dict[str, tuple[float, ...]] = {}
    for column, name in enumerate(names):
        known = matrix[~np.isnan(matrix[:, column]), column]
        if len(known):
            held = np.quantile(known, _LEVELS)
            quantiles[name] = tuple(float(f"{value:.5g}") for value in held)
    looked = [
        (name, column)
        for column, name in enumerate(names)
        if name in quantiles and quantiles[name][0] < quantiles[name][-1]
    ]
    whole = ~np.isnan(matrix[:, [column for _, column in looked]]).any(axis=1)
    if not looked or whole.sum() < _LEAST:
        return None if not quantiles else _unmeasured(quantiles)
    scores = np.column_stack(
        [
            [_score(np.array(quantiles[name]), value) for value in matrix[whole, column]]
            for name, column in looked
        ]
    )
    total, count = scores.T @ scores, len(scores)
    distances = [
        _distance(own, _normed((total - np.outer(own, own)) / (count - 1))) for own in scores
    ]
    return Population(
        quantiles=quantiles,
        names=tuple(name for name, _ in looked),
        correlation=_rounded(_normed(total / count)),
        limit=float(f"{np.quantile(distances, 1 - _OUTSIDE):.5g}"),
    )


def mixed(
    one: Population | None, groups: int, other: Population | None, others: int
) -> Population | None:
    """Describe two populations together, as if they were one of `groups` and `others` groups."""
    if one is None or other is None or one.names != other.names:
        return other or one
    share = groups / (groups + others)
    quantiles = {
        name: _blended(one.quantiles[name], other.quantiles[name], share)
        for name in one.quantiles
        if name in other.quantiles
    }
    matrix = share * np.array(one.correlation) + (1 - share) * np.array(other.correlation)
    return Population(
        quantiles=quantiles,
        names=one.names,
        correlation=_rounded(matrix),
        limit=max(one.limit, other.limit),
    )


def _unmeasured(quantiles: Mapping[str, tuple[float, ...]]) -> Population:
    """Describe groups that are too few for a distance."""
    return Population(quantiles=quantiles, names=(), correlation=(), limit=math.inf)


def _level(held: Floats, value: float) -> float:
    """Go between quantiles in straight lines; a value that many groups share is in their middle."""
    levels = np.linspace(0, 1, len(held))
    first = int(np.searchsorted(held, value, side="left"))
    behind = int(np.searchsorted(held, value, side="right"))
    if first < behind:
        return float(levels[first] + levels[behind - 1]) / 2
    return float(np.interp(value, held, levels))


def _score(held: Floats, value: float) -> float:
    score = float(ndtri(min(max(_level(held, value), _END), 1 - _END)))
    beyond = value - min(max(value, held[0]), held[-1])
    if not beyond:
        return score
    levels = np.linspace(0, 1, len(held))
    low, high = np.interp((0.05, 0.95), levels, held)
    spread = (high - low or held[-1] - held[0]) / _SPREAD
    return score + float(beyond / spread)


def _distance(scores: Floats, correlation: Floats) -> float:
    held = correlation + _RIDGE * np.eye(len(scores))
    return math.sqrt(float(scores @ np.linalg.solve(held, scores)) / len(scores))


def _normed(moments: Floats) -> Floats:
    scale = np.sqrt(np.maximum(np.diag(moments), 1e-12))
    found: Floats = moments / np.outer(scale, scale)
    return found


def _quantile(features: int) -> float:
    """Give the size of a normal vector's root mean square that 5 % exceed."""
    return math.sqrt(float(chdtri(features, _OUTSIDE)) / features)


def _rounded(matrix: Floats) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(round(float(value), 4) for value in line) for line in matrix)


def _blended(one: Sequence[float], other: Sequence[float], share: float) -> tuple[float, ...]:
    """Give the quantiles of a mixture: each table counts as that many equal groups."""
    values = np.concatenate([one, other])
    weights = np.concatenate(
        [np.full(len(one), share / len(one)), np.full(len(other), (1 - share) / len(other))]
    )
    order = np.argsort(values, kind="stable")
    middles = np.cumsum(weights[order]) - weights[order] / 2
    found = np.interp(_LEVELS, middles, values[order])
    return tuple(float(f"{value:.5g}") for value in found)

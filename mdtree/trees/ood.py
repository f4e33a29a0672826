"""The population: what the training groups of a tree look like, and whether a new group is one.

Each feature x is brought to a normal score z by its quantiles in the training groups; beyond their
ends, z goes on in a straight line, in units of the feature's spread.  With the correlations R of
the scores, the distance of a group whose features S are known is

    d^2 = z_S' (R_SS + 0.05 I)^-1 z_S / |S| .

The limit is the distance that 5 % of the training groups exceed, each measured by quantiles and
correlations of the others (twenty folds).  Where features are missing, it is scaled by what 5 % of
normal scores with the correlations R_SS exceed: with the eigenvalues r_i of R_SS, d^2 is a sum of
chi-squares with weights r_i / (r_i + 0.05) / |S|, whose quantile is that of Satterthwaite's
chi-square, of equal mean and variance.

Satterthwaite: "An approximate distribution of estimates of variance components", 1946.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri, ndtri

from mdtree.trees.binning import Floats

__all__ = ["TrainingDistribution", "mixed", "training_distribution"]

_LEVELS = np.linspace(0, 1, 41)
_END = 0.02  # the least level that a score is made of
_SPREAD = float(ndtri(0.95) - ndtri(0.05))
_RIDGE = 0.05
_OUTSIDE = 0.05  # of the training groups are farther away than the limit
_LEAST = 8  # groups that tell a correlation
_FOLDS = 20
_CLOSEST = 0.01  # a limit where nearly all training groups are alike
_LARGEST = 1e300  # differences of such numbers are still finite
_SMALLEST = sys.float_info.min
_FARTHEST = 1e6  # spreads beyond the ends: farther away is no worse


@dataclass(frozen=True, kw_only=True)
class TrainingDistribution:
    """Quantiles of the features of the training groups, and how the features go together."""

    quantiles: Mapping[str, tuple[float, ...]]  # feature -> at levels from 0 to 1, evenly spaced
    names: tuple[str, ...]  # the features that the distance looks at
    correlation: tuple[tuple[float, ...], ...]
    limit: float  # of the distance, with all features known

    def __post_init__(self) -> None:
        """Refuse tables that do not fit each other."""
        for name, held in self.quantiles.items():
            if len(held) < 2 or not all(low <= high for low, high in pairwise(held)):  # noqa: PLR2004
                raise ValueError(f"the quantiles of {name} must rise")
        if len(set(self.names)) < len(self.names):
            raise ValueError("its distance looks at a feature twice")
        for name in self.names:
            held = self.quantiles.get(name, (0.0, 0.0))
            if held[0] == held[-1]:
                raise ValueError(f"its distance looks at {name}, of which it knows no spread")
        size = len(self.names)
        if [len(line) for line in self.correlation] != [size] * size:
            raise ValueError(f"its correlations must be {size} by {size}")
        if size:
            _check(np.array(self.correlation, dtype=float), self.limit)

    def level(self, name: str, value: float) -> float | None:
        """Say which share of the training groups lies below a value of a feature."""
        held = self.quantiles.get(name)
        if held is None or math.isnan(value):
            return None
        return float(_levels(np.array(held), np.array(_short(value))))

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
        scores = [_scores(np.array(self.quantiles[n]), np.array(values[n])) for n in names]
        matrix = np.array(self.correlation)[np.ix_(known, known)]
        return float(_distances(np.array([scores]), matrix)[0]), self._limit(matrix)

    def _limit(self, known: Floats) -> float:
        """Scale the limit to the features that are known; one alone is as normal scores are."""
        if len(known) == 1 < len(self.names):
            return _usual(known)
        return self.limit * _usual(known) / _usual(np.array(self.correlation))


def training_distribution(matrix: Floats, names: Sequence[str]) -> TrainingDistribution | None:
    """Describe training groups: one line each, one column for each feature, NaN if missing."""
    quantiles: dict[str, tuple[float, ...]] = {}
    looked: dict[str, int] = {}
    for column, name in enumerate(names):
        known = matrix[~np.isnan(matrix[:, column]), column]
        if len(known):
            quantiles[name] = _table(known)
        if 2 * len(known) > len(matrix) and quantiles[name][0] < quantiles[name][-1]:
            looked[name] = column  # what few groups have would leave few whole ones
    groups = matrix[:, list(looked.values())]
    groups = groups[~np.isnan(groups).any(axis=1)]
    if not looked or len(groups) < _LEAST:
        return None if not quantiles else _unmeasured(quantiles)
    scores = _all_scores([quantiles[name] for name in looked], groups)
    folds = np.random.default_rng(0).permutation(len(groups)) % _FOLDS
    distances = np.concatenate([_left_out(groups, folds == fold) for fold in np.unique(folds)])
    return TrainingDistribution(
        quantiles=quantiles,
        names=tuple(looked),
        correlation=_rounded(_correlation(scores)),
        limit=max(_short(np.quantile(distances, 1 - _OUTSIDE)), _CLOSEST),
    )


def mixed(
    one: TrainingDistribution | None, groups: int, other: TrainingDistribution | None, others: int
) -> TrainingDistribution | None:
    """Describe two populations together, as if they were one of `groups` and `others` groups."""
    if one is None or other is None:
        return one or other
    if one.names != other.names:  # too few groups on one side, or other features
        larger, smaller = (one, other) if groups > others else (other, one)
        return larger if larger.names else smaller
    share = groups / (groups + others)
    quantiles = {
        name: _blended(one.quantiles[name], other.quantiles[name], share)
        for name in one.quantiles
        if name in other.quantiles
    }
    matrix = share * np.array(one.correlation) + (1 - share) * np.array(other.correlation)
    return TrainingDistribution(
        quantiles=quantiles,
        names=one.names,
        correlation=_rounded(matrix),
        limit=share * one.limit + (1 - share) * other.limit,
    )


def _unmeasured(quantiles: Mapping[str, tuple[float, ...]]) -> TrainingDistribution:
    """Describe groups that are too few for a distance."""
    return TrainingDistribution(quantiles=quantiles, names=(), correlation=(), limit=math.inf)


def _check(correlation: Floats, limit: float) -> None:
    if not np.isfinite(correlation).all() or (correlation != correlation.T).any():
        raise ValueError("its correlations must be symmetric")
    if (np.abs(np.diag(correlation) - 1) > _RIDGE / 2).any():
        raise ValueError("its correlations with themselves must be 1")
    if np.linalg.eigvalsh(correlation).min() < -_RIDGE / 2:
        raise ValueError("its correlations are none: they contradict each other")
    if not 0 < limit < math.inf:
        raise ValueError(f"the limit of its distance must be positive, got {limit}")


def _left_out(groups: Floats, out: NDArray[np.bool_]) -> Floats:
    """Give the distances of some groups from all others."""
    tables = [_table(column) for column in groups[~out].T]
    matrix = _correlation(_all_scores(tables, groups[~out]))
    return _distances(_all_scores(tables, groups[out]), matrix)


def _table(known: Floats) -> tuple[float, ...]:
    held = np.quantile(known.clip(-_LARGEST, _LARGEST), _LEVELS)
    return tuple(map(_short, held))


def _short(value: float) -> float:
    """Keep five digits."""
    return float(f"{value:.5g}")


def _levels(held: Floats, values: Floats) -> Floats:
    """Go between quantiles in straight lines; a value that many groups share is in their middle."""
    levels = np.linspace(0, 1, len(held))
    first = np.searchsorted(held, values, side="left")
    behind = np.searchsorted(held, values, side="right")
    middles = (levels[np.minimum(first, len(held) - 1)] + levels[behind - 1]) / 2
    return np.asarray(np.where(first < behind, middles, np.interp(values, held, levels)))


def _scores(held: Floats, values: Floats) -> Floats:
    inside: Floats = ndtri(_levels(held, values).clip(_END, 1 - _END))
    values = values.clip(-_LARGEST, _LARGEST)
    low, high = np.interp((0.05, 0.95), np.linspace(0, 1, len(held)), held)
    spread = float(high - low or held[-1] - held[0] or _SMALLEST)
    most = _FARTHEST * spread
    beyond: Floats = (values - values.clip(held[0], held[-1])).clip(-most, most)
    return inside + beyond / spread * _SPREAD


def _all_scores(tables: Sequence[Sequence[float]], groups: Floats) -> Floats:
    columns = zip(tables, groups.T, strict=True)
    return np.column_stack([_scores(np.array(held), column) for held, column in columns])


def _distances(scores: Floats, correlation: Floats) -> Floats:
    held = correlation + _RIDGE * np.eye(len(correlation))
    squares = (scores * np.linalg.solve(held, scores.T).T).mean(axis=1)
    return np.asarray(np.sqrt(squares))


def _correlation(scores: Floats) -> Floats:
    moments = scores.T @ scores / len(scores)
    scale = np.sqrt(np.maximum(np.diag(moments), 1e-12))
    found: Floats = moments / np.outer(scale, scale)
    np.fill_diagonal(found, 1.0)
    return found


def _usual(correlation: Floats) -> float:
    """Give the distance that 5 % of normal scores with these correlations exceed."""
    values = np.linalg.eigvalsh(correlation).clip(min=0)
    weights = values / (values + _RIDGE)
    mean, square = weights.sum() / len(values), (weights**2).sum() / len(values) ** 2
    return math.sqrt(float(chdtri(mean**2 / square, _OUTSIDE)) * square / mean)


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
    return tuple(map(_short, found))

"""The training distribution of a tree, and how far a new group lies from it.

Each feature x is mapped to a normal score z by its quantiles in the training groups; beyond their
ends, z continues linearly, in units of the feature's spread.  With the correlations R of
the scores, the distance of a group whose features S are known is

    d^2 = z_S' (R_SS + 0.05 I)^-1 z_S / |S| .

The limit is the distance that 5 % of the training groups exceed, each measured by quantiles and
correlations of the others (twenty folds).  If features are missing, it is scaled by what 5 % of
normal scores with the correlations R_SS exceed: with the eigenvalues r_i of R_SS, d^2 is a sum of
chi-squares with weights r_i / (r_i + 0.05) / |S|, whose quantile is that of Satterthwaite's
chi-square, of equal mean and variance.

Satterthwaite: "An approximate distribution of estimates of variance components", 1946.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from mdtree.trees.arrays import Floats
from mdtree.trees.file_numbers import STRICT, Limits, Number
from mdtree.trees.quantiles import (
    LEVELS,
    chi_square_quantile,
    level_of,
    normal_scores,
    quantile_table,
    short,
)

__all__ = [
    "OutOfDistribution",
    "TrainingDistribution",
    "mixed",
    "outside",
    "ranges_of",
    "training_distribution",
]

_RIDGE = 0.05
_OUTSIDE = 0.05  # of the training groups are farther away than the limit
_LEAST = 8  # groups, for a correlation
_FOLDS = 20
_CLOSEST = 0.01  # smallest limit, if nearly all training groups are alike


@dataclass(frozen=True, kw_only=True)
class OutOfDistribution:
    """How far a group lies from those that the tree was fitted to."""

    distance: float
    limit: float  # that 5 % of the training groups exceed
    beyond: tuple[str, ...]  # features outside the range of all training groups

    @property
    def outside(self) -> bool:
        """Whether the group is far from all training groups, or beyond all of them in a feature."""
        return self.distance > self.limit or bool(self.beyond)


@dataclass(frozen=True, kw_only=True)
class TrainingDistribution:
    """Quantiles of the features of the training groups, and the correlations between features."""

    __pydantic_config__ = STRICT

    # feature -> at levels from 0 to 1, evenly spaced
    quantiles: Mapping[str, Annotated[tuple[Number, ...], Limits(max_length=1000)]]
    names: tuple[str, ...] = ()  # the features that the distance looks at; few groups have none
    correlation: tuple[tuple[float, ...], ...] = ()
    limit: Annotated[float, Limits(gt=0)] = math.inf  # of the distance, with all features known

    def __post_init__(self) -> None:
        """Refuse tables that do not fit each other."""
        for name, quantiles in self.quantiles.items():
            if len(quantiles) < 2 or not all(low <= high for low, high in pairwise(quantiles)):  # noqa: PLR2004
                raise ValueError(f"the quantiles of {name} must rise")
        if len(set(self.names)) < len(self.names):
            raise ValueError("its distance uses a feature twice")
        for name in self.names:
            quantiles = self.quantiles.get(name, (0.0, 0.0))
            if quantiles[0] == quantiles[-1]:
                raise ValueError(f"its distance uses {name}, which has no spread")
        size = len(self.names)
        if [len(line) for line in self.correlation] != [size] * size:
            raise ValueError(f"its correlations must be {size} by {size}")
        if size:
            _check(np.array(self.correlation, dtype=float), self.limit)

    def level(self, name: str, value: float) -> float | None:
        """Return the share of the training groups below a value of a feature."""
        quantiles = self.quantiles.get(name)
        if quantiles is None or math.isnan(value):
            return None
        return float(level_of(np.array(quantiles), np.array(short(value))))

    def distance(self, values: Mapping[str, float]) -> tuple[float, float] | None:
        """Return the distance of a group, and the limit for the features that it has."""
        line = np.array([[values.get(name, math.nan) for name in self.names]])
        distances, limits = self.distances(line)
        return None if math.isnan(distances[0]) else (float(distances[0]), float(limits[0]))

    def distances(self, lines: Floats) -> tuple[Floats, Floats]:
        """Compute the distance of each line, and its limit; NaN if no feature is known.

        The columns are those of `names`.
        """
        distances, limits = np.full(len(lines), np.nan), np.full(len(lines), np.nan)
        patterns, which = np.unique(~np.isnan(lines), axis=0, return_inverse=True)
        for number, known in enumerate(patterns):
            names = [name for name, is_known in zip(self.names, known, strict=True) if is_known]
            if names:
                alike = which.reshape(-1) == number
                scores = normal_scores(
                    [self.quantiles[name] for name in names], lines[alike][:, known]
                )
                matrix = np.array(self.correlation)[np.ix_(known, known)]
                distances[alike], limits[alike] = _distances(scores, matrix), self._limit(matrix)
        return distances, limits

    def _limit(self, correlation: Floats) -> float:
        """Scale the limit to the known features; a single one has the limit of normal scores."""
        if len(correlation) == 1 < len(self.names):
            return _normal_distance(correlation)
        return (
            self.limit
            * _normal_distance(correlation)
            / _normal_distance(np.array(self.correlation))
        )


def outside(seen: Floats, lines: Floats, names: Sequence[str]) -> NDArray[np.bool_]:
    """Return which lines are far from those seen, or beyond all of them in a feature."""
    population = training_distribution(seen, names)
    if population is None:
        return np.zeros(len(lines), dtype=bool)
    columns = [list(names).index(name) for name in population.names]
    distances, limits = population.distances(lines[:, columns])
    ranges = ranges_of(seen, names)
    ends = np.array([ranges.get(name, (-np.inf, np.inf)) for name in names])
    beyond = ((lines < ends[:, 0]) | (lines > ends[:, 1])).any(axis=1)
    return ~np.isnan(distances) & ((distances > limits) | beyond)


def ranges_of(matrix: Floats, names: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Return the smallest and the largest value of each feature that has any."""
    ranges = {}
    for name, column in zip(names, matrix.T, strict=True):
        known = column[~np.isnan(column)]
        if len(known):
            ranges[name] = (float(known.min()), float(known.max()))
    return ranges


def training_distribution(matrix: Floats, names: Sequence[str]) -> TrainingDistribution | None:
    """Describe training groups: one line each, one column for each feature, NaN if missing."""
    quantiles: dict[str, tuple[float, ...]] = {}
    selected: dict[str, int] = {}
    for column, name in enumerate(names):
        values = matrix[~np.isnan(matrix[:, column]), column]
        if len(values):
            quantiles[name] = quantile_table(values)
        if 2 * len(values) > len(matrix) and quantiles[name][0] < quantiles[name][-1]:
            selected[name] = column  # a feature that few groups have would leave few complete ones
    groups = matrix[:, list(selected.values())]
    groups = groups[~np.isnan(groups).any(axis=1)]
    if not selected or len(groups) < _LEAST:
        return TrainingDistribution(quantiles=quantiles) if quantiles else None
    scores = normal_scores([quantiles[name] for name in selected], groups)
    folds = np.random.default_rng(0).permutation(len(groups)) % _FOLDS
    distances = np.concatenate([_left_out(groups, folds == fold) for fold in np.unique(folds)])
    return TrainingDistribution(
        quantiles=quantiles,
        names=tuple(selected),
        correlation=_rounded(_correlation(scores)),
        limit=max(short(np.quantile(distances, 1 - _OUTSIDE)), _CLOSEST),
    )


def mixed(
    first: TrainingDistribution | None,
    first_groups: int,
    second: TrainingDistribution | None,
    second_groups: int,
) -> TrainingDistribution | None:
    """Return a mixture of two training distributions, weighted by their numbers of groups."""
    if first is None or second is None:
        return first or second
    if first.names != second.names:  # too few groups on one side, or other features
        larger, smaller = (first, second) if first_groups > second_groups else (second, first)
        return larger if larger.names else smaller
    share = first_groups / (first_groups + second_groups)
    quantiles = {
        name: _blended(first.quantiles[name], second.quantiles[name], share)
        for name in first.quantiles
        if name in second.quantiles
    }
    matrix = share * np.array(first.correlation) + (1 - share) * np.array(second.correlation)
    return TrainingDistribution(
        quantiles=quantiles,
        names=first.names,
        correlation=_rounded(matrix),
        limit=share * first.limit + (1 - share) * second.limit,
    )


def _check(correlation: Floats, limit: float) -> None:
    if not np.isfinite(correlation).all() or (correlation != correlation.T).any():
        raise ValueError("its correlations must be symmetric")
    if (np.abs(np.diag(correlation) - 1) > _RIDGE / 2).any():
        raise ValueError("its correlations with themselves must be 1")
    if np.linalg.eigvalsh(correlation).min() < -_RIDGE / 2:
        raise ValueError("its correlations contradict each other")
    if not 0 < limit < math.inf:
        raise ValueError(f"the limit of its distance must be positive, got {limit}")


def _left_out(groups: Floats, held_out: NDArray[np.bool_]) -> Floats:
    """Return the distances of some groups from all others."""
    tables = [quantile_table(column) for column in groups[~held_out].T]
    matrix = _correlation(normal_scores(tables, groups[~held_out]))
    return _distances(normal_scores(tables, groups[held_out]), matrix)


def _distances(scores: Floats, correlation: Floats) -> Floats:
    regularised = correlation + _RIDGE * np.eye(len(correlation))
    squares = (scores * np.linalg.solve(regularised, scores.T).T).mean(axis=1)
    return np.asarray(np.sqrt(squares))


def _correlation(scores: Floats) -> Floats:
    moments = scores.T @ scores / len(scores)
    scale = np.sqrt(np.maximum(np.diag(moments), 1e-12))
    correlation: Floats = moments / np.outer(scale, scale)
    np.fill_diagonal(correlation, 1.0)
    return correlation


def _normal_distance(correlation: Floats) -> float:
    """Return the distance that 5 % of normal scores with these correlations exceed."""
    values = np.linalg.eigvalsh(correlation).clip(min=0)
    weights = values / (values + _RIDGE)
    mean, square = weights.sum() / len(values), (weights**2).sum() / len(values) ** 2
    freedom = float(mean**2 / square)  # the loops are faster with floats of Python
    return math.sqrt(chi_square_quantile(freedom, _OUTSIDE) * square / mean)


def _rounded(matrix: Floats) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(round(float(value), 4) for value in line) for line in matrix)


def _blended(first: Sequence[float], second: Sequence[float], share: float) -> tuple[float, ...]:
    """Return the quantiles of a mixture: each entry of a table counts as an equal share."""
    values = np.concatenate([first, second])
    weights = np.concatenate(
        [np.full(len(first), share / len(first)), np.full(len(second), (1 - share) / len(second))]
    )
    order = np.argsort(values, kind="stable")
    middles = np.cumsum(weights[order]) - weights[order] / 2
    quantiles = np.interp(LEVELS, middles, values[order])
    return tuple(map(short, quantiles))

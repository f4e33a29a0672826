"""Binned counts: the training groups in the cells between the cuts of one template.

Thresholds are compared at cuts: midpoints of neighbouring values of the data, and quantiles of the
belief.  Only the interval between two cuts matters for a group, so a posterior needs no more than
the numbers of groups of each class in the cells between the cuts, and no more is saved.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from mdtree.trees.arrays import DECIMALS, Floats, Ints
from mdtree.trees.template import (
    Question,
    Template,
    answers,
    questions_of,
    template_features,
    to_scale,
)

__all__ = [
    "BinnedCounts",
    "belief",
    "cells_of",
    "collect",
    "complete_rows",
    "continued",
]

_DEGREES = 4  # of freedom of the beliefs (Student's t)
_QUANTILES = 9  # of a belief that are cuts, from 0.03 to 0.97


@dataclass(frozen=True, kw_only=True)
class BinnedCounts:
    """The groups of each class between the cuts of one template."""

    shape: Template
    classes: tuple[str, ...]
    hit: float  # Dirichlet weight of a leaf's own class
    miss: float  # of all other classes together
    cuts: tuple[Floats, ...] = ()  # for each question, on its scale, rising
    cells: Ints = field(default_factory=lambda: np.empty((0, 0), dtype=np.intp))
    # (m, questions): the intervals that hold groups, numbered from 0
    counts: Floats = field(default_factory=lambda: np.empty((0, 0)))  # (m, classes)

    def __post_init__(self) -> None:
        strange = sorted(set(answers(self.shape)) - set(self.classes))
        if strange:
            raise ValueError(
                f"a shape answers {strange[0]!r}, which is not among the classes "
                f"{', '.join(self.classes)}"
            )

    @property
    def features(self) -> tuple[str, ...]:
        """Return the features that its template asks for, each once, in order."""
        return template_features(self.shape)

    def extended(self, cells: Ints, labels: Ints) -> BinnedCounts:
        """Return the counts with more groups, given by their cells."""
        one_hot = np.eye(len(self.classes))[labels]
        return replace(
            self, cells=np.vstack([self.cells, cells]), counts=np.vstack([self.counts, one_hot])
        )

    def merged(self) -> BinnedCounts:
        """Return equivalent counts with one line for each cell."""
        cells, where = np.unique(self.cells, axis=0, return_inverse=True)
        counts = np.zeros((len(cells), len(self.classes)))
        np.add.at(counts, where.reshape(-1), self.counts)
        return replace(self, cells=cells, counts=counts)


def collect(
    empty: BinnedCounts, matrix: Floats, columns: Mapping[str, int], labels: Ints, most: int
) -> BinnedCounts:
    """Choose cuts (at most `most` from the data), and count the groups in each cell.

    Groups with a missing feature are left out.
    """
    values, complete = _values(empty.shape, matrix, columns)
    values = values[complete]
    questions = list(questions_of(empty.shape))
    cuts = tuple(_cuts(question, values[:, i], most) for i, question in enumerate(questions))
    start = replace(
        empty,
        cuts=cuts,
        cells=np.empty((0, len(questions)), dtype=np.intp),
        counts=np.empty((0, len(empty.classes))),
    )
    return start.extended(_cells(values, cuts), labels[complete])


def continued(
    binned: BinnedCounts, matrix: Floats, columns: Mapping[str, int], labels: Ints
) -> BinnedCounts:
    """Add groups to earlier counts; the cuts stay."""
    values, complete = _values(binned.shape, matrix, columns)
    return binned.extended(_cells(values[complete], binned.cuts), labels[complete])


def cells_of(
    binned: BinnedCounts, matrix: Floats, columns: Mapping[str, int]
) -> tuple[Ints, NDArray[np.bool_]]:
    """Return the cell of each line, and which lines have all features."""
    values, complete = _values(binned.shape, matrix, columns)
    return _cells(values, binned.cuts), complete


def belief(question: Question, cuts: Floats) -> Floats:
    """Return the share of the belief around each cut."""
    from scipy.special import stdtr

    low, high = scaled_bounds(question)
    edges = np.concatenate([[low], _midpoints(cuts), [high]])
    mass = np.maximum(
        np.diff(stdtr(_DEGREES, (edges - _centre(question)) / question.spread)), 1e-12
    )
    shares: Floats = mass / mass.sum()
    return shares


def _cuts(question: Question, values: Floats, most_cuts: int) -> Floats:
    from scipy.special import stdtrit

    low, high = scaled_bounds(question)
    distinct = np.unique(values)
    midpoints = _midpoints(distinct)
    midpoints = midpoints[(midpoints > low) & (midpoints < high)]
    if len(midpoints) > most_cuts:
        midpoints = midpoints[np.linspace(0, len(midpoints) - 1, most_cuts).round().astype(int)]
    levels = np.linspace(0.03, 0.97, min(_QUANTILES, most_cuts))
    quantiles = np.round(_centre(question) + question.spread * stdtrit(_DEGREES, levels), DECIMALS)
    quantiles = np.append(quantiles[(quantiles > low) & (quantiles < high)], _centre(question))
    return np.unique(np.concatenate([midpoints, quantiles]))


def _midpoints(values: Floats) -> Floats:
    midpoints: Floats = values[1:] / 2 + values[:-1] / 2  # the sum of two huge values is too large
    return midpoints


def scaled_bounds(question: Question) -> tuple[float, float]:
    """Return the bounds of a belief on its scale."""
    low, high = to_scale(np.array(question.bounds, dtype=float), question.scale)
    return float(low), float(high)


def _centre(question: Question) -> float:
    return float(to_scale(np.array([question.start]), question.scale)[0])


def complete_rows(
    template: Template, matrix: Floats, columns: Mapping[str, int]
) -> NDArray[np.bool_]:
    """Return which lines have all features of a template."""
    indices = [columns[name] for name in template_features(template)]
    return np.asarray(~np.isnan(matrix[:, indices]).any(axis=1))


def _values(
    template: Template, matrix: Floats, columns: Mapping[str, int]
) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the features on the scales of their questions, and which lines have them all."""
    questions = list(questions_of(template))
    values: Floats = matrix[:, [columns[question.feature] for question in questions]]
    for number, question in enumerate(questions):
        if question.scale != "linear":
            values[:, number] = to_scale(values[:, number], question.scale)
    return values, complete_rows(template, matrix, columns)


def _cells(values: Floats, cuts: tuple[Floats, ...]) -> Ints:
    """Return the number of each value's interval: x <= cuts[j] if the number is <= j."""
    cells = np.empty(values.shape, dtype=np.intp)
    for number, question_cuts in enumerate(cuts):
        cells[:, number] = np.searchsorted(question_cuts, values[:, number], side="left")
    return cells

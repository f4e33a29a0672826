"""Forests: what each change would gain, relative to the test error, averaged over many trees.

A tree is four lists in the order of a walk that goes low first, so that the node behind a question
is its low side.  Forests predict; a single readable tree explains.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mdtree.trees.binning import Floats, Ints

__all__ = ["Forest", "RegressionTree"]

_LEAF = -1  # in the place of a feature


@dataclass(frozen=True, kw_only=True, eq=False)
class RegressionTree:
    """One tree whose leaves are numbers."""

    feature: Ints  # number of a column; -1: a leaf
    number: Floats  # of a question: its threshold; of a leaf: what it answers
    high: Ints  # of a question: the node for values above the threshold
    missing_high: NDArray[np.bool_]  # of a question: the way of a missing value

    def __post_init__(self) -> None:
        """Refuse lists that are no tree: each node behind its question, so that walks end."""
        count = len(self.feature)
        places = np.arange(count)
        asks = self.feature != _LEAF
        if not count == len(self.number) == len(self.high) == len(self.missing_high) > 0:
            raise ValueError("the lists of a tree must be as long as each other")
        if asks[-1] or (self.feature < _LEAF).any() or not np.isfinite(self.number).all():
            raise ValueError("a tree must end in leaves, and hold finite numbers")
        if (self.high[asks] <= places[asks] + 1).any() or (self.high[asks] >= count).any():
            raise ValueError("the sides of a question must lie behind it")

    def predict(self, matrix: Floats) -> Floats:
        """Walk all lines at once."""
        node = np.zeros(len(matrix), dtype=np.intp)
        lines = np.arange(len(matrix))
        while True:
            asks = self.feature[node] != _LEAF
            if not asks.any():
                return self.number[node]
            where, at = lines[asks], node[asks]
            values = matrix[where, self.feature[at]]
            high = np.where(np.isnan(values), self.missing_high[at], values > self.number[at])
            node[where] = np.where(high, self.high[at], at + 1)


@dataclass(frozen=True, kw_only=True, eq=False)
class Forest:
    """Trees for each remedy, over the same columns."""

    trees: Mapping[str, Sequence[RegressionTree]]  # remedy -> trees

    def __post_init__(self) -> None:
        """Refuse a forest that says nothing of a remedy."""
        if not self.trees or not all(self.trees.values()):
            raise ValueError("a forest needs a tree for each remedy")

    @property
    def columns(self) -> tuple[int, ...]:
        """List the columns that any tree asks for."""
        asked = [tree.feature for trees in self.trees.values() for tree in trees]
        return tuple(int(column) for column in np.unique(np.concatenate(asked)) if column != _LEAF)

    def gains(self, matrix: Floats) -> dict[str, Floats]:
        """Give the expected gain of each remedy for each line, relative to the test error."""
        return {
            remedy: np.mean([tree.predict(matrix) for tree in trees], axis=0)
            for remedy, trees in self.trees.items()
        }

"""Boosted trees: the chance of each class, from sums over many small trees.

    score(class)  = start + sum over its trees of the value of the leaf that a group ends in
    chance(class) = exp(score) / sum of exp(score) over all classes

A tree asks as many questions of each group as it is deep: is this feature, on the scale of the
kernel regression, at most that?  An unknown feature goes the way that the tree has learnt for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mdtree.trees.arrays import Floats

__all__ = ["DEEPEST", "NEVER_ABOVE", "BoostedTrees"]

DEEPEST = 8
NEVER_ABOVE = 30.0  # a threshold above all values of a scale
_PAIR = 2  # classes
_BLOCK = 16  # lines at once: their answers stay in the cache of the processor


@dataclass(frozen=True, kw_only=True, eq=False)
class BoostedTrees:
    """Complete binary trees, level by level: the questions below number n are 2 n + 1 and 2 n + 2.

    With two classes only the second has trees, and the score of the first is 0.
    """

    classes: Sequence[str]
    starts: Floats  # one score for each class with trees
    features: NDArray[np.intp]  # (trees, questions): numbers of scales; those of a class together
    thresholds: Floats  # (trees, questions)
    missing_low: NDArray[np.bool_]  # (trees, questions): an unknown feature counts as below
    values: Floats  # (trees, leaves)

    def __post_init__(self) -> None:
        """Refuse tables that do not belong together."""
        trees, questions = self.features.shape
        if questions != 2**self.depth - 1 or not 1 <= self.depth <= DEEPEST:
            raise ValueError(f"a boosted tree asks 1 to {2**DEEPEST - 1} questions, level by level")
        if {self.thresholds.shape, self.missing_low.shape} != {(trees, questions)}:
            raise ValueError("each question of a boosted tree needs a feature and a threshold")
        if self.values.shape != (trees, questions + 1):
            raise ValueError("each leaf of a boosted tree needs a value")
        needed = len(self.classes) - (len(self.classes) == _PAIR)
        if len(self.classes) < _PAIR or len(self.starts) != needed or trees % needed:
            raise ValueError("each class needs a start, and as many boosted trees as the others")
        if (self.features < 0).any():
            raise ValueError("boosted trees must ask for features")

    @property
    def depth(self) -> int:
        """Return how many questions a tree asks of each group."""
        return int(self.features.shape[1]).bit_length()

    def chances(self, lines: Floats) -> dict[str, Floats]:
        """Compute the chance of each class for each line of scaled features; NaN is unknown."""
        scores = np.zeros((len(lines), len(self.classes)))
        own = scores[:, -len(self.starts) :]
        own += self.starts
        columns = self._columns(lines.shape[1])
        for start in range(0, len(lines), _BLOCK):
            block = slice(start, start + _BLOCK)
            values = self._values_of(lines[block], columns)
            own[block] += values.reshape(len(values), len(self.starts), -1).sum(axis=2)
        strengths = np.exp(scores - scores.max(axis=1, keepdims=True))
        strengths /= strengths.sum(axis=1, keepdims=True)
        return dict(zip(self.classes, strengths.T, strict=True))

    def _values_of(self, lines: Floats, columns: NDArray[np.intp]) -> Floats:
        """Return the value of each line in each tree; each question asks for one of the columns."""
        unknown = np.isnan(lines)
        # an unknown feature is a very small number for some questions, and a very large one for
        # the others, which look for it among the columns of the second half
        both = np.vstack([np.where(unknown, -np.inf, lines).T, np.where(unknown, np.inf, lines).T])
        trees, questions = self.features.shape
        # all questions are answered, not only those on the way down: rows of neighbouring numbers
        # are compared many times faster than numbers that lie apart
        is_above = (both.take(columns, axis=0) > self.thresholds.T.reshape(-1, 1)).reshape(-1)
        size = trees * len(lines)
        asked = np.arange(size)  # trees, and their lines
        place = 1 + is_above[:size]  # the first question leads to the second or the third
        for _ in range(self.depth - 1):
            place = 2 * place + 1 + is_above.take(place * size + asked)
        leaves = (place - questions).reshape(trees, -1)
        leaves += np.arange(trees)[:, None] * (questions + 1)
        return np.asarray(self.values.take(leaves.T))

    def _columns(self, count: int) -> NDArray[np.intp]:
        widest = int(self.features.max(initial=0))
        if widest >= count:
            raise ValueError(f"boosted trees ask for feature {widest}, of {count}")
        columns = self.features + np.where(self.missing_low, 0, count)
        return np.asarray(columns.T.reshape(-1))  # the first questions of all trees come first

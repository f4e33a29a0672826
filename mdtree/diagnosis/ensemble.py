"""The ensemble of all plausible trees, which predicts even if features are missing."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mdtree.trees import Leaf, SavedTree, Split, probabilities
from mdtree.trees.arrays import Floats
from mdtree.trees.gain_model import Outcomes
from mdtree.trees.node import KNOWN, Node, weight_of

if TYPE_CHECKING:
    from mdtree.diagnosis.posterior_mixture import PosteriorMixture

__all__ = ["TreeEnsemble", "split_features"]

_SIMILAR = 40  # training groups from which a gain regression takes missing features


class TreeEnsemble:
    """All plausible trees of a saved tree, prepared once for many predictions."""

    def __init__(self, saved: SavedTree) -> None:
        self.saved = saved
        self._columns = {name: place for place, name in enumerate(saved.features)}
        self._mixture = _mixture(saved)

    @property
    def features(self) -> tuple[str, ...]:
        """Return the features that any of the trees asks for, each once."""
        if self.saved.gain_model is not None:
            return tuple(self.saved.features[n] for n in self.saved.gain_model.regression.columns)
        names = () if self._mixture is None else self._mixture.features
        return tuple(dict.fromkeys(names or split_features(self.saved.tree)))

    def probabilities(self, matrix: Floats) -> Floats:
        """Return the probability of each class for each line of features; NaN is missing."""
        if self._mixture is None:
            return probabilities(self.saved, matrix)
        return self._mixture.probabilities(matrix)

    def outcomes(self, matrix: Floats) -> Outcomes:
        """Return what is expected of each line; gains only by a regression of gains."""
        model = self.saved.gain_model
        if model is None:
            return Outcomes(probabilities=self.probabilities(matrix), gains={}, doublings={})
        return model.outcomes(matrix, self.saved.features, self.saved.classes)

    def votes(self, matrix: Floats) -> Floats | None:
        """Return the share of plausible trees that answer each class; None for a single tree."""
        return None if self._mixture is None else self._mixture.votes(matrix)

    def outlook(self, line: Floats, features: Collection[str]) -> tuple[Floats, Floats]:
        """Return the possible probabilities once these missing features are known.

        One line for each outcome, and the share of each.  A posterior has an outcome for each of
        200 levels of the missing features, a single tree for each leaf that the walk may reach,
        and a gain regression for each of the most similar training groups.
        """
        return self.outlooks([(line, features)])[0]

    def outlooks(
        self, questions: Sequence[tuple[Floats, Collection[str]]]
    ) -> list[tuple[Floats, Floats]]:
        """Return the outlook for several lines and their features, computed together."""
        if self.saved.gain_model is None or not questions:
            return [self._outlook(*question) for question in questions]
        filled = self.filled_in(questions)
        # lines with the same unknown numbers are predicted fastest next to each other
        order = sorted(range(len(filled)), key=lambda n: np.isnan(filled[n][0]).tobytes())
        outcomes = self.probabilities(np.concatenate([filled[number] for number in order]))
        parts = dict(zip(order, outcomes.reshape(len(order), _SIMILAR, -1), strict=True))
        shares = np.full(_SIMILAR, 1 / _SIMILAR)
        return [(parts[number], shares) for number in range(len(questions))]

    def filled_in(self, questions: Sequence[tuple[Floats, Collection[str]]]) -> list[Floats]:
        """Return each line with its features as in the most similar groups of a regression."""
        assert self.saved.gain_model is not None, "only a regression knows similar groups"
        lines = np.array([line for line, _ in questions])
        distinct, which = np.unique(lines, axis=0, return_inverse=True)
        wanted = {self._columns[name] for _, features in questions for name in features}
        similar = self.saved.gain_model.regression.alike(distinct, _SIMILAR, wanted)
        return [
            self._filled_in(similar[number], line, features)
            for number, (line, features) in zip(which.reshape(-1), questions, strict=True)
        ]

    def _outlook(self, line: Floats, features: Collection[str]) -> tuple[Floats, Floats]:
        if self._mixture is not None:
            return self._mixture.outlook(line, features)
        values = dict(zip(self.saved.features, map(float, line), strict=True))
        ends = list(_reachable_leaves(self.saved.tree, values, features))
        outcomes = [probabilities(replace(self.saved, tree=end), line[None])[0] for end in ends]
        weights = np.array([weight_of(end) for end in ends])
        return np.array(outcomes), weights / (weights.sum() or 1.0)

    def _filled_in(self, similar: Floats, line: Floats, features: Collection[str]) -> Floats:
        """Fill in missing features from the training groups that are most similar in the rest."""
        lines = np.repeat(line[None], _SIMILAR, axis=0)
        if not len(similar):
            return lines
        places = np.arange(_SIMILAR) % len(similar)
        for name in features:
            column = self._columns[name]
            if math.isnan(line[column]):
                lines[:, column] = similar[places, column]
        return lines


def _mixture(saved: SavedTree) -> PosteriorMixture | None:
    """Prepare the posteriors of a tree; None if it has none."""
    if not saved.components:
        return None
    from mdtree.diagnosis.posterior_mixture import PosteriorMixture  # late: many trees have none

    return PosteriorMixture(saved)


def split_features(node: Node) -> list[str]:
    """Return the features that a tree asks for, in order, some of them several times."""
    if not isinstance(node, Split):
        return []
    return [node.feature, *split_features(node.low), *split_features(node.high)]


def _reachable_leaves(
    node: Node, values: dict[str, float], features: Collection[str]
) -> Iterator[Leaf]:
    """Yield the leaves that a walk may reach once these missing features are known."""
    if isinstance(node, Leaf):
        yield node
        return
    value = values[node.feature]
    if math.isnan(value) and node.feature in features:
        sides = ("low",) if node.threshold == KNOWN else ("low", "high")
    else:
        sides = (
            node.missing if math.isnan(value) else "low" if value <= node.threshold else "high",
        )
    for side in sides:
        yield from _reachable_leaves(node.low if side == "low" else node.high, values, features)

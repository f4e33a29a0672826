"""The ensemble of all plausible trees, which predicts even if features are missing.

Missing features are averaged over the training groups, weighted by similarity in the others:

    P(class | known) = sum_g w_g P(class | known, missing of g) / sum_g w_g,
    w_g = n_g exp(-((d_g - min d) / 0.1)^2),   d_g = mean over known questions of
    |cell - cell of g| / cells of the question .
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mdtree.trees import Leaf, SavedTree, Split, probabilities
from mdtree.trees.binning import Floats, Ints, cells_of
from mdtree.trees.gain_model import Outcomes
from mdtree.trees.node import KNOWN, Node, weight_of
from mdtree.trees.posterior import Posterior, posterior
from mdtree.trees.template import DECIMALS, questions_of

__all__ = ["TreeEnsemble", "split_features"]

_ALIKE = 0.1  # of the cells of a question
_POINTS = (np.arange(200) + 0.5) / 200  # levels at which missing features are filled in
_SIMILAR = 40  # training groups from which a gain regression takes missing features


@dataclass(frozen=True)
class _Case:
    """One group, as the questions of one template see it."""

    cells: Ints
    missing: NDArray[np.bool_]


class TreeEnsemble:
    """All plausible trees of a saved tree, prepared once for many predictions."""

    def __init__(self, saved: SavedTree) -> None:
        self.saved = saved
        self._columns = {name: place for place, name in enumerate(saved.features)}
        total = sum(weight for weight, _ in saved.components)
        self._posteriors = [
            (weight / total, posterior(binned.merged())) for weight, binned in saved.components
        ]

    @property
    def features(self) -> tuple[str, ...]:
        """Return the features that any of the trees asks for, each once."""
        if self.saved.gain_model is not None:
            return tuple(self.saved.features[n] for n in self.saved.gain_model.regression.columns)
        names = [
            name
            for _, template_posterior in self._posteriors
            for name in _questions(template_posterior)
        ]
        return tuple(dict.fromkeys(names or split_features(self.saved.tree)))

    def probabilities(self, matrix: Floats) -> Floats:
        """Return the probability of each class for each line of features; NaN is missing."""
        if not self._posteriors:
            return probabilities(self.saved, matrix)
        return self._mixed(matrix, votes=False)

    def outcomes(self, matrix: Floats) -> Outcomes:
        """Return what is expected of each line; gains only by a regression of gains."""
        model = self.saved.gain_model
        if model is None:
            return Outcomes(probabilities=self.probabilities(matrix), gains={}, doublings={})
        return model.outcomes(matrix, self.saved.features, self.saved.classes)

    def votes(self, matrix: Floats) -> Floats | None:
        """Return the share of plausible trees that answer each class; None for a single tree."""
        return self._mixed(matrix, votes=True) if self._posteriors else None

    def outlook(self, line: Floats, features: Collection[str]) -> tuple[Floats, Floats]:
        """Return the possible probabilities once these missing features are known.

        One line for each outcome, and the share of each.  The n-th outcome of one template goes
        with the n-th of the others: they are in the order of the missing features.  A single tree
        has an outcome for each leaf that the walk may reach, and a gain regression has one for
        each of the most similar training groups.
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
        if not self._posteriors:
            values = dict(zip(self.saved.features, map(float, line), strict=True))
            ends = list(_reachable_leaves(self.saved.tree, values, features))
            outcomes = [probabilities(replace(self.saved, tree=end), line[None])[0] for end in ends]
            weights = np.array([weight_of(end) for end in ends])
            return np.array(outcomes), weights / (weights.sum() or 1.0)
        out = np.zeros((len(_POINTS), len(self.saved.classes)))
        for weight, template_posterior in self._posteriors:
            out += weight * _outcomes(
                template_posterior, self._case(template_posterior, line), features
            )
        return out, np.full(len(_POINTS), 1 / len(_POINTS))

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

    def _mixed(self, matrix: Floats, *, votes: bool) -> Floats:
        out = np.zeros((len(matrix), len(self.saved.classes)))
        for weight, template_posterior in self._posteriors:
            cells, complete = cells_of(template_posterior.binned, matrix, self._columns)
            out[complete] += weight * (
                template_posterior.votes if votes else template_posterior.at
            )(cells[complete])
            for number in np.flatnonzero(~complete):
                case = self._case(template_posterior, matrix[number])
                out[number] += weight * _completed(template_posterior, case, votes=votes)
        return out

    def _case(self, template_posterior: Posterior, line: Floats) -> _Case:
        cells, _ = cells_of(template_posterior.binned, line[None], self._columns)
        missing = np.isnan(line[[self._columns[name] for name in _questions(template_posterior)]])
        return _Case(cells[0], missing)


def _questions(template_posterior: Posterior) -> list[str]:
    return [question.feature for question in questions_of(template_posterior.binned.shape)]


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


def _completed(template_posterior: Posterior, case: _Case, *, votes: bool = False) -> Floats:
    """Average over the training groups that stand in for the missing features."""
    predict = template_posterior.votes if votes else template_posterior.at
    if not case.missing.any():
        return np.asarray(predict(case.cells[None])[0])
    stand_ins, shares = _similar_groups(template_posterior, case)
    if not len(shares):
        return np.full(
            len(template_posterior.binned.classes), 1 / len(template_posterior.binned.classes)
        )
    average: Floats = shares @ predict(np.where(case.missing, stand_ins, case.cells))
    return average


def _outcomes(template_posterior: Posterior, case: _Case, features: Collection[str]) -> Floats:
    """Return the answers at evenly spaced levels of these features, the lowest first."""
    known_now = case.missing & np.array(
        [name in features for name in _questions(template_posterior)], dtype=bool
    )
    stand_ins, shares = _similar_groups(template_posterior, case)
    if not known_now.any() or not len(shares):
        return np.tile(_completed(template_posterior, case), (len(_POINTS), 1))
    order = np.lexsort(stand_ins[:, known_now].T[::-1])
    sums = np.round(shares[order].cumsum(), DECIMALS)  # equal shares add up to levels themselves
    chosen = order[np.searchsorted(sums, _POINTS).clip(max=len(order) - 1)]
    cells, where = np.unique(
        np.where(known_now, stand_ins[chosen], case.cells), axis=0, return_inverse=True
    )
    still_missing = case.missing & ~known_now
    completed = np.array(
        [_completed(template_posterior, _Case(cells_row, still_missing)) for cells_row in cells]
    )
    return np.asarray(completed[where.reshape(-1)])


def _similar_groups(template_posterior: Posterior, case: _Case) -> tuple[Ints, Floats]:
    """Return the cells of the training groups, and weights by similarity in known features."""
    binned = template_posterior.binned
    filled = binned.counts.any(axis=1)
    cells, weights = binned.cells[filled], binned.counts[filled].sum(axis=1)
    known = ~case.missing
    if known.any() and len(cells):
        sizes = np.array([len(cut) + 1 for cut in binned.cuts])[known]
        distance = (np.abs(cells - case.cells)[:, known] / sizes).mean(axis=1)
        weights = weights * np.exp(-(((distance - distance.min()) / _ALIKE) ** 2))
    return cells, weights / (weights.sum() or 1.0)

"""The ensemble of all plausible trees: what they say of a group, also where it is not known whole.

What is missing is averaged over the training groups, weighted by how alike they are in the rest:

    P(class | known) = sum_g w_g P(class | known, missing of g) / sum_g w_g,
    w_g = n_g exp(-((d_g - min d) / 0.1)^2),   d_g = mean over known questions of
    |cell - cell of g| / cells of the question .
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mdtree.trees import Leaf, SavedTree, Split, probabilities
from mdtree.trees.binning import Floats, Ints, cells_of
from mdtree.trees.node import KNOWN, Node, weight_of
from mdtree.trees.posterior import Posterior, posterior
from mdtree.trees.template import DECIMALS, questions_of

__all__ = ["TreeEnsemble"]

_ALIKE = 0.1  # of the cells of a question
_POINTS = (np.arange(200) + 0.5) / 200  # levels at which what is missing is told


@dataclass(frozen=True)
class _Case:
    """One group, as the questions of one shape see it."""

    cells: Ints
    missing: NDArray[np.bool_]


class TreeEnsemble:
    """All plausible trees of a saved tree; prepared once, asked often."""

    def __init__(self, saved: SavedTree) -> None:
        self.saved = saved
        self._columns = {name: place for place, name in enumerate(saved.features)}
        total = sum(weight for weight, _ in saved.components)
        self._posteriors = [
            (weight / total, posterior(binned.merged())) for weight, binned in saved.components
        ]

    @property
    def features(self) -> tuple[str, ...]:
        """List the features that any of the trees asks for, each once."""
        names = [name for _, posterior_ in self._posteriors for name in _questions(posterior_)]
        return tuple(dict.fromkeys(names or _asked(self.saved.tree)))

    def probabilities(self, matrix: Floats) -> Floats:
        """Give the probability of each class for each line of features; NaN is missing."""
        if not self._posteriors:
            return probabilities(self.saved, matrix)
        return self._mixed(matrix, votes=False)

    def votes(self, matrix: Floats) -> Floats | None:
        """Give the share of the plausible trees that answer each class; None for a single tree."""
        return self._mixed(matrix, votes=True) if self._posteriors else None

    def outlook(self, line: Floats, features: Collection[str]) -> tuple[Floats, Floats]:
        """Say how the probabilities may come out once these missing features are known.

        One line for each outcome, and its share.  The n-th outcome of one shape goes with the n-th
        of the others: they are in the order of the missing features.  A single tree has an outcome
        for each leaf that the walk may reach.
        """
        if not self._posteriors:
            values = dict(zip(self.saved.features, map(float, line), strict=True))
            ends = list(_reached(self.saved.tree, values, features))
            alone = [probabilities(replace(self.saved, tree=end), line[None])[0] for end in ends]
            weights = np.array([weight_of(end) for end in ends])
            return np.array(alone), weights / (weights.sum() or 1.0)
        out = np.zeros((len(_POINTS), len(self.saved.classes)))
        for weight, posterior_ in self._posteriors:
            out += weight * _by_level(posterior_, self._case(posterior_, line), features)
        return out, np.full(len(_POINTS), 1 / len(_POINTS))

    def _mixed(self, matrix: Floats, *, votes: bool) -> Floats:
        out = np.zeros((len(matrix), len(self.saved.classes)))
        for weight, posterior_ in self._posteriors:
            cells, is_complete = cells_of(posterior_.binned, matrix, self._columns)
            out[is_complete] += weight * (posterior_.votes if votes else posterior_.at)(
                cells[is_complete]
            )
            for number in np.flatnonzero(~is_complete):
                case = self._case(posterior_, matrix[number])
                out[number] += weight * _completed(posterior_, case, votes=votes)
        return out

    def _case(self, posterior_: Posterior, line: Floats) -> _Case:
        cells, _ = cells_of(posterior_.binned, line[None], self._columns)
        missing = np.isnan(line[[self._columns[name] for name in _questions(posterior_)]])
        return _Case(cells[0], missing)


def _questions(posterior_: Posterior) -> list[str]:
    return [question.feature for question in questions_of(posterior_.binned.shape)]


def _asked(node: Node) -> list[str]:
    if not isinstance(node, Split):
        return []
    return [node.feature, *_asked(node.low), *_asked(node.high)]


def _reached(node: Node, values: dict[str, float], features: Collection[str]) -> Iterator[Leaf]:
    """List the leaves that a walk may reach once these missing features are known."""
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
        yield from _reached(node.low if side == "low" else node.high, values, features)


def _completed(posterior_: Posterior, case: _Case, *, votes: bool = False) -> Floats:
    """Average over the training groups that stand in for what is missing."""
    look_up = posterior_.votes if votes else posterior_.at
    if not case.missing.any():
        return np.asarray(look_up(case.cells[None])[0])
    stand_ins, shares = _alike(posterior_, case)
    if not len(shares):
        return np.full(len(posterior_.binned.classes), 1 / len(posterior_.binned.classes))
    expected: Floats = shares @ look_up(np.where(case.missing, stand_ins, case.cells))
    return expected


def _by_level(posterior_: Posterior, case: _Case, features: Collection[str]) -> Floats:
    """Give the answers at evenly spaced levels of these features, the lowest first."""
    learnt = case.missing & np.array(
        [name in features for name in _questions(posterior_)], dtype=bool
    )
    stand_ins, shares = _alike(posterior_, case)
    if not learnt.any() or not len(shares):
        return np.tile(_completed(posterior_, case), (len(_POINTS), 1))
    order = np.lexsort(stand_ins[:, learnt].T[::-1])
    sums = np.round(shares[order].cumsum(), DECIMALS)  # equal shares add up to levels themselves
    chosen = order[np.searchsorted(sums, _POINTS).clip(max=len(order) - 1)]
    cells, where = np.unique(
        np.where(learnt, stand_ins[chosen], case.cells), axis=0, return_inverse=True
    )
    left = case.missing & ~learnt
    outcomes = np.array([_completed(posterior_, _Case(own, left)) for own in cells])
    return np.asarray(outcomes[where.reshape(-1)])


def _alike(posterior_: Posterior, case: _Case) -> tuple[Ints, Floats]:
    """Weigh the training groups by how alike they are in what is known: cells, and shares."""
    binned = posterior_.binned
    some = binned.counts.any(axis=1)
    cells, weights = binned.cells[some], binned.counts[some].sum(axis=1)
    known = ~case.missing
    if known.any() and len(cells):
        sizes = np.array([len(cut) + 1 for cut in binned.cuts])[known]
        distance = (np.abs(cells - case.cells)[:, known] / sizes).mean(axis=1)
        weights = weights * np.exp(-(((distance - distance.min()) / _ALIKE) ** 2))
    return cells, weights / (weights.sum() or 1.0)

"""All plausible trees of a posterior, which predict even if features are missing.

Missing features are averaged over the training groups, weighted by similarity in the others:

    P(class | known) = sum_g w_g P(class | known, missing of g) / sum_g w_g,
    w_g = n_g exp(-((d_g - min d) / 0.1)^2),   d_g = mean over known questions of
    |cell - cell of g| / cells of the question .
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mdtree.trees import SavedTree
from mdtree.trees.arrays import DECIMALS, Floats, Ints
from mdtree.trees.binning import cells_of
from mdtree.trees.posterior import Posterior, posterior
from mdtree.trees.template import questions_of

__all__ = ["PosteriorMixture"]

_ALIKE = 0.1  # of the cells of a question
_POINTS = (np.arange(200) + 0.5) / 200  # levels at which missing features are filled in


@dataclass(frozen=True)
class _Case:
    """One group, as the questions of one template see it."""

    cells: Ints
    missing: NDArray[np.bool_]


class PosteriorMixture:
    """The posteriors of a saved tree, one for each template, weighted."""

    def __init__(self, saved: SavedTree) -> None:
        self._classes = saved.classes
        self._columns = {name: place for place, name in enumerate(saved.features)}
        total = sum(weight for weight, _ in saved.components)
        self._posteriors = [
            (weight / total, posterior(binned.merged())) for weight, binned in saved.components
        ]

    @property
    def features(self) -> tuple[str, ...]:
        """Return the features that any of the templates asks for, each once."""
        names = (name for _, each in self._posteriors for name in _questions(each))
        return tuple(dict.fromkeys(names))

    def probabilities(self, matrix: Floats) -> Floats:
        """Return the probability of each class for each line of features; NaN is missing."""
        return self._mixed(matrix, votes=False)

    def votes(self, matrix: Floats) -> Floats:
        """Return the share of plausible trees that answer each class."""
        return self._mixed(matrix, votes=True)

    def outlook(self, line: Floats, features: Collection[str]) -> tuple[Floats, Floats]:
        """Return the possible probabilities once these missing features are known.

        One line for each outcome, and the share of each.  The n-th outcome of one template goes
        with the n-th of the others: they are in the order of the missing features.
        """
        out = np.zeros((len(_POINTS), len(self._classes)))
        for weight, template_posterior in self._posteriors:
            out += weight * _outcomes(
                template_posterior, self._case(template_posterior, line), features
            )
        return out, np.full(len(_POINTS), 1 / len(_POINTS))

    def _mixed(self, matrix: Floats, *, votes: bool) -> Floats:
        out = np.zeros((len(matrix), len(self._classes)))
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

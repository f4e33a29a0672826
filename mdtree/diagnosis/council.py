"""The council of all plausible trees: what they say of a group, also where it is not known whole.

What is missing is averaged over the training groups, weighted by how alike they are in the rest:

    P(class | known) = sum_g w_g P(class | known, missing of g) / sum_g w_g,
    w_g = n_g exp(-((d_g - min d) / 0.1)^2),   d_g = mean over known questions of
    |cell - cell of g| / cells of the question .
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mdtree.trees import SavedTree, Split, probabilities
from mdtree.trees.evidence import Floats, Ints, cells_of
from mdtree.trees.node import Node
from mdtree.trees.posterior import Posterior, posterior
from mdtree.trees.shape import asks

__all__ = ["Council"]

_ALIKE = 0.1  # of the cells of a question
_MOST = 200  # training groups that stand in for what is missing


@dataclass(frozen=True)
class _Case:
    """One group, as the questions of one shape see it."""

    cells: Ints
    missing: NDArray[np.bool_]


class Council:
    """All plausible trees of a saved tree; prepared once, asked often."""

    def __init__(self, saved: SavedTree) -> None:
        self.saved = saved
        self._columns = {name: place for place, name in enumerate(saved.features)}
        self._held = [(weight, posterior(evidence)) for weight, evidence in saved.components]

    @property
    def features(self) -> tuple[str, ...]:
        """List the features that any of the trees asks for, each once."""
        names = [name for _, held in self._held for name in _questions(held)]
        return tuple(dict.fromkeys(names or _asked(self.saved.tree)))

    def probabilities(self, matrix: Floats) -> Floats:
        """Give the probability of each class for each line of features; NaN is missing."""
        if not self._held:
            return probabilities(self.saved, matrix)
        return self._mixed(matrix, votes=False)

    def votes(self, matrix: Floats) -> Floats | None:
        """Give the share of the plausible trees that answer each class; None for a single tree."""
        return self._mixed(matrix, votes=True) if self._held else None

    def outlook(self, line: Floats, features: Collection[str]) -> tuple[Floats, Floats]:
        """Say how the probabilities may come out once these missing features are known.

        One line for each training group that is alike, and its share; none for a single tree.
        """
        lines, shares = [np.empty((0, len(self.saved.classes)))], [np.empty(0)]
        for weight, held in self._held:
            case = self._case(held, line)
            told = case.missing & np.array([name in features for name in _questions(held)])
            stand_ins, alike = _alike(held, case)
            found = [
                _completed(held, _Case(np.where(told, cells, case.cells), case.missing & ~told))
                for cells in stand_ins
            ]
            lines.append(np.array(found))
            shares.append(weight * alike)
        together = np.concatenate(shares)
        return np.vstack(lines), together / (together.sum() or 1.0)

    def _mixed(self, matrix: Floats, *, votes: bool) -> Floats:
        out = np.zeros((len(matrix), len(self.saved.classes)))
        total = sum(weight for weight, _ in self._held)
        for weight, held in self._held:
            cases = [self._case(held, line) for line in matrix]
            found = np.array([_completed(held, case, votes=votes) for case in cases])
            out += weight / total * found.reshape(out.shape)
        return out

    def _case(self, held: Posterior, line: Floats) -> _Case:
        cells, _ = cells_of(held.evidence, line[None], self._columns)
        missing = np.isnan(line[[self._columns[name] for name in _questions(held)]])
        return _Case(cells[0], missing)


def _questions(held: Posterior) -> list[str]:
    return [ask.feature for ask in asks(held.evidence.shape)]


def _asked(node: Node) -> list[str]:
    if not isinstance(node, Split):
        return []
    return [node.feature, *_asked(node.low), *_asked(node.high)]


def _completed(held: Posterior, case: _Case, *, votes: bool = False) -> Floats:
    """Average over the training groups that stand in for what is missing."""
    ask = held.votes if votes else held.at
    if not case.missing.any():
        return np.asarray(ask(case.cells[None])[0])
    stand_ins, shares = _alike(held, case)
    found: Floats = shares @ ask(np.where(case.missing, stand_ins, case.cells))
    return found


def _alike(held: Posterior, case: _Case) -> tuple[Ints, Floats]:
    """Choose training groups that are alike in what is known: their cells, and their shares."""
    evidence = held.evidence
    known = ~case.missing
    weights = evidence.counts.sum(axis=1)
    if known.any():
        sizes = np.array([len(cut) + 1 for cut in evidence.cuts])[known]
        distance = (np.abs(evidence.cells - case.cells)[:, known] / sizes).mean(axis=1)
        weights = weights * np.exp(-(((distance - distance.min()) / _ALIKE) ** 2))
    order = np.argsort(-weights, kind="stable")[:_MOST]
    return evidence.cells[order], weights[order] / weights[order].sum()

"""The posterior over all plausible thresholds of one shape, exactly.

A shape has questions with thresholds t_1 .. t_k and leaves that stand for classes.  A leaf that
holds n_c groups of class c has the likelihood of a Dirichlet distribution around its class,

    L(leaf) = B(n + a) / B(a),   a_c = hit for the leaf's own class, miss / (C - 1) for the others,

so wrong labels are expected, few of them, and their rate is learnt for each leaf.  The posterior is

    p(t | data) = prod_i p(t_i) * prod_leaf L(leaf; t) / Z .

A leaf depends only on the thresholds of its own path, so the sum over all thresholds runs from the
leaves to the root as sums over small tensors; nothing is sampled.  A prediction averages over all
thresholds with their weights, and is read from tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

from mdtree.trees.binning import BinnedCounts, Floats, Ints, belief, cells_of
from mdtree.trees.node import Leaf, Node, Split, weight_of
from mdtree.trees.template import Question, Template, TemplateLeaf, from_scale, questions_of

__all__ = ["Posterior", "averaged", "first_best", "posterior"]

_TIE = 1e-9  # of probabilities and their logarithms: their sums are not surer than that


@dataclass(frozen=True)
class _Turn:
    """A question on the way to a part of the shape, and the side on which the part lies."""

    number: int  # of the question, counted from the root down, low before high
    low: bool


_Path = tuple[_Turn, ...]


@dataclass(frozen=True, kw_only=True)
class _LeafSum:
    """A leaf; tensors run over the thresholds of its path."""

    answer: str
    path: _Path
    log_sum: Floats  # log likelihood
    log_best: Floats
    counts: Floats  # (..., classes) groups in the leaf
    classes: Floats  # (..., classes) expected share of each class


@dataclass(frozen=True, kw_only=True)
class _SplitSum:
    """A question and all below it, its own threshold summed out."""

    question: Question
    number: int  # of the question
    low: _Part
    high: _Part
    log_sum: Floats
    log_best: Floats
    share: Floats  # (..., cuts) of each threshold, given those of the path
    best: Ints  # the best threshold, given those of the path


_Part = _SplitSum | _LeafSum


@dataclass(frozen=True, kw_only=True)
class _Table:
    """What one leaf says in each cell of the questions on its path."""

    questions: tuple[int, ...]
    answer: str
    classes: Floats  # (..., classes) P(the leaf is reached, class | cell)
    reached: Floats  # (...) P(the leaf is reached | cell)


@dataclass(frozen=True, kw_only=True)
class Posterior:
    """All plausible trees of one shape, weighted."""

    binned: BinnedCounts
    log_evidence: float  # log Z
    tree: Node  # the most probable one
    tables: tuple[_Table, ...]  # one for each leaf

    def predict_proba(self, matrix: Floats, columns: Mapping[str, int]) -> Floats:
        """Average over all trees; lines with a missing feature of the shape are NaN."""
        cells, is_complete = cells_of(self.binned, matrix, columns)
        out = self.at(cells)
        out[~is_complete] = np.nan
        return out

    def at(self, cells: Ints) -> Floats:
        """Give the probability of each class in cells, one line for each."""
        out = np.zeros((len(cells), len(self.binned.classes)))
        for table in self.tables:
            out += table.classes[tuple(cells[:, question] for question in table.questions)]
        return out

    def votes(self, cells: Ints) -> Floats:
        """Give the share of the plausible trees that answer each class."""
        out = np.zeros((len(cells), len(self.binned.classes)))
        for table in self.tables:
            place = self.binned.classes.index(table.answer)
            out[:, place] += table.reached[tuple(cells[:, number] for number in table.questions)]
        return out


def posterior(binned: BinnedCounts) -> Posterior:
    """Sum over all thresholds, and prepare the tables that predictions are read from."""
    root = _summed(binned, binned.shape, (), 0)
    tables: list[_Table] = []
    _tabulate(root, np.array(1.0), tables)
    return Posterior(
        binned=binned,
        log_evidence=float(root.log_sum),
        tree=_best(binned, root, ()),
        tables=tuple(tables),
    )


def averaged(
    posteriors: Sequence[tuple[float, Posterior]], matrix: Floats, columns: Mapping[str, int]
) -> Floats:
    """Mix the shapes that can judge each line; one that none can judge is undecided."""
    classes = len(posteriors[0][1].binned.classes)
    total = np.zeros((len(matrix), classes))
    weights = np.zeros((len(matrix), 1))
    for weight, tables in posteriors:
        probabilities = tables.predict_proba(matrix, columns)
        can = ~np.isnan(probabilities).any(axis=1)
        total[can] += weight * probabilities[can]
        weights[can] += weight
    undecided = weights[:, 0] == 0
    total[undecided], weights[undecided] = 1 / classes, 1.0
    return total / weights


def _summed(binned: BinnedCounts, shape: Template, path: _Path, number: int) -> _Part:
    if isinstance(shape, TemplateLeaf):
        return _end(binned, shape, path)
    after_low = number + 1 + sum(1 for _ in questions_of(shape.low))
    low = _summed(binned, shape.low, (*path, _Turn(number, low=True)), number + 1)
    high = _summed(binned, shape.high, (*path, _Turn(number, low=False)), after_low)
    believed = np.log(belief(shape, binned.cuts[number]))
    joint = low.log_sum + high.log_sum + believed
    top = joint.max(axis=-1, keepdims=True)
    weights = np.exp(joint - top)
    total = weights.sum(axis=-1, keepdims=True)
    best = low.log_best + high.log_best + believed
    return _SplitSum(
        question=shape,
        number=number,
        low=low,
        high=high,
        log_sum=(top + np.log(total))[..., 0],
        log_best=best.max(axis=-1),
        share=weights / total,
        best=first_best(best),
    )


def first_best(values: Floats) -> Ints:
    """Find the first of the largest along the last axis; rounding does not break a tie."""
    return np.asarray((values >= values.max(axis=-1, keepdims=True) - _TIE).argmax(axis=-1))


def _end(binned: BinnedCounts, leaf: TemplateLeaf, path: _Path) -> _LeafSum:
    counts = _counts(binned, path)
    others = binned.miss / max(len(binned.classes) - 1, 1)
    prior = np.array([binned.hit if c == leaf.answer else others for c in binned.classes])
    expected = counts + prior
    total = expected.sum(axis=-1)
    likelihood = (gammaln(expected) - gammaln(prior)).sum(axis=-1)
    likelihood += gammaln(prior.sum()) - gammaln(total)
    return _LeafSum(
        answer=leaf.answer,
        path=path,
        log_sum=likelihood,
        log_best=likelihood,
        counts=counts,
        classes=expected / total[..., None],
    )


def _counts(binned: BinnedCounts, path: _Path) -> Floats:
    """Count the groups in a leaf, for all thresholds of its path at once."""
    if not path:
        return np.asarray(binned.counts.sum(axis=0))
    sizes = [len(binned.cuts[turn.number]) + 1 for turn in path]
    tensor = np.zeros((*sizes, len(binned.classes)))
    np.add.at(tensor, tuple(binned.cells[:, turn.number] for turn in path), binned.counts)
    for axis, turn in enumerate(path):
        low = np.delete(tensor.cumsum(axis=axis), -1, axis=axis)  # x <= cut j: intervals 0 .. j
        tensor = low if turn.low else tensor.sum(axis=axis, keepdims=True) - low
    return tensor


def _tabulate(part: _Part, weight: Floats, tables: list[_Table]) -> None:
    """Go down with the weight of each combination of thresholds; make a table at each leaf."""
    if isinstance(part, _SplitSum):
        below = weight[..., None] * part.share
        _tabulate(part.low, below, tables)
        _tabulate(part.high, below, tables)
        return
    tables.append(
        _Table(
            questions=tuple(turn.number for turn in part.path),
            answer=part.answer,
            classes=_over_cells(weight[..., None] * part.classes, part.path),
            reached=_over_cells(weight, part.path),
        )
    )


def _over_cells(table: Floats, path: _Path) -> Floats:
    """Turn sums for each threshold into sums over those thresholds that lead a cell here."""
    for axis, turn in enumerate(path):
        # interval b lies low of the cuts b, b + 1, ... and high of the cuts 0 .. b - 1
        nothing = np.zeros_like(table.take([0], axis=axis))
        high = np.concatenate([nothing, table.cumsum(axis=axis)], axis=axis)
        table = table.sum(axis=axis, keepdims=True) - high if turn.low else high
    return table


def _best(binned: BinnedCounts, part: _Part, chosen: tuple[int, ...]) -> Node:
    """Read off the most probable tree, given the thresholds chosen above."""
    if isinstance(part, _LeafSum):
        in_leaf = part.counts[chosen]
        counts = {name: float(n) for name, n in zip(binned.classes, in_leaf, strict=True)}
        return Leaf(answer=part.answer, counts=counts)
    index = int(part.best[chosen])
    low = _best(binned, part.low, (*chosen, index))
    high = _best(binned, part.high, (*chosen, index))
    threshold = from_scale(float(binned.cuts[part.number][index]), part.question.scale)
    return Split(
        feature=part.question.feature,
        threshold=threshold,
        low=low,
        high=high,
        missing="low" if weight_of(low) >= weight_of(high) else "high",
    )

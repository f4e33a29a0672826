"""The posterior over all plausible thresholds of one template, exactly.

A template has questions with thresholds t_1 .. t_k and leaves that stand for classes.  A leaf that
holds n_c groups of class c has the likelihood of a Dirichlet distribution around its class,

    L(leaf) = B(n + a) / B(a),   a_c = hit for the leaf's own class, miss / (C - 1) for the others,

so a few wrong labels are expected, and their rate is learnt for each leaf.  The posterior is

    p(t | data) = prod_i p(t_i) * prod_leaf L(leaf; t) / Z .

A leaf depends only on the thresholds of its own path, so the sum over all thresholds runs from the
leaves to the root as sums over small tensors; nothing is sampled.  A prediction averages over all
thresholds with their weights, and is read from tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mdtree.trees.arrays import Floats, Ints, first_best
from mdtree.trees.binning import BinnedCounts, belief, cells_of
from mdtree.trees.node import Leaf, Node, Split, weight_of
from mdtree.trees.template import Question, Template, TemplateLeaf, from_scale, questions_of

__all__ = ["Posterior", "averaged", "posterior"]


@dataclass(frozen=True)
class _PathStep:
    """A question on the path to a subtree, and the side on which the subtree lies."""

    number: int  # of the question, counted from the root down, low before high
    low: bool


_Path = tuple[_PathStep, ...]


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
    """A question and everything below it, its own threshold summed out."""

    question: Question
    number: int  # of the question
    low: _Subtree
    high: _Subtree
    log_sum: Floats
    log_best: Floats
    share: Floats  # (..., cuts) of each threshold, given those of the path
    best: Ints  # the best threshold, given those of the path


_Subtree = _SplitSum | _LeafSum


@dataclass(frozen=True, kw_only=True)
class _Table:
    """What one leaf predicts in each cell of the questions on its path."""

    questions: tuple[int, ...]
    answer: str
    classes: Floats  # (..., classes) P(the leaf is reached, class | cell)
    reached: Floats  # (...) P(the leaf is reached | cell)


@dataclass(frozen=True, kw_only=True)
class Posterior:
    """All plausible trees of one template, weighted."""

    binned: BinnedCounts
    log_evidence: float  # log Z
    tree: Node  # the most probable one
    tables: tuple[_Table, ...]  # one for each leaf

    def predict_proba(self, matrix: Floats, columns: Mapping[str, int]) -> Floats:
        """Average over all trees; lines with a missing feature of the template are NaN."""
        cells, complete = cells_of(self.binned, matrix, columns)
        out = self.at(cells)
        out[~complete] = np.nan
        return out

    def at(self, cells: Ints) -> Floats:
        """Return the probability of each class in cells, one line for each."""
        out = np.zeros((len(cells), len(self.binned.classes)))
        for table in self.tables:
            out += table.classes[tuple(cells[:, question] for question in table.questions)]
        return out

    def votes(self, cells: Ints) -> Floats:
        """Return the share of the plausible trees that answer each class."""
        out = np.zeros((len(cells), len(self.binned.classes)))
        for table in self.tables:
            place = self.binned.classes.index(table.answer)
            out[:, place] += table.reached[tuple(cells[:, number] for number in table.questions)]
        return out


def posterior(binned: BinnedCounts) -> Posterior:
    """Sum over all thresholds, and prepare the tables that predictions are read from."""
    root = _sum_subtree(binned, binned.shape, (), 0)
    tables: list[_Table] = []
    _tabulate(root, np.array(1.0), tables)
    return Posterior(
        binned=binned,
        log_evidence=float(root.log_sum),
        tree=_best_tree(binned, root, ()),
        tables=tuple(tables),
    )


def averaged(
    posteriors: Sequence[tuple[float, Posterior]], matrix: Floats, columns: Mapping[str, int]
) -> Floats:
    """Average the templates whose features each line has; a line without any is undecided."""
    classes = len(posteriors[0][1].binned.classes)
    total = np.zeros((len(matrix), classes))
    weights = np.zeros((len(matrix), 1))
    for weight, template_posterior in posteriors:
        probabilities = template_posterior.predict_proba(matrix, columns)
        complete = ~np.isnan(probabilities).any(axis=1)
        total[complete] += weight * probabilities[complete]
        weights[complete] += weight
    undecided = weights[:, 0] == 0
    total[undecided], weights[undecided] = 1 / classes, 1.0
    return total / weights


def _sum_subtree(binned: BinnedCounts, template: Template, path: _Path, number: int) -> _Subtree:
    if isinstance(template, TemplateLeaf):
        return _sum_leaf(binned, template, path)
    after_low = number + 1 + sum(1 for _ in questions_of(template.low))
    low = _sum_subtree(binned, template.low, (*path, _PathStep(number, low=True)), number + 1)
    high = _sum_subtree(binned, template.high, (*path, _PathStep(number, low=False)), after_low)
    log_belief = np.log(belief(template, binned.cuts[number]))
    joint = low.log_sum + high.log_sum + log_belief
    largest = joint.max(axis=-1, keepdims=True)
    weights = np.exp(joint - largest)
    total = weights.sum(axis=-1, keepdims=True)
    best = low.log_best + high.log_best + log_belief
    return _SplitSum(
        question=template,
        number=number,
        low=low,
        high=high,
        log_sum=(largest + np.log(total))[..., 0],
        log_best=best.max(axis=-1),
        share=weights / total,
        best=first_best(best),
    )


def _sum_leaf(binned: BinnedCounts, leaf: TemplateLeaf, path: _Path) -> _LeafSum:
    from scipy.special import gammaln  # many verdicts need no sum over thresholds

    counts = _counts(binned, path)
    miss_weight = binned.miss / max(len(binned.classes) - 1, 1)
    prior = np.array([binned.hit if c == leaf.answer else miss_weight for c in binned.classes])
    concentrations = counts + prior
    total = concentrations.sum(axis=-1)
    likelihood = (gammaln(concentrations) - gammaln(prior)).sum(axis=-1)
    likelihood += gammaln(prior.sum()) - gammaln(total)
    return _LeafSum(
        answer=leaf.answer,
        path=path,
        log_sum=likelihood,
        log_best=likelihood,
        counts=counts,
        classes=concentrations / total[..., None],
    )


def _counts(binned: BinnedCounts, path: _Path) -> Floats:
    """Count the groups in a leaf, for all thresholds of its path at once."""
    if not path:
        return np.asarray(binned.counts.sum(axis=0))
    sizes = [len(binned.cuts[step.number]) + 1 for step in path]
    tensor = np.zeros((*sizes, len(binned.classes)))
    np.add.at(tensor, tuple(binned.cells[:, step.number] for step in path), binned.counts)
    for axis, step in enumerate(path):
        low = np.delete(tensor.cumsum(axis=axis), -1, axis=axis)  # x <= cut j: intervals 0 .. j
        tensor = low if step.low else tensor.sum(axis=axis, keepdims=True) - low
    return tensor


def _tabulate(subtree: _Subtree, weight: Floats, tables: list[_Table]) -> None:
    """Go down with the weight of each combination of thresholds; make a table at each leaf."""
    if isinstance(subtree, _SplitSum):
        below = weight[..., None] * subtree.share
        _tabulate(subtree.low, below, tables)
        _tabulate(subtree.high, below, tables)
        return
    tables.append(
        _Table(
            questions=tuple(step.number for step in subtree.path),
            answer=subtree.answer,
            classes=_over_cells(weight[..., None] * subtree.classes, subtree.path),
            reached=_over_cells(weight, subtree.path),
        )
    )


def _over_cells(table: Floats, path: _Path) -> Floats:
    """Return for each cell the sum over the thresholds that lead it to this leaf."""
    for axis, step in enumerate(path):
        # interval b lies low of the cuts b, b + 1, ... and high of the cuts 0 .. b - 1
        zeros = np.zeros_like(table.take([0], axis=axis))
        high = np.concatenate([zeros, table.cumsum(axis=axis)], axis=axis)
        table = table.sum(axis=axis, keepdims=True) - high if step.low else high
    return table


def _best_tree(binned: BinnedCounts, subtree: _Subtree, chosen: tuple[int, ...]) -> Node:
    """Return the most probable tree, given the thresholds chosen above."""
    if isinstance(subtree, _LeafSum):
        leaf_counts = subtree.counts[chosen]
        counts = {
            name: float(count) for name, count in zip(binned.classes, leaf_counts, strict=True)
        }
        return Leaf(answer=subtree.answer, counts=counts)
    index = int(subtree.best[chosen])
    low = _best_tree(binned, subtree.low, (*chosen, index))
    high = _best_tree(binned, subtree.high, (*chosen, index))
    threshold = from_scale(float(binned.cuts[subtree.number][index]), subtree.question.scale)
    return Split(
        feature=subtree.question.feature,
        threshold=threshold,
        low=low,
        high=high,
        missing="low" if weight_of(low) >= weight_of(high) else "high",
    )

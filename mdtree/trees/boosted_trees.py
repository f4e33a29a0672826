"""Boosted trees: the chance of each class, from sums over many small trees, and their fit.

    score(class)  = start + sum over its trees of the value of the leaf that a group ends in
    chance(class) = exp(score) / sum of exp(score) over all classes

A tree asks as many questions of each group as it is deep: is this feature, on the scale of the
kernel regression, at most that?  An unknown feature goes the way that the tree has learnt for it.

They are fitted one after another, each to what those before it leave unexplained: gradient boosting
of multinomial deviance with histograms (Friedman, 2001; Ke et al., 2017), by scikit-learn, whose
trees are then stored in this form.  Who only asks them loads no scikit-learn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdtree.trees.binning import Floats

__all__ = ["DEEPEST", "NEVER_ABOVE", "BoostedTrees", "boosted"]

DEEPEST = 8
NEVER_ABOVE = 30.0  # a threshold above all values of a scale
_PAIR = 2  # classes
_BLOCK = 64  # lines at once: their places in the trees stay in the cache of the processor

# how they are fitted
_ROUNDS = 150  # trees of each class
_RATE = 0.1  # share of each tree that counts
_DEPTH = 3
_FEWEST = 40  # groups in a leaf
_RIDGE = 5.0
_DIGITS = 3  # of thresholds on a scale where most numbers are below 2, and of values
_SAME = 0.005  # chances differ by less on average; rounding may move single lines


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
        # the others, which look for it among the columns of the right half
        both = np.hstack([np.where(unknown, -np.inf, lines), np.where(unknown, np.inf, lines)])
        trees, questions = self.features.shape
        thresholds = self.thresholds.reshape(-1)
        first = np.arange(trees) * questions
        place = np.zeros((len(lines), trees), dtype=np.intp)
        for _ in range(self.depth):
            question = first + place
            asked = np.take_along_axis(both, columns[question], axis=1)
            place = 2 * place + 1 + (asked > thresholds[question])
        return np.asarray(self.values[np.arange(trees), place - questions])

    def _columns(self, count: int) -> NDArray[np.intp]:
        widest = int(self.features.max(initial=0))
        if widest >= count:
            raise ValueError(f"boosted trees ask for feature {widest}, of {count}")
        return np.asarray((self.features + np.where(self.missing_low, 0, count)).reshape(-1))


def boosted(
    lines: Floats, answers: NDArray[np.intp], weights: Floats, classes: Sequence[str]
) -> BoostedTrees:
    """Fit boosted trees to answers, which are numbers of classes; classes without any are left out.

    Args:
        lines: Scaled features, NaN where unknown.
        answers: The number of a class for each line; at least two different ones.
        weights: Of the lines.
        classes: Their names.

    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    learner = HistGradientBoostingClassifier(
        learning_rate=_RATE,
        max_iter=_ROUNDS,
        max_depth=_DEPTH,
        max_leaf_nodes=2**_DEPTH,
        min_samples_leaf=_FEWEST,
        l2_regularization=_RIDGE,
        early_stopping=False,
        random_state=0,
    )
    # one thread: those that share a core with other work wait for each other, for minutes
    with threadpool_limits(1, user_api="openmp"):
        fitted = learner.fit(lines, answers, sample_weight=weights)
    # there is no public way to its trees; the comparison below finds what has changed there
    rounds: list[list[Any]] = fitted._predictors  # noqa: SLF001
    trees = [each[number] for number in range(len(rounds[0])) for each in rounds]
    shape = len(trees), 2**_DEPTH - 1
    features, thresholds = np.zeros(shape, dtype=np.intp), np.full(shape, NEVER_ABOVE)
    missing_low, values = np.ones(shape, dtype=bool), np.zeros((len(trees), 2**_DEPTH))
    for number, tree in enumerate(trees):
        tables = features[number], thresholds[number], missing_low[number], values[number]
        _copy(tree.nodes, 0, 0, tables)
    starts: Floats = np.ravel(fitted._baseline_prediction)  # noqa: SLF001
    known = [classes[number] for number in fitted.classes_]
    stored = BoostedTrees(
        classes=known,
        starts=starts.round(_DIGITS),
        features=features,
        thresholds=thresholds.clip(max=NEVER_ABOVE).round(_DIGITS),
        missing_low=missing_low,
        values=values.round(_DIGITS),
    )
    given = np.column_stack([stored.chances(lines)[name] for name in known])
    _check(given, fitted.predict_proba(lines))
    return stored


def _copy(nodes: Any, node: int, place: int, tables: tuple[Any, Any, Any, Any]) -> None:
    """Copy a node and those below it; a leaf above the last level asks nothing more."""
    features, thresholds, missing_low, values = tables
    if place >= len(features):
        values[place - len(features)] = nodes[node]["value"]
    elif nodes[node]["is_leaf"]:
        _copy(nodes, node, 2 * place + 1, tables)
    else:
        features[place] = nodes[node]["feature_idx"]
        thresholds[place] = nodes[node]["num_threshold"]
        missing_low[place] = bool(nodes[node]["missing_go_to_left"])
        _copy(nodes, int(nodes[node]["left"]), 2 * place + 1, tables)
        _copy(nodes, int(nodes[node]["right"]), 2 * place + 2, tables)


def _check(stored: Floats, expected: Floats) -> None:
    """Refuse trees that do not answer as the fitted ones."""
    if np.abs(stored - expected).mean() > _SAME:
        raise RuntimeError(
            "boosted trees cannot be read from this version of scikit-learn: install the one in "
            "constraints/cpu.txt"
        )

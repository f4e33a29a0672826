"""The tree of scikit-learn (CART), grown freely and converted to our tree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.tree import DecisionTreeClassifier

from mdtree.trees.estimators.base import Floats, TreeEstimator, as_float32
from mdtree.trees.node import KNOWN, Leaf, Node, Split

__all__ = ["CartTree"]


class CartTree(TreeEstimator):
    """A decision tree by greedy Gini splits.

    Breiman, Friedman, Olshen, Stone: "Classification and Regression Trees", 1984.
    """

    def __init__(
        self, *, features: Sequence[str] | None = None, max_depth: int = 4, seed: int = 0
    ) -> None:
        self.features = features
        self.max_depth = max_depth
        self.seed = seed

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Grow the tree."""
        matrix, labels = self.checked(X, y)
        classifier = DecisionTreeClassifier(max_depth=self.max_depth, random_state=self.seed)
        classifier.fit(as_float32(matrix), labels)
        self.classes_ = classifier.classes_
        names = list(self.columns(matrix.shape[1]))
        self.tree_ = _converted(
            classifier.tree_, names, [str(c) for c in classifier.classes_], matrix, 0
        )
        return self


def _converted(tree: Any, names: list[str], classes: list[str], matrix: Floats, node: int) -> Node:
    """Copy a node of scikit-learn's arrays and all below it; the comparison is <= in both."""
    if tree.children_left[node] == -1:
        counts = (tree.value[node][0] * tree.weighted_n_node_samples[node]).round()
        return Leaf(
            answer=classes[int(np.argmax(counts))],
            counts={name: float(n) for name, n in zip(classes, counts, strict=True)},
        )
    values = matrix[:, tree.feature[node]]
    missing_low = bool(tree.missing_go_to_left[node])
    limit = tree.threshold[node]
    limit = np.inf if np.isnan(limit) else limit  # scikit-learn 1.8, where it asks what is missing
    side = np.where(np.isnan(values), missing_low, as_float32(values) <= limit)
    return Split(
        feature=names[tree.feature[node]],
        threshold=_threshold_between(values[side], values[~side]),
        low=_converted(tree, names, classes, matrix[side], tree.children_left[node]),
        high=_converted(tree, names, classes, matrix[~side], tree.children_right[node]),
        missing="low" if missing_low else "high",
    )


def _threshold_between(low: Floats, high: Floats) -> float:
    """Return the threshold in full precision.

    If all known values lie low, the question is whether a value is missing.
    """
    if np.isnan(high).all():
        return KNOWN
    highest_low, lowest_high = float(np.nanmax(low)), float(np.nanmin(high))
    middle = highest_low / 2 + lowest_high / 2
    return middle if middle < lowest_high else highest_low

"""The tree of scikit-learn (CART), grown freely and converted to our tree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.tree import DecisionTreeClassifier

from mdtree.trees.estimator import TreeEstimator
from mdtree.trees.node import Leaf, Node, Split

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
        grown = DecisionTreeClassifier(max_depth=self.max_depth, random_state=self.seed)
        grown.fit(matrix, labels)
        self.classes_ = grown.classes_
        names = list(self.columns(matrix.shape[1]))
        self.tree_ = _converted(grown.tree_, names, [str(c) for c in grown.classes_], 0)
        return self


def _converted(tree: Any, names: list[str], classes: list[str], node: int) -> Node:
    """Copy a node of scikit-learn's arrays and all below it; the comparison is <= in both."""
    if tree.children_left[node] == -1:
        held = (tree.value[node][0] * tree.weighted_n_node_samples[node]).round()
        return Leaf(
            answer=classes[int(np.argmax(held))],
            counts={name: float(n) for name, n in zip(classes, held, strict=True)},
        )
    return Split(
        feature=names[tree.feature[node]],
        threshold=float(tree.threshold[node]),
        low=_converted(tree, names, classes, tree.children_left[node]),
        high=_converted(tree, names, classes, tree.children_right[node]),
        missing="low" if tree.missing_go_to_left[node] else "high",
    )

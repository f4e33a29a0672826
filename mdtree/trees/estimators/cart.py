"""Trees of scikit-learn (CART), converted to ours: grown freely as one tree, or as templates.

Templates are grown from the training groups for zoos that no published template fits.  Each is a
decision tree on a bootstrap sample of the groups (CART, Breiman et al. 1984; bagging, Breiman
1996): the questions are as uncertain as their thresholds, so many templates are kept, and each gets
its own posterior over thresholds.  The belief in a threshold is centred on that of the bootstrap
sample, and a third of the feature's spread wide.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.tree import DecisionTreeClassifier

from mdtree.trees.arrays import Floats
from mdtree.trees.estimators.base import TreeEstimator, as_float32
from mdtree.trees.node import KNOWN, Leaf, Node, Split
from mdtree.trees.template import (
    Family,
    Question,
    Scale,
    Template,
    TemplateLeaf,
    from_scale,
    questions_of,
    rounded,
    to_scale,
)

__all__ = ["CartTree", "grow_template"]

_SCALES: dict[str, Scale] = {
    "train_error": "log",
    "train_loss": "log",
    "test_error": "log",
    "test_loss": "log",
    "connectivity": "arcsinh",
    "connectivity_peak": "arcsinh",
}
# scikit-learn's trees compare in single precision, and a threshold must come back from its scale
_LARGEST: dict[Scale, float] = {"linear": 1e30, "log": 600.0, "arcsinh": 600.0}
_FEW = 2  # classes


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


def grow_template(
    matrix: Floats,
    labels: NDArray[np.intp],
    classes: Sequence[str],
    features: Sequence[str],
    *,
    shapes: int | None = None,
    depth: int | None = None,
    leaf: int = 3,
    hit: float = 1.0,
    miss: float = 0.5,
    seed: int = 0,
) -> Family | None:
    """Grow templates on bootstrap samples of labelled groups; equal templates are merged.

    None if no question separates the classes of the groups.  Several classes need deeper
    templates, whose tables are larger, so there are fewer of them.
    """
    few_classes = len(classes) <= _FEW
    depth = depth or (3 if few_classes else 4)
    shapes = shapes or (24 if few_classes else 12)
    rng = np.random.default_rng(seed)
    scaled = np.column_stack(
        [
            to_scale(column, _scale(name)).clip(-_LARGEST[_scale(name)], _LARGEST[_scale(name)])
            for name, column in zip(features, matrix.T, strict=True)
        ]
    )
    templates: Counter[Template] = Counter()
    for _ in range(shapes):
        lines = rng.integers(len(matrix), size=len(matrix))
        cart = DecisionTreeClassifier(
            max_depth=depth, min_samples_leaf=leaf, random_state=int(rng.integers(2**31))
        )
        cart.fit(scaled[lines], labels[lines])
        template = _template(cart, 0, scaled, classes, features)
        if any(True for _ in questions_of(template)):
            templates[template] += 1
    shares = tuple(
        (count / templates.total(), template) for template, count in templates.most_common()
    )
    if not shares:  # all groups are of one class, or alike
        return None
    return Family(shapes=shares, hit=hit, miss=miss)


def _scale(feature: str) -> Scale:
    return _SCALES.get(feature, "linear")


def _template(
    cart: Any, node: int, scaled: Floats, classes: Sequence[str], features: Sequence[str]
) -> Template:
    tree = cart.tree_
    leaf = TemplateLeaf(classes[int(cart.classes_[tree.value[node][0].argmax()])])
    if tree.children_left[node] < 0:
        return leaf
    column = int(tree.feature[node])
    name = features[column]
    values = scaled[~np.isnan(scaled[:, column]), column]
    low, high = float(values.min()), float(values.max())
    if low == high or not np.isfinite(tree.threshold[node]):
        return leaf  # it only asks whether the feature is known, which a template cannot ask
    spread = float(np.subtract(*np.quantile(values, (0.84, 0.16)))) / 2 or (high - low) / 4
    margin = rounded(0.05 * (high - low))
    scale = _scale(name)
    threshold = min(max(float(tree.threshold[node]), low), high)
    return Question(
        feature=name,
        start=from_scale(threshold, scale),
        bounds=(from_scale(low - margin, scale), from_scale(high + margin, scale)),
        spread=rounded(spread / 3),
        scale=scale,
        low=_template(cart, tree.children_left[node], scaled, classes, features),
        high=_template(cart, tree.children_right[node], scaled, classes, features),
    )

"""What our estimators share: scikit-learn's conventions, and prediction by a tree as data.

The columns of X are named by `features`; NaN is a missing value.  After `fit`, `tree_` is the tree
as data and `classes_` are the classes in order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from mdtree.messages import nearest
from mdtree.trees.arrays import Floats
from mdtree.trees.node import Node, ends

__all__ = ["Labels", "TreeEstimator", "as_float32", "coded"]

Labels = NDArray[Any]


class TreeEstimator(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier whose result is a tree as data."""

    features: Sequence[str] | None
    tree_: Node
    classes_: Labels

    def columns(self, width: int, *, needed: Iterable[str] = ()) -> dict[str, int]:
        """Return the columns of X: feature -> number."""
        names = self._default_names(width) if self.features is None else self.features
        columns = {name: number for number, name in enumerate(names)}
        if not len(columns) == len(names) == width:
            raise ValueError(
                f"X has {width} columns, so features must name each once, got {', '.join(names)}"
            )
        absent = sorted(set(needed) - columns.keys())
        if absent:
            raise ValueError(f"X has no column {', '.join(absent)}; it has {', '.join(names)}")
        return columns

    def _default_names(self, width: int) -> Sequence[str]:
        """Return the names of the columns if `features` is None."""
        return [f"x{number}" for number in range(width)]

    def checked(self, X: ArrayLike, y: ArrayLike) -> tuple[Floats, Labels]:
        """Check training data by scikit-learn's rules; missing values are allowed."""
        matrix, labels = validate_data(self, X, y, dtype=np.float64, ensure_all_finite="allow-nan")
        check_classification_targets(labels)
        return np.asarray(matrix), np.asarray(labels)

    def matrix(self, X: ArrayLike) -> Floats:
        """Check that data has the columns that were fitted."""
        check_is_fitted(self)
        matrix: Floats = validate_data(
            self, X, dtype=np.float64, ensure_all_finite="allow-nan", reset=False
        )
        return matrix

    def predict_proba(self, X: ArrayLike) -> Floats:
        """Return the share of each class of `classes_` among the training groups of the leaf.

        A leaf without training groups is sure of its answer.
        """
        matrix = self.matrix(X)
        names = [str(name) for name in self.classes_]
        out = np.zeros((len(matrix), len(names)))
        for leaf, lines in ends(self.tree_, matrix, self.columns(matrix.shape[1])):
            counts = leaf.counts if any(leaf.counts.values()) else {leaf.answer: 1.0}
            total = sum(counts.values())
            out[lines] = [counts.get(name, 0.0) / total for name in names]
        return out

    def predict(self, X: ArrayLike) -> Labels:
        """Return the answer of the leaf."""
        matrix = self.matrix(X)
        classes = {str(name): name for name in self.classes_}
        out = np.empty(len(matrix), dtype=self.classes_.dtype)
        for leaf, lines in ends(self.tree_, matrix, self.columns(matrix.shape[1])):
            out[lines] = classes.get(leaf.answer, leaf.answer)
        return out

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def as_float32(values: Floats) -> NDArray[np.float32]:
    """Return clipped values in single precision, in which scikit-learn grows trees."""
    largest = float(np.finfo(np.float32).max)
    return np.clip(values, -largest, largest).astype(np.float32)


def coded(labels: Labels, classes: Labels, whose: str) -> NDArray[np.intp]:
    """Return the place of each label among the possible answers."""
    places = {str(name): place for place, name in enumerate(classes)}
    for label in np.unique(labels.astype(str)):
        if label not in places:
            raise ValueError(
                f"label {str(label)!r} is not an answer of {whose}{nearest(label, places)} "
                f"(known: {', '.join(places)})"
            )
    return np.array([places[str(label)] for label in labels], dtype=np.intp)

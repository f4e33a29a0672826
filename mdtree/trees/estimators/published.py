"""The published MD tree: fixed shapes, thresholds by one pass of bounded scalar search.

Zhou et al.: "MD tree: a model-diagnostic tree grown on loss landscape", ICML 2024.  The thresholds
begin at constants; then each in turn is set by a bounded scalar minimisation of minus the training
accuracy, the others held.  The objective is a step function, so the search (golden section) ends on
one of its own probes: it is kept as published, to compare with.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar

from mdtree.exceptions import MdtreeError
from mdtree.messages import nearest
from mdtree.trees.estimators.base import Floats, TreeEstimator, coded
from mdtree.trees.node import Leaf, Node, Split, weight_of
from mdtree.trees.template import (
    PUBLISHED,
    Question,
    Template,
    TemplateLeaf,
    answers,
    questions_of,
    template_features,
)

__all__ = ["PublishedTree"]


class PublishedTree(TreeEstimator):
    """A published shape with searched (`published`) or starting (`none`) thresholds.

    Groups with a missing feature are left out of the search.  After `fit`, `thresholds_` are the
    thresholds in the published order.
    """

    def __init__(
        self,
        *,
        shape: str = "temperature",
        search: Literal["published", "none"] = "published",
        features: Sequence[str] | None = None,
    ) -> None:
        self.shape = shape
        self.search = search
        self.features = features

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Search the thresholds on the training data."""
        if self.shape not in PUBLISHED:
            raise MdtreeError(
                f"shape {self.shape!r} is unknown{nearest(self.shape, PUBLISHED)} "
                f"(known: {', '.join(PUBLISHED)})"
            )
        if self.search not in ("published", "none"):
            raise MdtreeError(f"search must be 'published' or 'none', got {self.search!r}")
        shape = PUBLISHED[self.shape]
        matrix, labels = self.checked(X, y)
        self.classes_ = np.array(sorted(set(answers(shape))))
        wanted = coded(labels, self.classes_, f"shape {self.shape!r}")
        columns = self.columns(matrix.shape[1], needed=template_features(shape))
        is_complete = ~np.isnan(
            matrix[:, [columns[name] for name in template_features(shape)]]
        ).any(axis=1)
        matrix, wanted = matrix[is_complete], wanted[is_complete]
        questions = sorted(questions_of(shape), key=lambda question: question.order)
        thresholds = np.array([question.start for question in questions], dtype=float)
        if self.search == "published":
            if not is_complete.any():
                raise ValueError(f"no line has all of {', '.join(template_features(shape))}")
            codes = {str(name): code for code, name in enumerate(self.classes_)}
            sides = _Sides(matrix, columns, shape, codes)
            for question in questions:
                thresholds[question.order] = _searched(sides, thresholds, question, wanted)
        self.thresholds_ = thresholds
        self.tree_ = self._grown(shape, matrix, columns, wanted)
        return self

    def _unnamed(self, _: int) -> Sequence[str]:
        return template_features(PUBLISHED[self.shape])

    def _grown(
        self, shape: Template, matrix: Floats, columns: dict[str, int], codes: NDArray[np.intp]
    ) -> Node:
        """Make the tree of a shape, and count the training groups in its leaves."""
        if isinstance(shape, TemplateLeaf):
            counts = {str(c): float((codes == code).sum()) for code, c in enumerate(self.classes_)}
            return Leaf(answer=shape.answer, counts=counts)
        threshold = float(self.thresholds_[shape.order])
        side = matrix[:, columns[shape.feature]] <= threshold
        low = self._grown(shape.low, matrix[side], columns, codes[side])
        high = self._grown(shape.high, matrix[~side], columns, codes[~side])
        return Split(
            feature=shape.feature,
            threshold=threshold,
            low=low,
            high=high,
            missing="low" if weight_of(low) >= weight_of(high) else "high",
        )


class _Sides:
    """A shape on fixed data, answered for any thresholds."""

    def __init__(
        self, matrix: Floats, columns: dict[str, int], shape: Template, codes: dict[str, int]
    ) -> None:
        self._values = {
            question.order: matrix[:, columns[question.feature]] for question in questions_of(shape)
        }
        self._shape = shape
        self._codes = codes

    def answers(self, thresholds: Floats) -> NDArray[np.intp]:
        """Give the code of the answer to each line."""
        return np.asarray(self._of(self._shape, thresholds))

    def _of(self, shape: Template, thresholds: Floats) -> NDArray[np.intp] | int:
        if isinstance(shape, TemplateLeaf):
            return self._codes[shape.answer]
        low = self._values[shape.order] <= thresholds[shape.order]
        return np.where(low, self._of(shape.low, thresholds), self._of(shape.high, thresholds))


def _searched(
    sides: _Sides, thresholds: Floats, question: Question, wanted: NDArray[np.intp]
) -> float:
    trial = thresholds.copy()

    def error(threshold: float) -> float:
        trial[question.order] = threshold
        return -float(np.mean(sides.answers(trial) == wanted))

    return float(minimize_scalar(error, bounds=question.bounds, method="bounded").x)

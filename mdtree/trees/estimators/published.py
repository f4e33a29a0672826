"""The published MD tree: fixed templates, thresholds by one pass of bounded scalar search.

Zhou et al.: "MD tree: a model-diagnostic tree grown on loss landscape", ICML 2024.  The thresholds
start at constants; then each in turn is set by a bounded scalar minimisation of minus the training
accuracy, with the others fixed.  The objective is a step function, so the search (golden section)
ends on one of its own probes; it is kept as published, for comparison.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdtree.exceptions import MdtreeError
from mdtree.messages import nearest
from mdtree.trees.arrays import Floats
from mdtree.trees.estimators.base import TreeEstimator, coded
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
    """A published template with searched (`published`) or starting (`none`) thresholds.

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
        template = PUBLISHED[self.shape]
        matrix, labels = self.checked(X, y)
        self.classes_ = np.array(sorted(set(answers(template))))
        targets = coded(labels, self.classes_, f"shape {self.shape!r}")
        columns = self.columns(matrix.shape[1], needed=template_features(template))
        complete = ~np.isnan(
            matrix[:, [columns[name] for name in template_features(template)]]
        ).any(axis=1)
        matrix, targets = matrix[complete], targets[complete]
        questions = sorted(questions_of(template), key=lambda question: question.order)
        thresholds = np.array([question.start for question in questions], dtype=float)
        if self.search == "published":
            if not complete.any():
                raise ValueError(f"no line has all of {', '.join(template_features(template))}")
            codes = {str(name): code for code, name in enumerate(self.classes_)}
            classifier = _ThresholdClassifier(matrix, columns, template, codes)
            for question in questions:
                thresholds[question.order] = _search_threshold(
                    classifier, thresholds, question, targets
                )
        self.thresholds_ = thresholds
        self.tree_ = self._build(template, matrix, columns, targets)
        return self

    def _default_names(self, _: int) -> Sequence[str]:
        return template_features(PUBLISHED[self.shape])

    def _build(
        self, template: Template, matrix: Floats, columns: dict[str, int], codes: NDArray[np.intp]
    ) -> Node:
        """Return the tree of a template with the counts of the training groups in its leaves."""
        if isinstance(template, TemplateLeaf):
            counts = {str(c): float((codes == code).sum()) for code, c in enumerate(self.classes_)}
            return Leaf(answer=template.answer, counts=counts)
        threshold = float(self.thresholds_[template.order])
        side = matrix[:, columns[template.feature]] <= threshold
        low = self._build(template.low, matrix[side], columns, codes[side])
        high = self._build(template.high, matrix[~side], columns, codes[~side])
        return Split(
            feature=template.feature,
            threshold=threshold,
            low=low,
            high=high,
            missing="low" if weight_of(low) >= weight_of(high) else "high",
        )


class _ThresholdClassifier:
    """The answers of a template to fixed data, for any thresholds."""

    def __init__(
        self, matrix: Floats, columns: dict[str, int], template: Template, codes: dict[str, int]
    ) -> None:
        self._values = {
            question.order: matrix[:, columns[question.feature]]
            for question in questions_of(template)
        }
        self._template = template
        self._codes = codes

    def answers(self, thresholds: Floats) -> NDArray[np.intp]:
        """Return the code of the answer for each line."""
        return np.asarray(self._answer_codes(self._template, thresholds))

    def _answer_codes(self, template: Template, thresholds: Floats) -> NDArray[np.intp] | int:
        if isinstance(template, TemplateLeaf):
            return self._codes[template.answer]
        low = self._values[template.order] <= thresholds[template.order]
        return np.where(
            low,
            self._answer_codes(template.low, thresholds),
            self._answer_codes(template.high, thresholds),
        )


def _search_threshold(
    classifier: _ThresholdClassifier,
    thresholds: Floats,
    question: Question,
    targets: NDArray[np.intp],
) -> float:
    from scipy.optimize import minimize_scalar

    trial = thresholds.copy()

    def objective(threshold: float) -> float:
        trial[question.order] = threshold
        return -float(np.mean(classifier.answers(trial) == targets))

    return float(minimize_scalar(objective, bounds=question.bounds, method="bounded").x)

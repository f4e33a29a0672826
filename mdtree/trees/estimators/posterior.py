"""The posterior tree: the average over all plausible thresholds, weighted by the data.

A task has a family of weighted templates (`template.FAMILIES`).  Each gets its exact posterior; a
group is classified by the mean over those templates whose features it has.  The weights of the
templates are fixed by the study of shifts in docs/transfer.md: the marginal likelihood of a few
training groups favours templates that fit those groups, not templates that transfer to others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdtree.exceptions import MdtreeError
from mdtree.failure_modes import TASKS
from mdtree.messages import nearest
from mdtree.trees.arrays import Floats, first_best
from mdtree.trees.binning import BinnedCounts, collect, complete_rows, continued
from mdtree.trees.estimators.base import Labels, TreeEstimator, coded
from mdtree.trees.estimators.cart import grow_template
from mdtree.trees.feature_sets import LANDSCAPE
from mdtree.trees.posterior import averaged, posterior
from mdtree.trees.template import FAMILIES, Family, template_features

__all__ = ["PosteriorTree"]


class PosteriorTree(TreeEstimator):
    """The average of all plausible trees of a task.

    With `facts`, the family may also ask for the parameter count and the data amount.  `prior` is
    the `components_` of an earlier fit to start from: its cuts and groups are kept, and new groups
    are added.  `family` replaces the task's own templates; "grown" grows them from the data, if
    these separate any classes.
    """

    def __init__(
        self,
        *,
        task: str = "temperature",
        features: Sequence[str] | None = None,
        facts: bool = False,
        family: Family | Literal["grown"] | None = None,
        most_cuts: int = 24,
        prior: Sequence[tuple[float, BinnedCounts]] | None = None,
    ) -> None:
        self.task = task
        self.features = features
        self.facts = facts
        self.family = family
        self.most_cuts = most_cuts
        self.prior = prior

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Compute the posterior of every template whose features the data have."""
        if self.task not in TASKS:
            raise MdtreeError(
                f"task {self.task!r} is unknown{nearest(self.task, TASKS)} "
                f"(known: {', '.join(TASKS)})"
            )
        matrix, labels = self.checked(X, y)
        self.classes_ = np.array(sorted(TASKS[self.task].classes))
        codes = coded(labels, self.classes_, f"task {self.task!r}")
        if self.prior is not None:
            components = self._continued(self.prior, matrix, codes)
        else:
            components = self._collected(matrix, codes)
        if self.family == "grown":  # the tree that is shown is the one that fits best
            components.sort(key=lambda component: -round(posterior(component[1]).log_evidence, 9))
        self.components_: list[tuple[float, BinnedCounts]] = components
        first = posterior(components[0][1])
        self.tree_ = first.tree
        # the others are summed when a prediction needs them
        self._first = (components[0][0], first)
        return self

    def predict_proba(self, X: ArrayLike) -> Floats:
        """Average over all plausible trees of the templates whose features each line has."""
        matrix = self.matrix(X)
        others = [(weight, posterior(binned)) for weight, binned in self.components_[1:]]
        return averaged([self._first, *others], matrix, self.columns(matrix.shape[1]))

    def predict(self, X: ArrayLike) -> Labels:
        """Return the most probable class."""
        probabilities = self.predict_proba(X)
        answers: Labels = self.classes_[first_best(probabilities)]
        return answers

    def _default_names(self, _: int) -> Sequence[str]:
        return LANDSCAPE

    def _continued(
        self, prior: Sequence[tuple[float, BinnedCounts]], matrix: Floats, codes: NDArray[np.intp]
    ) -> list[tuple[float, BinnedCounts]]:
        needed = [name for _, binned in prior for name in template_features(binned.shape)]
        columns = self.columns(matrix.shape[1], needed=needed)
        for _, binned in prior:
            if binned.classes != tuple(self.classes_):
                raise ValueError(
                    f"the prior has the classes {', '.join(binned.classes)}, "
                    f"task {self.task!r} has {', '.join(self.classes_)}"
                )
        return [(weight, continued(binned, matrix, columns, codes)) for weight, binned in prior]

    def _collected(
        self, matrix: Floats, codes: NDArray[np.intp]
    ) -> list[tuple[float, BinnedCounts]]:
        columns = self.columns(matrix.shape[1])
        name = f"{self.task}+facts" if self.facts else self.task
        family = None if self.family == "grown" else self.family
        if self.family == "grown":
            family = grow_template(matrix, codes, list(map(str, self.classes_)), list(columns))
        family = family or FAMILIES.get(name) or FAMILIES[self.task]
        components = []
        for weight, template in family.shapes:
            has_columns = columns.keys() >= set(template_features(template))
            if has_columns and complete_rows(template, matrix, columns).any():
                empty = BinnedCounts(
                    shape=template,
                    classes=tuple(map(str, self.classes_)),
                    hit=family.hit,
                    miss=family.miss,
                )
                binned = collect(empty, matrix, columns, codes, self.most_cuts)
                components.append((weight, binned))
        if not components:
            present = [n for n, column in columns.items() if not np.isnan(matrix[:, column]).all()]
            needed = [" + ".join(template_features(template)) for _, template in family.shapes]
            raise ValueError(
                f"no line has all features of a shape of task {self.task!r}: the data has "
                f"{', '.join(present) or 'none'}, the shapes need {' or '.join(needed)}"
            )
        return components

"""The gain regression: learns what each change gains, answers with the change that gains most.

For each remedy, a kernel regression learns the gain relative to the test error, only from groups
that have a neighbour in its direction: beyond the end of a grid a gain is unknown, not 0.  It also
learns which answer is right, from the groups where that is clear of the noise.  All zoos have the
same weight.  Each group is used several times: complete, without the facts of a recipe, and without
some metrics, so that the regression can answer for groups with missing measurements.  Probabilities
are fitted to predictions for unseen zoos or, with fewer than three zoos, for unseen groups.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from mdtree.trees.arrays import Floats
from mdtree.trees.estimators.base import Labels, TreeEstimator
from mdtree.trees.estimators.cart import CartTree
from mdtree.trees.estimators.gain_problem import GainProblem, KernelSettings
from mdtree.trees.estimators.known_gains import KnownGains, Margins
from mdtree.trees.gain_model import NOISE, error_of, noise_of

__all__ = ["GainRegression"]

_FEWEST = 10  # groups that a remedy is learnt from


class GainRegression(TreeEstimator):
    """A regression that learns gains; `y` of `fit` holds the answers for the tree that explains."""

    def __init__(
        self,
        *,
        features: Sequence[str] | None = None,
        centres: int = 1000,
        width: float = 0.5,
        ridge: float = 1.0,
        max_depth: int = 4,
        seed: int = 0,
    ) -> None:
        self.features = features
        self.centres = centres  # groups that others are compared with, at most
        self.width = width  # of the kernel
        self.ridge = ridge
        self.max_depth = max_depth  # of the tree that explains
        self.seed = seed

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        gains: Mapping[str, Floats],
        doublings: Mapping[str, Floats] | None = None,
        margins: Margins | None = None,
        zoos: Sequence[object] | None = None,
        classes: Sequence[str] | None = None,
    ) -> Self:
        """Learn gains.

        Args:
            X: The features, one line for each group.
            y: The answers.
            gains: Remedy -> relative gain of each line, NaN if it is unknown.
            doublings: Remedy -> how often its fact was doubled or halved for that gain, NaN if
                that is unknown.
            margins: What the gains of each line must exceed; None: its noise.
            zoos: The zoo of each line; None: all lines are of one zoo.
            classes: The possible answers; None: those in `y`.

        """
        matrix, labels = self.checked(X, y)
        self.classes_ = np.array(sorted(set(classes if classes is not None else labels)))
        problem = self.problem(
            matrix,
            gains=gains,
            doublings=doublings,
            margins=margins,
            zoos=zoos,
            classes=self.classes_.tolist(),
        )
        self.model_ = problem.model()
        explaining = CartTree(features=self.features, max_depth=self.max_depth, seed=self.seed)
        self.tree_ = explaining.fit(problem.matrix, self.predict(matrix)).tree_
        return self

    def problem(
        self,
        matrix: Floats,
        *,
        gains: Mapping[str, Floats],
        doublings: Mapping[str, Floats] | None = None,
        margins: Margins | None = None,
        zoos: Sequence[object] | None,
        classes: Sequence[str],
    ) -> GainProblem:
        """Return the regression problem, which can also be solved without some of the zoos."""
        known = _learnable(gains)
        if not known:
            raise ValueError(f"gains need {_FEWEST} groups with a neighbour on the grid")
        names = [None] * len(matrix) if zoos is None else list(zoos)
        columns = list(self.columns(matrix.shape[1]))
        return GainProblem(
            matrix=self._asked(matrix),
            names=columns,
            known=KnownGains(
                gains=known,
                noise=noise_of(matrix, columns),
                classes=classes,
                error=error_of(matrix, columns),
                doublings=_learnable(doublings or {}),
                margins=margins,
            ),
            zoos=np.unique([repr(name) for name in names], return_inverse=True)[1],
            settings=KernelSettings(
                centres=self.centres, width=self.width, ridge=self.ridge, seed=self.seed
            ),
        )

    def predict_proba(self, X: ArrayLike) -> Floats:
        """Return the probability of each class of `classes_`."""
        matrix = self.matrix(X)
        classes = [str(name) for name in self.classes_]
        return self.model_.probabilities(matrix, list(self.columns(matrix.shape[1])), classes)

    def predict(self, X: ArrayLike) -> Labels:
        """Return the most probable class."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])

    def _asked(self, matrix: Floats) -> Floats:
        """Return the matrix without the noise, which says nothing about the network itself."""
        column = self.columns(matrix.shape[1]).get(NOISE)
        if column is None:
            return matrix
        asked = matrix.copy()
        asked[:, column] = 0.0
        return asked


def _learnable(targets: Mapping[str, Floats]) -> dict[str, Floats]:
    """Return those of remedies that enough groups tell."""
    return {
        remedy: values for remedy, values in targets.items() if np.isfinite(values).sum() >= _FEWEST
    }

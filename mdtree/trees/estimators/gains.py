"""The regression of gains: learns what each change gains, answers with the change that gains most.

For each remedy a kernel regression learns the gain relative to the test error, from those groups
alone that have a neighbour in its direction: beyond the end of a grid a gain is unknown, and no 0.
All zoos weigh the same.  Each group is shown several times: whole, without what a recipe tells, and
with some metrics missing, so that the answer to a group of which less is known is learnt as well.
How sure an answer is, is fitted on what is said of zoos that were not seen; where there are fewer
than three zoos, of groups.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize

from mdtree.failure_modes import remedies
from mdtree.rows import QUANTITIES
from mdtree.trees.estimators.base import Floats, Labels, TreeEstimator
from mdtree.trees.estimators.cart import CartTree
from mdtree.trees.features import FEATURES, TRAINING
from mdtree.trees.gain_model import (
    COVERAGES,
    NOISE,
    GainModel,
    GainRange,
    GainScale,
    noise_of,
    shares,
)
from mdtree.trees.kernel_regression import KernelRegression, QuantileScale, fitted, rounded, scaled

__all__ = ["GainRegression"]

_FEWEST = 10  # groups that a remedy is learnt from
_DIGITS = 4  # of a relative gain; far below any noise
_FARTHEST = 1e30  # of a feature: beyond, it is as unknown
_QUANTILES = 33  # of each feature
_CENTRE_DIGITS = 3  # behind the point
_WEIGHT_DIGITS = 9
_RECIPE = "recipe"  # the part of the features that a recipe tells
_LEFT_OUT = 0.35  # how often a metric is left out of a copy of a group
_COPY = 0.5  # what a copy weighs beside the whole
_RANGES = 5  # of expected gains, in the table of what came of them
_ZOOS = 3  # that can be left out one by one
_FOLDS = 4  # in which zoos are left out
_START = (1.0, -3.0, 0.0)  # logarithms of power, floor, none
_LARGEST = 8.0  # of these logarithms
_STEPS = 400
_LEAST = 1e-9  # probability, so that one sure mistake is not infinite
_NOISE = 0.05  # relative to the test error, where nothing is known of any group
_LEAST_NOISE, _MOST_NOISE = 1e-6, 1e6  # of the usual group
_NOISY = 0.9  # of the groups have less noise than one of which nothing can be told
_TAILS = (0.1, 0.9)
_UNROUNDED = 0.9995  # of a level, so that rounding never lifts it above a group that it is made for


class GainRegression(TreeEstimator):
    """A regression that learns gains; `y` of `fit` are the answers, for the tree that explains."""

    def __init__(
        self,
        *,
        features: Sequence[str] | None = None,
        centres: int = 400,
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
        zoos: Sequence[object] | None = None,
        classes: Sequence[str] | None = None,
    ) -> Self:
        """Learn gains (remedy -> relative gain of each line, NaN where it is unknown)."""
        matrix, labels = self.checked(X, y)
        names = [None] * len(matrix) if zoos is None else list(zoos)
        groups = np.unique([repr(name) for name in names], return_inverse=True)[1]
        known = {
            remedy: values
            for remedy, values in gains.items()
            if np.isfinite(values).sum() >= _FEWEST
        }
        if not known:
            raise ValueError(f"gains need {_FEWEST} groups with a neighbour on the grid")
        self.classes_ = np.array(sorted(set(classes if classes is not None else labels)))
        asked = self._asked(matrix)
        unseen = _Unseen(
            expected=self._unseen(asked, known, groups),
            gains=known,
            noise=noise_of(matrix, self._names(matrix)),
            weights=_weights(groups),
            classes=[str(name) for name in self.classes_],
        )
        scale = unseen.scale()
        self.model_ = GainModel(
            regression=self._learnt(asked, known, groups),
            scale=scale,
            spread=unseen.spread(),
            levels=unseen.levels(scale),
        )
        explaining = CartTree(features=self.features, max_depth=self.max_depth, seed=self.seed)
        self.tree_ = explaining.fit(asked, self.predict(matrix)).tree_
        return self

    def predict_proba(self, X: ArrayLike) -> Floats:
        """Give the probability of each class of `classes_`."""
        matrix = self.matrix(X)
        classes = [str(name) for name in self.classes_]
        return self.model_.probabilities(matrix, self._names(matrix), classes)

    def predict(self, X: ArrayLike) -> Labels:
        """Give the most probable class."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])

    def _names(self, matrix: Floats) -> list[str]:
        return list(self.columns(matrix.shape[1]))

    def _asked(self, matrix: Floats) -> Floats:
        """Take out the noise, which says how sure a gain is, and nothing about the network."""
        column = self.columns(matrix.shape[1]).get(NOISE)
        if column is None:
            return matrix
        asked = matrix.copy()
        asked[:, column] = 0.0
        return asked

    def _unseen(
        self, asked: Floats, gains: Mapping[str, Floats], groups: NDArray[np.intp]
    ) -> dict[str, Floats]:
        """Say what is expected of groups by those who have not seen them."""
        expected = {remedy: np.full(len(asked), np.nan) for remedy in gains}
        known = np.any([np.isfinite(values) for values in gains.values()], axis=0)
        for out in _folds(groups, known, self.seed):
            rest = {remedy: values[~out] for remedy, values in gains.items()}
            if not any(np.isfinite(values).any() for values in rest.values()):
                continue
            regression = self._learnt(asked[~out], rest, groups[~out])
            for remedy, values in regression.gains(asked[out]).items():
                expected[remedy][out] = values
        return expected

    def _learnt(
        self, asked: Floats, gains: Mapping[str, Floats], groups: NDArray[np.intp]
    ) -> KernelRegression:
        scales = {
            column: scale for column in range(asked.shape[1]) if (scale := _scale(asked[:, column]))
        }
        weights, random = _weights(groups), np.random.default_rng(self.seed)
        lines = scaled(scales, asked)
        count = min(self.centres, len(lines)) if scales else 0  # all alike: the means are all
        chosen = random.choice(len(lines), count, replace=False, p=weights / weights.sum())
        names = self._names(asked)
        shown = [lines, *_copies(lines, [names[column] for column in scales], random)]
        shares = [weights, *(_COPY * weights for _ in shown[1:])]
        return fitted(
            scales,
            np.concatenate(shown),
            {
                remedy: np.tile(values, len(shown))
                for remedy, values in gains.items()
                if np.isfinite(values).any()
            },
            np.concatenate(shares),
            np.nan_to_num(lines[np.sort(chosen)]).round(_CENTRE_DIGITS),
            width=self.width,
            ridge=self.ridge,
            digits=_WEIGHT_DIGITS,
        )


def _scale(values: Floats) -> QuantileScale | None:
    """Find the scale of a feature; there is none where it is always the same or unknown."""
    known = values[np.abs(values) < _FARTHEST]  # NaN is not
    if not len(known) or known.min() == known.max():
        return None
    quantiles = np.quantile(known, (np.arange(_QUANTILES) + 0.5) / _QUANTILES)
    return QuantileScale(quantiles=np.maximum.accumulate(rounded(quantiles, _WEIGHT_DIGITS)))


def _copies(lines: Floats, names: Sequence[str], random: np.random.Generator) -> Iterator[Floats]:
    """Show the groups without what a recipe tells, and with some metrics left out."""
    parts = _missing_together(names)
    if _RECIPE in parts:
        without = lines.copy()
        without[:, parts[_RECIPE]] = np.nan
        yield without
    if len(parts) > 1:
        some = lines.copy()
        for columns in parts.values():
            left_out = random.random(len(some)) < _LEFT_OUT
            some[left_out[:, None] & np.isin(np.arange(some.shape[1]), columns)] = np.nan
        yield some


def _missing_together(names: Sequence[str]) -> dict[str, list[int]]:
    """Group columns by what must be known for them: the recipe, or a metric."""
    parts: dict[str, list[int]] = {}
    for column, name in enumerate(names):
        needs = FEATURES[name].needs if name in FEATURES else ()
        metrics = [QUANTITIES[need].metric for need in needs if need in QUANTITIES]
        part = _RECIPE if name in TRAINING else (metrics or ["?"])[0]
        parts.setdefault(part, []).append(column)
    parts.pop("error_rate", None)  # it is always measured, and first
    return parts


def _weights(groups: NDArray[np.intp]) -> Floats:
    """Weigh each line so that all zoos weigh the same."""
    counts = np.bincount(groups)
    return np.asarray(len(groups) / (counts > 0).sum() / counts[groups])


def _folds(
    groups: NDArray[np.intp], known: NDArray[np.bool_], seed: int
) -> Iterator[NDArray[np.bool_]]:
    """Leave out some zoos at a time, or groups of them where few zoos know a gain."""
    zoos, which = np.unique(groups, return_inverse=True)
    if len(np.unique(groups[known])) < _ZOOS:
        zoos, which = np.arange(len(groups)), np.arange(len(groups))
    part = np.random.default_rng(seed).permutation(len(zoos)) % min(_FOLDS, len(zoos))
    for number in range(part.max() + 1):
        yield part[which] == number


@dataclass(frozen=True, kw_only=True, eq=False)
class _Unseen:
    """What was expected of groups by those who had not seen them, and what came of it."""

    expected: Mapping[str, Floats]
    gains: Mapping[str, Floats]
    noise: Floats
    weights: Floats
    classes: Sequence[str]

    @cached_property
    def usual_noise(self) -> float:
        """Give the noise of a group whose own is not known."""
        known = self.noise[np.isfinite(self.noise)]
        usual = np.median(known).clip(_LEAST_NOISE, _MOST_NOISE) if len(known) else _NOISE
        return float(f"{usual:.4g}")

    @cached_property
    def most_noise(self) -> float:
        """Give the noise beyond which the seeds of a group tell nothing."""
        known = self.noise[np.isfinite(self.noise)]
        most = float(np.quantile(known, _NOISY)) if len(known) else _MOST_NOISE
        return float(f"{min(max(most, self.usual_noise), _MOST_NOISE):.4g}")

    @cached_property
    def answers(self) -> tuple[NDArray[np.bool_], NDArray[np.intp]]:
        """Say which classes are open for each line, and which of them is right.

        It is the best of the remedies that are known for a group, or `none`; an answer whose
        remedies are unknown is out of the question there, and so is `none` where seeds differ so
        much that any gain could be noise.
        """
        worth = self.worth.copy()
        if "none" in self.classes:
            noise = self.known_noise
            place = self.classes.index("none")
            worth[:, place] = np.where(noise <= self.most_noise, noise, -np.inf)
        return np.isfinite(worth), worth.argmax(axis=1)

    @cached_property
    def known_noise(self) -> Floats:
        """Give the noise of each line, or the usual one."""
        return np.where(np.isfinite(self.noise), self.noise, self.usual_noise)

    @cached_property
    def worth(self) -> Floats:
        """Give the best known gain of each class for each line; -inf where none is known."""
        worth = np.full((len(self.noise), len(self.classes)), -np.inf)
        for column, name in enumerate(self.classes):
            for remedy in remedies(name):
                if remedy in self.gains:
                    worth[:, column] = np.fmax(worth[:, column], self.gains[remedy])
        return worth

    @cached_property
    def clear(self) -> NDArray[np.bool_]:
        """Say of which lines the answer stands clear of the next by more than the noise."""
        allowed, answer = self.answers
        own = (remedy for name in self.classes for remedy in remedies(name) if remedy in self.gains)
        unknown = np.any([~np.isfinite(self.gains[remedy]) for remedy in own], axis=0)
        others = self.worth.copy()
        best = np.take_along_axis(others, answer[:, None], axis=1)[:, 0]
        np.put_along_axis(others, answer[:, None], -np.inf, axis=1)
        leads = best - np.maximum(others.max(axis=1), 0.0) > self.known_noise
        is_none = np.array(self.classes)[answer] == "none"
        clear: NDArray[np.bool_] = np.where(is_none, ~unknown, leads) & (allowed.sum(axis=1) > 1)
        return clear

    def right(self, scale: GainScale, *, conditional: bool) -> Floats:
        """Give the probability of the right answer where it is clear; NaN elsewhere."""
        allowed, answer = self.answers
        probabilities = shares(self.expected, self.noise, self.classes, scale)
        right = probabilities[np.arange(len(answer)), answer]
        if conditional:
            right = right / (probabilities * allowed).sum(axis=1).clip(np.finfo(float).tiny)
        told = np.all([np.isfinite(values) for values in self.expected.values()], axis=0)
        counted = self.clear if self.clear.any() else allowed.sum(axis=1) > 1
        return np.where(counted & told, right, np.nan)

    def scale(self) -> GainScale:
        """Choose the scale under which the answers are most probable."""

        def made(logarithms: Floats) -> GainScale:
            power, floor, none = np.exp(np.clip(logarithms, -_LARGEST, _LARGEST))
            return GainScale(
                power=float(f"{power:.4g}"),
                floor=float(f"{floor:.4g}"),
                none=float(f"{none:.4g}"),
                noise=self.usual_noise,
                most=self.most_noise,
            )

        def loss(logarithms: Floats) -> float:
            right = self.right(made(logarithms), conditional=True)
            counted = np.isfinite(right)
            logs = np.log(right[counted].clip(_LEAST))
            return float(-(self.weights[counted] * logs).sum() / len(right))

        result: Any = minimize(loss, _START, method="Nelder-Mead", options={"maxiter": _STEPS})
        return made(result.x)

    def levels(self, scale: GainScale) -> dict[str, float]:
        """Find the probability from which on classes must be listed for each coverage."""
        right = self.right(scale, conditional=False)
        counted = np.isfinite(right)
        if not counted.any():
            return {}
        order = np.argsort(right[counted])
        right, weights = right[counted][order], self.weights[counted][order].cumsum()
        places = {f"{share:g}": (1 - share) * weights[-1] for share in COVERAGES}
        return {
            coverage: float(f"{_UNROUNDED * right[np.searchsorted(weights, place)]:.4g}")
            for coverage, place in places.items()
        }

    def spread(self) -> dict[str, tuple[GainRange, ...]]:
        """Say for ranges of the expected gain where four of five of the true ones lay."""
        return {
            remedy: tuple(_ranges(self.expected[remedy], values))
            for remedy, values in self.gains.items()
        }


def _ranges(expected: Floats, gains: Floats) -> Iterator[GainRange]:
    known = np.isfinite(expected) & np.isfinite(gains)
    expected, gains = expected[known], gains[known]
    count = min(_RANGES, len(expected) // _FEWEST)
    below = -np.inf
    for end in np.quantile(expected, np.linspace(0, 1, count + 1)[1:]) if count else ():
        inside = gains[(expected > below) & (expected <= end)]
        if len(inside):
            low, high = (round(float(number), _DIGITS) for number in np.quantile(inside, _TAILS))
            yield GainRange(expected=round(float(end), _DIGITS), low=low, high=high)
        below = end

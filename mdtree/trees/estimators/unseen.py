"""Predictions for unseen groups and their true gains, to which probabilities are fitted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mdtree.trees.arrays import Floats
from mdtree.trees.boosted_trees import BoostedTrees
from mdtree.trees.estimators.known_gains import KnownGains
from mdtree.trees.gain_model import COVERAGES, GainRange
from mdtree.trees.gain_shares import GainScale, shares

__all__ = ["Calibration", "Unseen"]

_FEWEST = 10  # groups in a range of expected gains
_DIGITS = 4  # of a relative gain; far below any noise
_RANGES = 5  # of expected gains, in the table of true gains
_START = (1.0, -3.0, 0.0, 0.0)  # logarithms of power, floor, none, trust
_LARGEST = 8.0  # of these logarithms, away from 0
_ENDS = (_LARGEST, 0.0, _LARGEST, 2.0)  # a floor above the whole error makes no sense
_STEPS = 600
_LEAST = 1e-9  # probability, so that one sure mistake is not infinite
_TAILS = (0.1, 0.9)
_UNROUNDED = 0.9995  # of a level, so that rounding never puts it above the group that defines it


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What turns expected gains into probabilities, ranges and sets."""

    scale: GainScale
    spread: Mapping[str, Sequence[GainRange]]  # remedy -> rising
    levels: Mapping[str, float]  # coverage -> least probability in the set
    boosted: BoostedTrees | None = None  # fitted to the same groups


@dataclass(frozen=True, kw_only=True, eq=False)
class Unseen:
    """Predictions for groups by models that have not seen them, and their known gains."""

    expected: Mapping[str, Floats]  # remedies, and chances of classes
    known: KnownGains
    weights: Floats
    boosted: Mapping[str, Floats] | None = None  # chances of classes

    def right(self, scale: GainScale, *, conditional: bool) -> Floats:
        """Return the probability of the right answer where it is clear; NaN elsewhere.

        It is conditional on the answers that are possible, and then without boosted trees, to
        fit a scale: the chances that these tell need none.
        """
        allowed, answer = self.known.answers
        known = self.known
        boosted = None if conditional else self.boosted
        probabilities = shares(
            self.expected, known.noise, known.classes, scale, known.error, boosted=boosted
        )
        right = probabilities[np.arange(len(answer)), answer]
        if conditional:
            right = right / (probabilities * allowed).sum(axis=1).clip(np.finfo(float).tiny)
        predicted = np.all([np.isfinite(values) for values in self.expected.values()], axis=0)
        counted = self.known.clear if self.known.clear.any() else allowed.sum(axis=1) > 1
        return np.where(counted & predicted, right, np.nan)

    def calibration(self) -> Calibration:
        """Fit all three."""
        scale = self.scale()
        return Calibration(scale=scale, spread=self.spread(), levels=self.levels(scale))

    def scale(self) -> GainScale:
        """Choose the scale under which the answers are most probable."""

        def scale_of(logarithms: Floats) -> GainScale:
            power, floor, none, trust = np.exp(np.clip(logarithms, -_LARGEST, _ENDS))
            return GainScale(
                power=float(f"{power:.4g}"),
                floor=float(f"{floor:.4g}"),
                none=float(f"{none:.4g}"),
                trust=float(f"{trust:.4g}"),
                noise=self.known.usual_noise,
                most=self.known.most_noise,
            )

        def loss(logarithms: Floats) -> float:
            right = self.right(scale_of(logarithms), conditional=True)
            counted = np.isfinite(right)
            logs = np.log(right[counted].clip(_LEAST))
            return float(-(self.weights[counted] * logs).sum() / len(right))

        from scipy.optimize import minimize

        start = np.array(_START)
        corners = np.vstack([start, start + np.eye(len(start))])
        options = {"maxiter": _STEPS, "initial_simplex": corners}
        result: Any = minimize(loss, start, method="Nelder-Mead", options=options)
        return scale_of(result.x)

    def levels(self, scale: GainScale) -> dict[str, float]:
        """Return the least probability of a class in the prediction set for each coverage."""
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
        """Return the interval of four in five true gains for ranges of the expected gain."""
        return {
            remedy: tuple(_ranges(self.expected[remedy], values))
            for remedy, values in self.known.gains.items()
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

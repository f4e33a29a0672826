"""Known gains: which answer is right, and where that is clear of the noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mdtree.failure_modes import COMPARISONS, TASKS, remedies
from mdtree.trees.arrays import Floats
from mdtree.trees.gain_model import STEP_DOUBLINGS, STEPS

__all__ = ["KnownGains", "Margins"]

_NOISE = 0.05  # relative to the test error, if it is not known for any group
_LEAST_NOISE, _MOST_NOISE = 1e-6, 1e6  # of the usual group
_ROUNDED = 1.0005  # so that rounding does not put the noise of equal groups above the limit
_FEWEST = 10  # groups that a comparison is learnt from
_NOISY = 0.9  # share of the groups with less noise than one that is too noisy to judge


@dataclass(frozen=True, kw_only=True, eq=False)
class Margins:
    """What gains must exceed, relative to the test errors, as the labels of a zoo have it."""

    least: Floats
    hiding: NDArray[np.bool_]  # where it is so large that it hides gains

    def of(self, lines: NDArray[np.bool_]) -> Margins:
        """Return the margins of some of the lines."""
        return Margins(least=self.least[lines], hiding=self.hiding[lines])


@dataclass(frozen=True, kw_only=True, eq=False)
class KnownGains:
    """What each change did gain the groups of a grid, relative to their test errors."""

    gains: Mapping[str, Floats]  # remedy -> one number a line, NaN where it is unknown
    noise: Floats
    classes: Sequence[str]
    error: Floats | None = None  # of the test, in units of that of chance
    # remedy -> how often its fact was doubled or halved for its gain, NaN where that is unknown
    doublings: Mapping[str, Floats] = field(default_factory=dict)
    margins: Margins | None = None  # None: the noise of each line

    def targets(self) -> dict[str, Floats]:
        """Return all that a regression learns: one number from 0 to 1 a line, NaN if unknown."""
        steps = {
            STEPS[remedy]: values / STEP_DOUBLINGS for remedy, values in self.doublings.items()
        }
        return {**self.gains, **self.chances(), **self.comparisons(), **steps}

    def of(self, lines: NDArray[np.bool_]) -> KnownGains:
        """Return the gains of some of the lines."""
        gains = {remedy: values[lines] for remedy, values in self.gains.items()}
        error = None if self.error is None else self.error[lines]
        doublings = {remedy: values[lines] for remedy, values in self.doublings.items()}
        return replace(
            self,
            gains=gains,
            noise=self.noise[lines],
            error=error,
            doublings=doublings,
            margins=None if self.margins is None else self.margins.of(lines),
        )

    def chances(self) -> dict[str, Floats]:
        """Return for each class whether it is the answer: 1 or 0, NaN if none is clear."""
        if not self.clear.any():
            return {}
        _, answer = self.answers
        return {
            name: np.where(self.clear, answer == number, np.nan)
            for number, name in enumerate(self.classes)
        }

    def comparisons(self) -> dict[str, Floats]:
        """Return for each comparison whether its first class gains more: 1 or 0.

        NaN: one gain is unknown, or they differ by no more than the noise of the group: more groups
        than have clear labels, which is better here.
        """
        compared = {}
        for task in COMPARISONS:
            sides = TASKS[task].classes
            if set(sides) < set(self.classes):  # chances tell the same if there are no others
                first, second = (self.worth[:, self.classes.index(name)] for name in sides)
                known = np.isfinite(first) & np.isfinite(second)
                lead = np.where(known, first, 0.0) - np.where(known, second, 0.0)
                share = np.where(known & (np.abs(lead) > self.known_noise), lead > 0, np.nan)
                if np.isfinite(share).sum() >= _FEWEST:
                    compared[task] = share
        return compared

    @cached_property
    def usual_noise(self) -> float:
        """The noise of a group whose own is not known."""
        known = self.noise[np.isfinite(self.noise)]
        usual = np.median(known).clip(_LEAST_NOISE, _MOST_NOISE) if len(known) else _NOISE
        return float(f"{usual:.4g}")

    @cached_property
    def most_noise(self) -> float:
        """The noise above which a group is too noisy to judge."""
        known = self.noise[np.isfinite(self.noise)]
        most = float(np.quantile(known, _NOISY)) * _ROUNDED if len(known) else _MOST_NOISE
        return float(f"{min(max(most, self.usual_noise), _MOST_NOISE):.4g}")

    @cached_property
    def answers(self) -> tuple[NDArray[np.bool_], NDArray[np.intp]]:
        """Which classes are possible for each line, and which of them is right.

        The right one is that of the best remedy known for a group, or `none`.  An answer whose
        remedies are unknown is not possible, and neither is `none` if seeds differ so much that any
        gain could be noise.
        """
        worth = self.worth.copy()
        if "none" in self.classes:
            hiding = self.least > self.most_noise if self.margins is None else self.margins.hiding
            worth[:, self.classes.index("none")] = np.where(hiding, -np.inf, self.least)
        return np.isfinite(worth), worth.argmax(axis=1)

    @cached_property
    def least(self) -> Floats:
        """What a gain of each line must exceed to be more than noise.

        Two seeds that agree by chance make small gains look clear, so labels, which know the zoo,
        take the usual noise of its groups for the least.  Without them it is the own noise.
        """
        return self.known_noise if self.margins is None else self.margins.least

    @cached_property
    def known_noise(self) -> Floats:
        """The noise of each line, or the usual one."""
        return np.where(np.isfinite(self.noise), self.noise, self.usual_noise)

    @cached_property
    def worth(self) -> Floats:
        """The best known gain of each class for each line; -inf if none is known."""
        worth = np.full((len(self.noise), len(self.classes)), -np.inf)
        for column, name in enumerate(self.classes):
            for remedy in remedies(name):
                if remedy in self.gains:
                    worth[:, column] = np.fmax(worth[:, column], self.gains[remedy])
        return worth

    @cached_property
    def clear(self) -> NDArray[np.bool_]:
        """For which lines the answer leads the next one by more than the noise."""
        allowed, answer = self.answers
        own = (remedy for name in self.classes for remedy in remedies(name) if remedy in self.gains)
        unknown = np.any([~np.isfinite(self.gains[remedy]) for remedy in own], axis=0)
        others = self.worth.copy()
        best = np.take_along_axis(others, answer[:, None], axis=1)[:, 0]
        np.put_along_axis(others, answer[:, None], -np.inf, axis=1)
        leads = best - np.maximum(others.max(axis=1), 0.0) > self.least
        is_none = np.array(self.classes)[answer] == "none"
        clear: NDArray[np.bool_] = np.where(is_none, ~unknown, leads) & (allowed.sum(axis=1) > 1)
        return clear

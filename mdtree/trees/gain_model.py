"""From expected gains to probabilities: the largest gain is the verdict, noise is its measure.

    strength(mode) = (relative gain of its remedy + e)^a c(mode)^b
    strength(none) = k (noise + e)^a c(none)^b
    P(mode)        = strength(mode) / sum of the strengths of all classes

c(mode) is the chance of a class: how many groups that look alike and have a clear label have this
one.  Gains say how much a change brings, chances which change is the best more often than not.

Noise is the gain, relative to the test error, that could be one between two groups without any
difference: 2 sqrt(2) standard errors.  Two seeds tell it within a large factor only, so the
geometric mean with the usual noise stands for it; and it counts up to that of nine groups of ten:
where seeds differ more, nothing speaks for `none`.  Where all gains are below the noise of the
group, and that is below half of its error, or below 0.4 % of the error of chance, `none` is the
strongest.  The numbers a, b, e and k are fitted on groups of zoos that the regression has not seen,
and so are the two tables of what to expect:

    spread   for an expected gain, between which gains four of five such groups lay
    levels   for a coverage, the least probability of a class in the set of answers, so that the
             sets hold the right answer that often (split conformal prediction)

Vovk, Gammerman, Shafer: "Algorithmic Learning in a Random World", 2005.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from mdtree.failure_modes import REMEDIES, remedies
from mdtree.trees.binning import Floats
from mdtree.trees.bounds import STRICT, Number, Positive
from mdtree.trees.kernel_regression import KernelRegression

__all__ = [
    "COVERAGES",
    "NOISE",
    "UNLIMITED",
    "GainModel",
    "GainRange",
    "GainScale",
    "answer_set",
    "error_of",
    "noise_of",
    "shares",
]

NOISE = "log_noise"  # the feature that tells the noise of a group
ERROR = "test_error_share"  # the feature that tells its test error
COVERAGES = (0.8, 0.9)  # of the sets of answers
_FARTHEST = 100.0  # of the logarithm of a noise
UNLIMITED = 1e9  # noise
_LITTLE = 0.004  # of the error of chance: 0.36 points with ten classes, 0.2 with two
_MOST_OF_ERROR = 0.5  # a noise above it hides gains, and tells nothing
_NOTHING = 1.1  # times as strong as the best change is `none`, where that gains less than the noise
_HARDLY_ANYTHING = 1.5  # times all of them, where the best gains too little for anybody to care
_LEAST_CHANCE = 0.02  # that a class has: none is out of the question


@dataclass(frozen=True, kw_only=True)
class GainScale:
    """How sure an answer is, given the gains."""

    __pydantic_config__: ClassVar = STRICT

    power: Positive  # a
    floor: Positive  # e
    none: Positive  # k
    noise: Positive  # where that of a group is not known: the usual one
    most: Positive = UNLIMITED  # of a noise: more does not make `none` more probable
    trust: Annotated[float, Field(ge=0, le=1e6)] = (
        0.0  # b; trees of earlier versions know no chances
    )

    def __post_init__(self) -> None:
        """Refuse numbers that make no probability."""
        if not min(self.power, self.floor, self.none, self.noise, self.most) > 0:
            raise ValueError("power, floor, none, noise and most must be above 0")
        if not self.trust >= 0:
            raise ValueError("trust must be 0 or more")


@dataclass(frozen=True, kw_only=True)
class GainRange:
    """What groups with such an expected gain did gain, relative to their test errors."""

    __pydantic_config__: ClassVar = STRICT

    expected: Number  # up to this
    low: Number  # four of five lay between low and high
    high: Number


@dataclass(frozen=True, kw_only=True, eq=False)
class GainModel:
    """A regression of gains and chances, and what its gains stand for."""

    regression: KernelRegression  # of remedies, and of classes
    scale: GainScale
    spread: Mapping[str, Sequence[GainRange]] = field(default_factory=dict)  # remedy -> rising
    levels: Mapping[str, float] = field(default_factory=dict)  # coverage ("0.9") -> probability

    def gains(self, matrix: Floats) -> dict[str, Floats]:
        """Compute the expected gain of each remedy for each line, relative to the test error."""
        values = self.regression.values(matrix)
        return {remedy: gain for remedy, gain in values.items() if remedy in REMEDIES}

    def probabilities(
        self, matrix: Floats, features: Sequence[str], classes: Sequence[str]
    ) -> Floats:
        """Give the probability of each class for each line."""
        return shares(
            self.regression.values(matrix),
            noise_of(matrix, features),
            classes,
            self.scale,
            error_of(matrix, features),
        )

    def range_of(self, remedy: str, expected: float) -> GainRange | None:
        """Find what groups with such an expected gain did gain."""
        ranges = self.spread.get(remedy, ())
        last = ranges[-1] if ranges else None
        return next((part for part in ranges if expected <= part.expected), last)


def noise_of(matrix: Floats, features: Sequence[str]) -> Floats:
    """Read the relative noise of each line; NaN where it is not known."""
    logarithms = _column(matrix, features, NOISE)
    return np.asarray(np.exp(logarithms.clip(-_FARTHEST, _FARTHEST)))


def error_of(matrix: Floats, features: Sequence[str]) -> Floats:
    """Read the test error of each line, in units of that of chance; NaN where it is not known."""
    return _column(matrix, features, ERROR)


def _column(matrix: Floats, features: Sequence[str], name: str) -> Floats:
    if name not in features:
        return np.full(len(matrix), np.nan)
    return np.asarray(matrix[:, list(features).index(name)])


def answer_set(probabilities: Mapping[str, float], level: float) -> tuple[str, ...]:
    """List the classes of at least that probability, the most probable first; at least one."""
    first, *others = sorted(probabilities, key=lambda name: -probabilities[name])
    return first, *(name for name in others if probabilities[name] >= level)


def shares(
    values: Mapping[str, Floats],
    noise: Floats,
    classes: Sequence[str],
    scale: GainScale,
    error: Floats | None = None,
) -> Floats:
    """Turn relative gains of remedies, and chances of classes, into probabilities of the classes.

    An answer with several remedies (`temperature`: up or down) is as strong as the best of them.
    """
    told = np.minimum(np.where(np.isnan(noise), scale.noise, noise), scale.most)
    known = np.sqrt(told * scale.noise)
    logarithms = np.empty((len(noise), len(classes)))
    for column, name in enumerate(classes):
        if name == "none":
            logarithms[:, column] = np.log(scale.none) + scale.power * np.log(known + scale.floor)
        else:
            own = [values[remedy] for remedy in remedies(name) if remedy in values]
            best = np.max(own, axis=0) if own else np.zeros(len(noise))
            logarithms[:, column] = scale.power * np.log(np.maximum(best, 0.0) + scale.floor)
        if name in values:
            logarithms[:, column] += scale.trust * np.log(np.maximum(values[name], _LEAST_CHANCE))
    strengths = np.exp(logarithms - logarithms.max(axis=1, keepdims=True))
    if scale.trust and "none" in classes:
        expected = [values[remedy] for remedy in REMEDIES if remedy in values]
        none = list(classes).index("none")
        # what gains less than the noise of the group, or hardly anything, is nothing to gain,
        # whatever others had
        best = np.max(expected, axis=0, initial=0.0)
        is_noise = (noise <= _MOST_OF_ERROR) & (best < noise)
        is_little = np.zeros(len(best), dtype=bool) if error is None else best * error < _LITTLE
        others = np.delete(strengths, none, axis=1)
        least = np.where(is_noise, _NOTHING * others.max(axis=1), 0.0)
        least = np.where(is_little, _HARDLY_ANYTHING * others.sum(axis=1), least)
        strengths[:, none] = np.fmax(strengths[:, none], least)
    return np.asarray(strengths / strengths.sum(axis=1, keepdims=True))

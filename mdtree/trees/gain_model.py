"""A regression of gains: what each change is expected to gain, how far it goes, and the answers.

The probabilities of the answers are those of `gain_shares`.  Two tables, of groups of zoos that the
regression has not seen, say what to expect of them:

    spread   for an expected gain, the interval of the gains of four in five such groups
    levels   for a coverage, the least probability of a class in the set of answers, so that the
             sets hold the right answer that often (split conformal prediction)

Of a group of which nothing was measured and nothing is told of the training, weights (and perhaps a
log) tell less than the regression has learnt to expect.  For zoos left out, its answers were right
for 58 % of such groups with weights alone, and said to be for 70 %.  Their probabilities are taken
to the power 0.65, after which 58 % are expected, and sets take in answers of 0.25 of the usual
level, which then hold the right one as often as they should.

Vovk, Gammerman, Shafer: "Algorithmic Learning in a Random World", 2005.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mdtree.failure_modes import REMEDIES
from mdtree.trees.arrays import Floats
from mdtree.trees.boosted_trees import BoostedTrees
from mdtree.trees.feature_sets import is_told, known_from_files
from mdtree.trees.file_numbers import STRICT, Number
from mdtree.trees.gain_shares import GainScale, shares
from mdtree.trees.kernel_regression import KernelRegression

__all__ = [
    "COVERAGES",
    "NOISE",
    "STEPS",
    "STEP_DOUBLINGS",
    "GainModel",
    "GainRange",
    "Outcomes",
    "answer_set",
    "error_of",
    "little_known",
    "noise_of",
]

NOISE = "log_noise"  # the feature that holds the noise of a group
ERROR = "test_error_share"  # the feature that holds its test error
COVERAGES = (0.8, 0.9)  # of the prediction sets
STEPS = {remedy: f"step of {remedy}" for remedy in REMEDIES}  # remedy -> how far its change goes
STEP_DOUBLINGS = 10.0  # of a fact, that count as 1 in the regression
_FARTHEST = 100.0  # of the logarithm of a noise
_LITTLE_KNOWN = 0.65  # power of the probabilities of groups of which little is known
_LITTLE_LEVEL = 0.25  # of the usual level: among their answers


@dataclass(frozen=True, kw_only=True)
class GainRange:
    """What groups with such an expected gain did gain, relative to their test errors."""

    __pydantic_config__ = STRICT

    expected: Number  # up to this
    low: Number  # four of five lay between low and high
    high: Number


@dataclass(frozen=True, kw_only=True, eq=False)
class Outcomes:
    """What is expected of groups, one number for each."""

    probabilities: Floats  # (groups, classes)
    gains: Mapping[str, Floats]  # remedy -> gain, relative to the test error
    # remedy -> how often its fact is doubled (or halved) for that gain; a file of an earlier
    # version does not tell
    doublings: Mapping[str, Floats]


@dataclass(frozen=True, kw_only=True, eq=False)
class GainModel:
    """A regression of gains and chances, with the parameters that turn them into answers."""

    regression: KernelRegression  # of remedies, their steps, classes, and pairs of classes
    scale: GainScale
    boosted: BoostedTrees | None = None  # chances of classes; None: too few groups
    spread: Mapping[str, Sequence[GainRange]] = field(default_factory=dict)  # remedy -> rising
    levels: Mapping[str, float] = field(default_factory=dict)  # coverage ("0.9") -> probability

    @property
    def boosted_classes(self) -> tuple[str, ...]:
        """Return the classes that boosted trees answer."""
        return () if self.boosted is None else tuple(self.boosted.classes)

    def outcomes(self, matrix: Floats, features: Sequence[str], classes: Sequence[str]) -> Outcomes:
        """Return what is expected of each line of features."""
        lines = self.regression.scaled(matrix)
        values = self.regression.values_at(lines)
        probable = shares(
            values,
            noise_of(matrix, features),
            classes,
            self.scale,
            error_of(matrix, features),
            boosted=None if self.boosted is None else self.boosted.chances(lines),
        )
        little = little_known(matrix, features)
        probable[little] **= _LITTLE_KNOWN
        probable[little] /= probable[little].sum(axis=1, keepdims=True)
        return Outcomes(
            probabilities=probable,
            gains={remedy: values[remedy] for remedy in REMEDIES if remedy in values},
            doublings={
                remedy: STEP_DOUBLINGS * values[step]
                for remedy, step in STEPS.items()
                if step in values
            },
        )

    def probabilities(
        self, matrix: Floats, features: Sequence[str], classes: Sequence[str]
    ) -> Floats:
        """Return the probability of each class for each line."""
        return self.outcomes(matrix, features, classes).probabilities

    def within(self, remedy: str, expected: Floats | float) -> Floats:
        """Return expected gains, but no more or less than such groups did gain."""
        ranges = self.spread.get(remedy, ())
        if not ranges:
            return np.asarray(expected)
        place = np.searchsorted([part.expected for part in ranges[:-1]], expected)
        low, high = np.array([(part.low, part.high) for part in ranges]).T
        return np.asarray(np.clip(expected, low[place], high[place]))

    def levels_of(self, *, little: bool) -> dict[str, float]:
        """Return the least probability of an answer by coverage, perhaps where little is known."""
        share = _LITTLE_LEVEL if little else 1.0
        return {coverage: share * level for coverage, level in self.levels.items()}

    def range_of(self, remedy: str, expected: float) -> GainRange | None:
        """Return what groups with such an expected gain did gain."""
        ranges = self.spread.get(remedy, ())
        last = ranges[-1] if ranges else None
        return next((part for part in ranges if expected <= part.expected), last)


def noise_of(matrix: Floats, features: Sequence[str]) -> Floats:
    """Return the relative noise of each line; NaN if it is not known."""
    logarithms = _column(matrix, features, NOISE)
    return np.asarray(np.exp(logarithms.clip(-_FARTHEST, _FARTHEST)))


def little_known(matrix: Floats, features: Sequence[str]) -> NDArray[np.bool_]:
    """Say of each line whether nothing was measured and nothing is told of the training.

    It is so of no line where the features do not ask for both.
    """
    measured = [not known_from_files(name) for name in features]
    told = [is_told(name) for name in features]
    if not any(measured) or not any(told):
        return np.zeros(len(matrix), dtype=bool)
    asked = np.array(measured) | np.array(told)
    return np.asarray(np.isnan(matrix[:, asked]).all(axis=1))


def error_of(matrix: Floats, features: Sequence[str]) -> Floats:
    """Return the test error of each line, relative to the chance level; NaN if not known."""
    return _column(matrix, features, ERROR)


def _column(matrix: Floats, features: Sequence[str], name: str) -> Floats:
    if name not in features:
        return np.full(len(matrix), np.nan)
    return np.asarray(matrix[:, list(features).index(name)])


def answer_set(probabilities: Mapping[str, float], level: float) -> tuple[str, ...]:
    """Return the classes of at least that probability, the most probable first; at least one."""
    first, *others = sorted(probabilities, key=lambda name: -probabilities[name])
    return first, *(name for name in others if probabilities[name] >= level)

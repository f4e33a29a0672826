"""From expected gains to probabilities: the largest gain wins, unless it is within the noise.

    strength(mode) = (relative gain of its remedy + e)^a c(mode)^b
    strength(none) = k (noise + e)^a c(none)^b
    P(mode)        = strength(mode) / sum of the strengths of all classes

c(mode) is the chance of a class: the share of similar groups with a clear label that have this
label.  Gains tell how much a change brings, chances which change is the best most often.

Where many groups have a clear label, boosted trees tell chances as well, b(mode), and the answers
are half way between the two, as logarithms:

    strength(mode) = sqrt(P(mode) b(mode))

Two pairs of classes are compared as well, the two temperatures, and data with width: d is the share
of similar groups in which the remedy of the first gains more.  Groups whose best change is another
one tell that, too.  The classes s, t of a pair keep the strength that they have together, and share
it as

    s : t = d s^(1/2) : (1 - d) t^(1/2)

Noise is the gain, relative to the test error, that two equal groups could show by chance:
2 sqrt(2) standard errors.  Two seeds determine it only within a large factor, so its geometric mean
with the usual noise is used; and it is capped at that of nine in ten groups: if seeds differ more,
that is no evidence for `none`.  If all gains are below the noise of the group, and that is below
half of its error, or below 0.4 % of the chance-level error, `none` is the strongest; with boosted
trees there is no such rule, for they have learnt when nothing gains.  The numbers a, b, e and k are
fitted to groups of zoos that the regression has not seen, and so are the two tables of what to
expect:

    spread   for an expected gain, the interval of the gains of four in five such groups
    levels   for a coverage, the least probability of a class in the set of answers, so that the
             sets hold the right answer that often (split conformal prediction)

Of a group of which nothing was measured and nothing is told of the training, weights (and perhaps a
log) tell less than the regression has learnt to expect.  For zoos left out, its answers were right
for 54 % of such groups, and said to be for 75 %.  Their probabilities are taken to the power 1/2,
after which 57 % are expected, and sets take in answers of 0.22 of the usual level, which then hold
the right one as often as they should.  Both were the best for each tenth of the zoos alike.

Vovk, Gammerman, Shafer: "Algorithmic Learning in a Random World", 2005.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field

from mdtree.failure_modes import COMPARISONS, REMEDIES, TASKS, remedies
from mdtree.trees.binning import Floats
from mdtree.trees.boosted_trees import BoostedTrees
from mdtree.trees.bounds import STRICT, Number, Positive
from mdtree.trees.feature_sets import is_told, known_from_files
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
    "little_known",
    "noise_of",
    "shares",
]

NOISE = "log_noise"  # the feature that holds the noise of a group
ERROR = "test_error_share"  # the feature that holds its test error
COVERAGES = (0.8, 0.9)  # of the prediction sets
_FARTHEST = 100.0  # of the logarithm of a noise
UNLIMITED = 1e9  # noise
_LITTLE = 0.004  # of the chance-level error: 0.36 points with ten classes, 0.2 with two
_MOST_OF_ERROR = 0.5  # larger noise hides gains
_NOTHING = 1.1  # strength of `none` over the best change, if that gains less than the noise
_HARDLY_ANYTHING = 1.5  # over all changes together, if the best gains too little to matter
_LITTLE_KNOWN = 0.5  # power of the probabilities of groups of which little is known
_LITTLE_LEVEL = 0.22  # of the usual level: among their answers
_LEAST_CHANCE = 0.02  # smallest chance of a class, and share of a comparison
_LEAST_BOOSTED = 0.002  # smallest chance of a class for boosted trees


@dataclass(frozen=True, kw_only=True)
class GainScale:
    """The parameters that turn gains into probabilities."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    power: Positive  # a
    floor: Positive  # e
    none: Positive  # k
    noise: Positive  # where that of a group is not known: the usual one
    most: Positive = UNLIMITED  # of a noise: more does not make `none` more probable
    trust: Annotated[float, Field(ge=0, le=1e6)] = (
        0.0  # b; trees of earlier versions know no chances
    )

    def __post_init__(self) -> None:
        """Refuse numbers that do not lead to a probability."""
        if not min(self.power, self.floor, self.none, self.noise, self.most) > 0:
            raise ValueError("power, floor, none, noise and most must be above 0")
        if not self.trust >= 0:
            raise ValueError("trust must be 0 or more")


@dataclass(frozen=True, kw_only=True)
class GainRange:
    """What groups with such an expected gain did gain, relative to their test errors."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    expected: Number  # up to this
    low: Number  # four of five lay between low and high
    high: Number


@dataclass(frozen=True, kw_only=True, eq=False)
class GainModel:
    """A regression of gains and chances, with the parameters that turn them into answers."""

    regression: KernelRegression  # of remedies, classes, and comparisons of two classes
    scale: GainScale
    boosted: BoostedTrees | None = None  # chances of classes; None: too few groups
    spread: Mapping[str, Sequence[GainRange]] = field(default_factory=dict)  # remedy -> rising
    levels: Mapping[str, float] = field(default_factory=dict)  # coverage ("0.9") -> probability

    def gains(self, matrix: Floats) -> dict[str, Floats]:
        """Compute the expected gain of each remedy for each line, relative to the test error."""
        values = self.regression.values(matrix)
        return {remedy: gain for remedy, gain in values.items() if remedy in REMEDIES}

    def probabilities(
        self, matrix: Floats, features: Sequence[str], classes: Sequence[str]
    ) -> Floats:
        """Return the probability of each class for each line."""
        return self.outcomes(matrix, features, classes)[0]

    def outcomes(
        self, matrix: Floats, features: Sequence[str], classes: Sequence[str]
    ) -> tuple[Floats, dict[str, Floats]]:
        """Return the probability of each class for each line, and the gains that are named."""
        values = self.regression.values(matrix)
        probable = shares(
            values,
            noise_of(matrix, features),
            classes,
            self.scale,
            error_of(matrix, features),
            boosted=self._boosted_chances(matrix),
        )
        little = little_known(matrix, features)
        probable[little] **= _LITTLE_KNOWN
        probable[little] /= probable[little].sum(axis=1, keepdims=True)
        gains = {name: self.within(name, values[name]) for name in values if name in REMEDIES}
        return probable, gains

    def _boosted_chances(self, matrix: Floats) -> dict[str, Floats] | None:
        if self.boosted is None:
            return None
        return self.boosted.chances(self.regression.scaled(matrix))

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


def shares(
    values: Mapping[str, Floats],
    noise: Floats,
    classes: Sequence[str],
    scale: GainScale,
    error: Floats | None = None,
    *,
    boosted: Mapping[str, Floats] | None = None,
) -> Floats:
    """Return class probabilities from the relative gains of remedies and the chances of classes.

    `boosted` holds the chances of classes that boosted trees tell, if there are such trees.

    An answer with several remedies (`temperature`: up or down) is as strong as the best of them.
    """
    capped = np.minimum(np.where(np.isnan(noise), scale.noise, noise), scale.most)
    known = np.sqrt(capped * scale.noise)
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
    if boosted is not None:
        strengths /= strengths.sum(axis=1, keepdims=True)
        chances = np.column_stack([boosted.get(name, np.zeros(len(noise))) for name in classes])
        strengths = np.sqrt(strengths * np.maximum(chances, _LEAST_BOOSTED))
    for task in COMPARISONS:
        if task in values and set(TASKS[task].classes) <= set(classes):
            pair = [list(classes).index(name) for name in TASKS[task].classes]
            strengths[:, pair] = _compared(strengths[:, pair], values[task])
    if scale.trust and boosted is None and "none" in classes:
        none = list(classes).index("none")
        others = np.delete(strengths, none, axis=1)
        strengths[:, none] = np.fmax(
            strengths[:, none], _least_of_none(values, noise, error, others)
        )
    return np.asarray(strengths / strengths.sum(axis=1, keepdims=True))


def _least_of_none(
    values: Mapping[str, Floats], noise: Floats, error: Floats | None, others: Floats
) -> Floats:
    """Return the least strength of `none`, from the strengths of the other classes.

    A gain below the noise of the group, or hardly any gain, counts as none, whatever similar
    groups had.
    """
    expected = [values[remedy] for remedy in REMEDIES if remedy in values]
    best = np.max(expected, axis=0, initial=0.0)
    is_noise = (noise <= _MOST_OF_ERROR) & (best < noise)
    is_little = np.zeros(len(best), dtype=bool) if error is None else best * error < _LITTLE
    least = np.where(is_noise, _NOTHING * others.max(axis=1), 0.0)
    return np.where(is_little, _HARDLY_ANYTHING * others.sum(axis=1), least)


def _compared(strengths: Floats, first: Floats) -> Floats:
    """Share the strength of two classes anew, by how often the first gains more."""
    first = first.clip(_LEAST_CHANCE, 1 - _LEAST_CHANCE)
    parts = np.sqrt(strengths.clip(np.finfo(float).tiny)) * np.stack([first, 1 - first], axis=1)
    together = strengths.sum(axis=1, keepdims=True)
    return np.asarray(together * parts / parts.sum(axis=1, keepdims=True))

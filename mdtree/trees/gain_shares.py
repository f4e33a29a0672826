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
half of its error, `none` is the strongest; with boosted trees, which have learnt when nothing
gains, this rule is left out.  If all gains are below 0.4 % of the chance-level error, `none` is the
strongest in any case, and the surer the less there is to gain.  The numbers a, b, e and k are
fitted to groups of zoos that the regression has not seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from mdtree.failure_modes import COMPARISONS, REMEDIES, TASKS, remedies
from mdtree.trees.arrays import Floats
from mdtree.trees.file_numbers import STRICT, Limits, Positive

__all__ = ["UNLIMITED", "GainScale", "shares"]

UNLIMITED = 1e9  # noise
_LITTLE = 0.004  # of the chance-level error: 0.36 points with ten classes, 0.2 with two
_MOST_OF_ERROR = 0.5  # larger noise hides gains
_NOTHING = 1.1  # strength of `none` over the best change, if that gains less than the noise
_HARDLY_ANYTHING = 1.5  # over all changes together, if the best gains too little to matter
_SUREST = 30.0  # times that, if the best gains nothing at all
_LEAST_CHANCE = 0.02  # smallest chance of a class, and share of a comparison
_LEAST_BOOSTED = 0.002  # smallest chance of a class for boosted trees


@dataclass(frozen=True, kw_only=True)
class GainScale:
    """The parameters that turn gains into probabilities."""

    __pydantic_config__ = STRICT

    power: Positive  # a
    floor: Positive  # e
    none: Positive  # k
    noise: Positive  # where that of a group is not known: the usual one
    most: Positive = UNLIMITED  # of a noise: more does not make `none` more probable
    trust: Annotated[float, Limits(ge=0, le=1e6)] = (
        0.0  # b; trees of earlier versions know no chances
    )

    def __post_init__(self) -> None:
        """Refuse numbers that do not lead to a probability."""
        if not min(self.power, self.floor, self.none, self.noise, self.most) > 0:
            raise ValueError("power, floor, none, noise and most must be above 0")
        if not self.trust >= 0:
            raise ValueError("trust must be 0 or more")


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
    if scale.trust and "none" in classes:
        none = list(classes).index("none")
        hides = noise if boosted is None else np.zeros(len(noise))
        others = np.delete(strengths, none, axis=1)
        least = _least_of_none(values, hides, error, others)
        strengths[:, none] = np.fmax(strengths[:, none], least)
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
    least = np.where(is_noise, _NOTHING * others.max(axis=1), 0.0)
    if error is None:
        return least
    little = best * error  # of the chance-level error; no error leaves nothing to gain
    times = _HARDLY_ANYTHING * (_LITTLE / np.maximum(little, _LITTLE / _SUREST))
    return np.where(little < _LITTLE, times * others.sum(axis=1), least)


def _compared(strengths: Floats, first: Floats) -> Floats:
    """Share the strength of two classes anew, by how often the first gains more."""
    first = first.clip(_LEAST_CHANCE, 1 - _LEAST_CHANCE)
    parts = np.sqrt(strengths.clip(np.finfo(float).tiny)) * np.stack([first, 1 - first], axis=1)
    together = strengths.sum(axis=1, keepdims=True)
    return np.asarray(together * parts / parts.sum(axis=1, keepdims=True))

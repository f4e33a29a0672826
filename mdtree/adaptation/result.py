"""The result of an adaptation, and how large a gain must be to be more than chance.

The log loss decides.  It changes with every probability; accuracy changes only if an answer flips,
which is rare in a dozen groups.  With the labels y, and for each group i and class c

    d_i(c) = log p_after(c | i) - log p_before(c | i),   gain = mean over groups of d_i(y_i),

a gain is claimed only if both hold:

    interval:  its 2.5 % end, over groups resampled with replacement, is above zero;
    chance:    labels drawn from p_before itself give as large a mean in at most 2.5 % of draws.

The interval alone is not enough: six groups that all agree with a tree that is 90 % sure of them
have no spread, so it excludes zero, although half of all such sixes agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mdtree.messages import percent
from mdtree.trees import SavedTree
from mdtree.trees.arrays import Floats, Ints

__all__ = [
    "Adaptation",
    "AdaptationScores",
    "GroupComparison",
    "chance",
    "interval",
    "logs",
    "of",
]

_TAIL = 0.025  # on either side of the interval, and the largest chance of a claim
_DRAWS = 2000
_SURE = 1e-3  # smallest probability in a log loss, as in `mdtree evaluate`


@dataclass(frozen=True, kw_only=True)
class AdaptationScores:
    """Accuracy and calibration of a tree on groups that it has not seen."""

    accuracy: float  # percent
    log_loss: float  # nats
    brier: float  # 0 to 2; bins of a calibration error would be empty with so few groups


@dataclass(frozen=True, kw_only=True)
class GroupComparison:
    """One of the user's groups: the probability of each class, before and after."""

    group: str
    answer: str  # its label
    fold: int
    before: Mapping[str, float]
    after: Mapping[str, float]  # by a tree that has not seen the fold


@dataclass(frozen=True, kw_only=True)
class Adaptation:
    """An adapted tree, and its scores before and after."""

    tree: SavedTree  # adapted to all groups
    groups: int  # the user's groups with a label
    folds: int
    before: AdaptationScores
    after: AdaptationScores
    gain: float  # reduction of the log loss, in nats
    low: float  # 95 % interval of the gain
    high: float
    chance: float  # probability of as large a gain if the original tree is exactly right
    judged: tuple[GroupComparison, ...]
    notes: tuple[str, ...] = ()  # what the user should know about the groups

    @property
    def better(self) -> bool:
        """Whether the gain stands out from the noise."""
        return self.low > 0 and self.chance <= _TAIL

    @property
    def says(self) -> str:
        """Return the result in one sentence."""
        loss_change = (
            f"the log loss goes from {self.before.log_loss:.3f} to {self.after.log_loss:.3f}, "
            f"a gain of {_short(self.gain)} ({_short(self.low)} to {_short(self.high)})"
        )
        if self.better:
            return f"better: {loss_change}"
        if self.high < 0:
            why = ": on these groups, the original tree was better"
        elif self.low <= 0:
            why = ", and its interval includes zero"
        else:
            why = (
                f", but groups that fit the original tree show as large a gain by chance with a "
                f"probability of {percent(self.chance)}"
            )
        return f"no gain that stands out from the noise: {loss_change}{why}"


def _short(value: float) -> str:
    return f"{round(value, 3) + 0.0:.3f}"  # without the sign of a zero


def logs(probabilities: Floats) -> Floats:
    """Return logarithms of probabilities, which are raised to a minimum first."""
    logarithms: Floats = np.log(np.maximum(probabilities, _SURE))
    return logarithms


def of(table: Floats, codes: Ints) -> Floats:
    """Return the value of one class for each group."""
    values: Floats = table[np.arange(len(codes)), codes]
    return values


def interval(gains: Floats, rng: np.random.Generator) -> tuple[float, float]:
    """Return the 95 % interval of the mean gain, by resampling groups with replacement."""
    count = len(gains)
    means = [gains[rng.integers(count, size=count)].mean() for _ in range(_DRAWS)]
    low, high = np.quantile(means, (_TAIL, 1 - _TAIL))
    return float(low), float(high)


def chance(change: Floats, before: Floats, codes: Ints, rng: np.random.Generator) -> float:
    """Return how often labels drawn from the original tree show as large a gain."""
    observed = of(change, codes).mean()
    ends = before.cumsum(axis=1)[:, :-1]
    count = 0
    for _ in range(_DRAWS):
        drawn = (rng.random((len(codes), 1)) > ends).sum(axis=1)
        count += bool(of(change, drawn).mean() >= observed)
    return (1 + count) / (1 + _DRAWS)

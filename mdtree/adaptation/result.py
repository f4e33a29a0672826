"""The result of an adaptation, and its summary in one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mdtree.messages import percent
from mdtree.trees import SavedTree

__all__ = ["TAIL", "Adaptation", "AdaptationScores", "GroupComparison"]

TAIL = 0.025  # on either side of the interval, and the largest chance of a claim


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
        return self.low > 0 and self.chance <= TAIL

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

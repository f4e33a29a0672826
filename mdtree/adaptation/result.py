"""The result of an adaptation, and the sentence that it comes to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mdtree.trees import SavedTree

__all__ = ["TAIL", "Adaptation", "AdaptationScores", "GroupComparison"]

TAIL = 0.025  # on either side of the interval, and the largest chance of a claim


@dataclass(frozen=True, kw_only=True)
class AdaptationScores:
    """How right and how honest a tree is about groups that it has not seen."""

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
    """A continued tree, and what the user's own groups did for it."""

    tree: SavedTree  # continued with all groups
    groups: int  # of the user, with a label
    folds: int
    before: AdaptationScores
    after: AdaptationScores
    gain: float  # nats of log loss that the continued tree is better
    low: float  # 95 % interval of the gain
    high: float
    chance: float  # that groups on which the tree was exactly right show as large a gain
    judged: tuple[GroupComparison, ...]
    notes: tuple[str, ...] = ()  # what the user should know of the groups

    @property
    def better(self) -> bool:
        """Say whether there is a gain that stands out of the noise."""
        return self.low > 0 and self.chance <= TAIL

    @property
    def says(self) -> str:
        """Tell the result in a sentence."""
        loss_change = (
            f"the log loss goes from {self.before.log_loss:.3f} to {self.after.log_loss:.3f}, "
            f"a gain of {_short(self.gain)} ({_short(self.low)} to {_short(self.high)})"
        )
        if self.better:
            return f"better: {loss_change}"
        if self.high < 0:
            why = ": on these groups, the tree was better as it was"
        elif self.low <= 0:
            why = ", and zero is in its interval"
        else:
            why = (
                f", which groups that fit the old tree show by chance with a probability "
                f"of {100 * self.chance:.0f} %"
            )
        return f"no gain that stands out of the noise: {loss_change}{why}"


def _short(value: float) -> str:
    return f"{round(value, 3) + 0.0:.3f}"  # without the sign of a zero

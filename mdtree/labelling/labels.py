"""Labels: the failure mode of each group of a zoo, from what its neighbours on the grid reach."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mdtree.exceptions import RowsError
from mdtree.failure_modes import AXES, REMEDIES, TASKS, GridAxis, RoomForImprovement, best_gain
from mdtree.labelling.grid import accuracy_of, room_for_improvement
from mdtree.rows import Row

__all__ = ["Label", "label_rows"]


@dataclass(frozen=True, kw_only=True)
class Label:
    """What is wrong with one group of a zoo."""

    mode: str  # a failure mode
    accuracy: float  # percent of test items
    gains: Mapping[str, float]  # remedy -> points of test accuracy that it gains at best
    severity: float  # points of test accuracy that the mode's remedy gains; 0 for `none`
    margin: float  # points up to which a gain counts as noise
    lead: float  # points that the remedy gains more than any other; `none`: margin - best gain
    unknown: tuple[str, ...] = ()  # remedies in whose direction the grid ends
    noisy: bool = False  # its margin is so large that `none` means little
    # remedy -> factor of the change (2, 4) -> points that it gains, negative if it hurts
    by_factor: Mapping[str, Mapping[int, float]] = field(default_factory=dict)

    @property
    def plausible(self) -> tuple[str, ...]:
        """The possible modes: more than one if the label is in the noise."""
        gains: dict[str, float] = {}
        for remedy, gain in self.known.items():
            mode = REMEDIES[remedy]
            gains[mode] = max(gain, gains.get(mode, 0.0))
        least = 0.0 if self.mode == "none" else self.severity - self.margin
        others = [mode for mode, gain in gains.items() if mode != self.mode and gain >= least > 0]
        if self.mode == "none" and self.noisy:
            others = [mode for mode, gain in gains.items() if gain > 0]
        return self.mode, *sorted(others, key=lambda mode: -gains[mode])

    @property
    def known(self) -> dict[str, float]:
        """The gains that are not unknown."""
        return {name: gain for name, gain in self.gains.items() if name not in self.unknown}

    @property
    def is_clear(self) -> bool:
        """Whether no other mode is possible: not in the noise, and for `none` nothing unknown."""
        if self.mode == "none":
            return bool(self.gains) and not self.unknown and not self.in_noise
        return not self.in_noise

    @property
    def in_noise(self) -> bool:
        """Whether another mode is as plausible within the margin; `none` only if it is noisy."""
        return self.noisy if self.mode == "none" else self.lead <= self.margin


def label_rows(
    rows: Sequence[Row], *, axes: Sequence[GridAxis] = AXES, margin: float | None = None
) -> list[Label]:
    """Label each group of a grid with the failure mode whose remedy gains most, beyond the noise.

    Args:
        rows: The rows of one or more zoos.
        axes: The facts that may vary.
        margin: Points that count as noise; None: from the spread over seeds.

    Raises:
        RowsError: If the rows do not form a grid, or one of them has no test accuracy.

    """
    if margin is not None and not 0 <= margin < math.inf:
        raise RowsError(f"the margin must be a number of points, at least 0; got {margin}")
    rooms = room_for_improvement(rows, axes=axes, margin=margin)
    modes = [TASKS["failure"].answer(room) or "none" for room in rooms]
    return [
        Label(
            mode=mode,
            accuracy=_percent(row),
            gains=dict(room.gains),
            severity=best_gain(room, mode),
            margin=room.margin,
            lead=_lead(room, mode),
            unknown=tuple(sorted(room.unknown)),
            noisy=room.noisy,
            by_factor=room.by_factor,
        )
        for row, mode, room in zip(rows, modes, rooms, strict=True)
    ]


def _percent(row: Row) -> float:
    accuracy = accuracy_of(row)
    if not 0 <= accuracy <= 100:  # noqa: PLR2004 - percent
        raise RowsError(
            f"group {row.group!r} has a test accuracy of {accuracy:g}, which must be a percentage "
            "from 0 to 100: correct test_error or test_accuracy in its row"
        )
    return accuracy


def _lead(room: RoomForImprovement, mode: str) -> float:
    others = [gain for remedy, gain in room.gains.items() if REMEDIES[remedy] != mode]
    own_gain = room.margin if mode == "none" else best_gain(room, mode)
    return own_gain - max(others, default=0.0)

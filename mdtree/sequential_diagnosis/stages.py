"""What a diagnosis may measure, in which order, and what it has measured."""

from __future__ import annotations

from dataclasses import dataclass

from mdtree.diagnosis import Diagnoser
from mdtree.rows import Row

__all__ = [
    "BY_BLOCKS",
    "FIRST",
    "LATER",
    "METRICS_BY_COST",
    "Diagnosed",
    "Stage",
]

# all that need not be asked for; the first is by far the cheapest, and every tree asks for it
METRICS_BY_COST = (
    "error_rate",
    "predictions",
    "similarity",
    "spectrum",
    "hessian",
    "connectivity",
)
FIRST, *LATER = METRICS_BY_COST
BY_BLOCKS = ("hessian", "connectivity")  # between whose blocks the verdict is asked


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A metric that is measured for some groups."""

    metric: str
    groups: tuple[str, ...]
    seconds: float  # on one worker
    change: float | None  # the largest probability that it changes a verdict; None: none yet
    again: bool = False  # it was measured before, but the verdict needs more


@dataclass(frozen=True, kw_only=True)
class Diagnosed:
    """The rows and the diagnoser after measuring, and what was not worth its time."""

    diagnoser: Diagnoser
    rows: list[Row]
    left_out: tuple[Stage, ...] = ()

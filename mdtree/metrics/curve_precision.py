"""How good a curve may still become while its control point is trained.

Training lowers the loss along the curve, and an error cannot fall below zero.  So with e the mean
error of the ends, and E that of the worse one, every quantity lies between what it is now and

    connectivity <= e        connectivity_peak <= 0        barrier >= -E        barrier_loss >= -L ,

where L is the loss of the worse end.  What it is now is taken with one standard error to spare.
The straight line is the curve before its training: where it settles the matter, nothing is trained.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mdtree.landscape import BezierCurve, Profile, ProfileValue, TrainedCurve
from mdtree.metrics.precision import MembersSoFar, known
from mdtree.rows import Running

__all__ = ["AskedCurve", "PairResult", "reach_of_curve"]


@dataclass(frozen=True, kw_only=True)
class PairResult:
    """The paths between two members."""

    pair: str
    curve: Profile
    line: Profile | None
    steps: int
    converged: bool
    told: bool = False  # to stop before the end

    @property
    def running(self) -> dict[str, Running]:
        """Where the quantities of the curve may end, had it been trained to its end."""
        if self.told:
            return reach_of_curve(self.curve)
        return {name: known(each.value) for name, each in _values(self.curve).items()}


class AskedCurve:
    """Asks about the straight line, and about the curve after some of its steps.

    Args:
        so_far: The pairs before.
        along: Measures the profile of a path, with the ends of another one in `known`.
    """

    def __init__(self, so_far: MembersSoFar, along: Callable[..., Profile]) -> None:
        self._so_far, self._along = so_far, along
        self.line: Profile | None = None  # once it is measured
        self.latest: Profile | None = None  # of what was asked about last

    def is_settled_by(self, line: BezierCurve) -> bool:
        """Return whether no training is needed; the line is measured now, if anybody asks."""
        if not self._so_far.asks:
            return False
        self.line = self.latest = self._along(line)
        return self._so_far.may_stop(reach_of_curve(self.latest))

    def is_enough(self, path: BezierCurve) -> bool:
        """Return whether the curve need not be trained further."""
        assert self.line is not None, "the line comes first"
        self.latest = self._along(path, known=self.line.ends)
        return self._so_far.may_stop(reach_of_curve(self.latest))

    def result(self, pair: str, line: BezierCurve, trained: TrainedCurve) -> PairResult:
        """Measure what is left of the paths of a pair."""
        if trained.told and self.latest is not None:
            curve = self.latest
        else:
            curve = self._along(trained.path, known=() if self.line is None else self.line.ends)
        return PairResult(
            pair=pair,
            curve=curve,
            line=self.line or self._along(line, known=curve.ends),
            steps=trained.steps,
            converged=trained.converged,
            told=trained.told,
        )


def reach_of_curve(curve: Profile) -> dict[str, Running]:
    """Return the quantities of a curve that is still trained, from now to the best."""
    best = {"barrier_loss": -max(point.loss for point in curve.ends)}
    if curve.has_errors:
        first, last = (point.error or 0.0 for point in curve.ends)
        best |= {
            "connectivity": (first + last) / 2,
            "connectivity_peak": 0.0,
            "barrier": -max(first, last),
        }
    return {name: _until(now, best[name]) for name, now in _values(curve).items()}


def _values(curve: Profile) -> dict[str, ProfileValue]:
    values = {"barrier_loss": curve.loss_barrier()}
    if not curve.has_errors:
        return values
    return {
        "connectivity": curve.connectivity(),
        "connectivity_peak": curve.peak(),
        "barrier": curve.barrier(),
        **values,
    }


def _until(now: ProfileValue, best: float) -> Running:
    """Return a quantity that moves towards its best value."""
    spare = now.stderr or 0.0
    worst = now.value - spare if best >= now.value else now.value + spare
    return Running(value=None, reach=(worst, best))

"""How good a curve may still become while its control point is trained.

Training lowers the loss along the curve, and an error cannot fall below zero.  So with e the mean
error of the ends, and E that of the worse one, every quantity ends between what it is now and

    connectivity <= e        connectivity_peak <= 0        barrier >= -E        barrier_loss >= -L ,

where L is the loss of the worse end.  The straight line is the curve before its training: where it
settles the matter, nothing is trained.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mdtree.landscape import BezierCurve, Point, Profile, ProfileValue, TrainedCurve
from mdtree.metrics.precision import Inquiry, known, mean_of
from mdtree.rows import Running

__all__ = ["AskedCurve", "PairResult", "reach_of_all", "reach_of_curve"]

_OF_LINE = ("barrier", "barrier_loss")


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
        return reach_of_curve(self.curve) if self.told else _known(self.curve)


def reach_of_all(pair_results: Sequence[PairResult]) -> dict[str, Running]:
    """Return where the means over pairs may end."""
    running = [each.running for each in pair_results]
    return {name: mean_of([each[name] for each in running]) for name in running[0]}


class AskedCurve:
    """Asks about the straight line, and about the curve after some of its steps.

    Args:
        pair: The name of the pair.
        line: The straight line between its members.
        inquiry: What is asked, with all pairs together.
        along: Measures the profile of a path, with the ends of another one in `known`.
    """

    def __init__(
        self, pair: str, line: BezierCurve, inquiry: Inquiry, along: Callable[..., Profile]
    ) -> None:
        self.line = line
        self._pair, self._inquiry, self._along = pair, inquiry, along
        self._of_line: Profile | None = None  # once it is measured
        self._latest: Profile | None = None  # of what was asked about last

    def measure_line(self) -> None:
        """Measure the straight line: where that is enough for all pairs, nothing is trained."""
        self._of_line = self._along(self.line)
        self._ask(self._of_line)

    def is_enough(self, path: BezierCurve) -> bool:
        """Return whether the curve need not be trained further."""
        return self._ask(self._along(path, known=self._ends))

    def result(self, trained: TrainedCurve) -> PairResult:
        """Measure what is left of the paths of a pair."""
        if trained.told and self._latest is not None:
            curve = self._latest
        else:
            curve = self._along(trained.path, known=self._ends)
            if self._inquiry.asks:
                self._inquiry.is_enough_with(self._pair, {**self._line_numbers, **_known(curve)})
        return PairResult(
            pair=self._pair,
            curve=curve,
            line=self._of_line or self._along(self.line, known=curve.ends),
            steps=trained.steps,
            converged=trained.converged,
            told=trained.told,
        )

    @property
    def _ends(self) -> tuple[Point, ...]:
        return () if self._of_line is None else self._of_line.ends

    @property
    def _line_numbers(self) -> dict[str, Running]:
        assert self._of_line is not None, "the line comes first"
        barriers = _known(self._of_line)
        return {f"linear_{name}": barriers[name] for name in _OF_LINE if name in barriers}

    def _ask(self, curve: Profile) -> bool:
        self._latest = curve
        return self._inquiry.is_enough_with(
            self._pair, {**self._line_numbers, **reach_of_curve(curve)}
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
    return {
        name: Running(value=now.value, reach=(now.value, best[name]))
        for name, now in _values(curve).items()
    }


def _known(curve: Profile) -> dict[str, Running]:
    return {name: known(each.value) for name, each in _values(curve).items()}


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

"""Trajectories: rows that are steps of one run, and which of its checkpoints to keep.

Two checkpoints can be told apart if their test errors differ by more than the noise of the
evaluation:

    items   2 sqrt(s_a^2 + s_b^2), where s is the standard error in the row of a single run,
            sqrt(p (1-p) / n) for an error rate p on n test items.  Both err on the same items, so
            that their difference is less noisy than this: what stands out, does
    runs    the same for two runs, where s is the standard error of their mean
    pairs   for at least three runs, t s(d) / sqrt(k) of the k differences d within the runs, where
            t is Student's for 95 %
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median, stdev

from mdtree.rows import STEP_DETAIL, Measured, Row

__all__ = ["LastSteps", "Trajectory", "TrajectoryStep", "trajectories"]

_ERRORS = 2.0  # standard errors of a difference
_PAIRS = 3  # runs, from which their differences are compared
_CONFIDENCE = 0.975  # of each side
_LAST = 3  # checkpoints that are compared with each other
_SCORES = ("test_error", "test_loss")  # by which checkpoints are compared, the first that is known
_KINDS = ("epoch", "step")  # of axes; what else names count comes behind them
_UNNUMBERED = "checkpoint"
_LARGEST = 1e15  # of a step


@dataclass(frozen=True, kw_only=True)
class TrajectoryStep:
    """One step of a run, whose row has the name `group`."""

    group: str
    label: str  # epoch-3
    at: float  # place on the axis of the trajectory
    score: float | None  # test error in percent, or test loss; None: not known
    stderr: float | None


@dataclass(frozen=True, kw_only=True)
class LastSteps:
    """Whether the last checkpoints differ by more than the noise of the evaluation."""

    groups: tuple[str, ...]
    spread: float  # the highest score minus the lowest
    noise: float | None  # two standard errors of that difference; None: not known
    stands_out: bool | None


@dataclass(frozen=True, kw_only=True)
class Trajectory:
    """The steps of one run, or of runs that differ by seed, in the order of training."""

    run: str
    protocol: str
    axis: str  # what `at` counts: epoch, step, checkpoint, ...
    steps: tuple[TrajectoryStep, ...]
    score: str | None = None  # test_error or test_loss: by what checkpoints are compared
    noise: str | None = None  # items | runs | pairs: what errors are over; None: not known
    lowest: str | None = None  # group of the lowest score
    alike: tuple[str, ...] = ()  # groups that the noise cannot tell from it, and itself
    keep: str | None = None  # the latest of those
    last: LastSteps | None = None
    missing: str | None = None  # why no checkpoint is named


def trajectories(rows: Iterable[Row]) -> tuple[Trajectory, ...]:
    """Return the trajectories among rows: those with at least two steps of one run.

    Args:
        rows: Rows of `mdtree measure --steps all`, among others.

    """
    runs: dict[tuple[str, str], dict[str, _Step]] = {}
    for row in rows:
        step = _step_of(row)
        if step is not None:
            runs.setdefault((step.run, row.protocol), {})[row.group] = step
    return tuple(
        _trajectory(run, protocol, list(steps.values()))
        for (run, protocol), steps in runs.items()
        if len(steps) > 1
    )


@dataclass(frozen=True)
class _Step:
    run: str
    label: str
    phase: float  # of training: below 0 the initial weights, above 0 the last without a number
    counts: Mapping[str, float]  # epoch, step, ... -> number
    row: Row

    def order(self, axis: str) -> tuple[float, float, tuple[float, ...]]:
        """Sort by it along an axis."""
        return self.phase, self.counts.get(axis, 0.0), tuple(self.counts.values())


@dataclass(frozen=True)
class _Known:
    """A step whose score was measured."""

    step: TrajectoryStep
    measured: Measured


def _step_of(row: Row) -> _Step | None:
    """Read when a checkpoint was saved; None where its row does not say it."""
    detail = (row.details or {}).get(STEP_DETAIL)
    if detail is None or any(len(column) != 1 for column in detail.columns.values()):
        return None
    cells = {name: column[0] for name, column in detail.columns.items()}
    run, label, phase = (cells.pop(name, None) for name in ("run", "label", "phase"))
    if not (isinstance(run, str) and isinstance(label, str) and _is_place(phase)):
        return None
    counts = {name: float(cell) for name, cell in cells.items() if _is_place(cell)}  # type: ignore[arg-type]
    return _Step(run, label, float(phase), counts, row)  # type: ignore[arg-type]


def _is_place(cell: object) -> bool:
    return isinstance(cell, int | float) and abs(cell) <= _LARGEST


def _trajectory(run: str, protocol: str, steps: Sequence[_Step]) -> Trajectory:
    axis = _axis(steps)
    steps = sorted(steps, key=lambda step: step.order(axis))
    score = next((name for name in _SCORES if _count(name, steps) > 1), None)
    known: list[_Known] = []
    drawn: list[TrajectoryStep] = []
    for step, at in zip(steps, _places(steps, axis), strict=True):
        value = None if score is None else step.row.quantities.get(score)
        measured = value if isinstance(value, Measured) else None
        drawn.append(
            TrajectoryStep(
                group=step.row.group,
                label=step.label,
                at=at,
                score=None if measured is None else measured.value,
                stderr=None if measured is None else measured.stderr,
            )
        )
        if measured is not None:
            known.append(_Known(drawn[-1], measured))
    if score is None:
        return Trajectory(
            run=run,
            protocol=protocol,
            axis=axis,
            steps=tuple(drawn),
            missing="neither test error nor test loss is known of two steps",
        )
    lowest = min(known, key=lambda each: each.measured.value)
    alike = [each.step.group for each in known if not _differ(each, lowest)]
    return Trajectory(
        run=run,
        protocol=protocol,
        axis=axis,
        steps=tuple(drawn),
        score=score,
        noise=_kind_of_noise([each.measured for each in known]),
        lowest=lowest.step.group,
        alike=tuple(alike),
        keep=alike[-1],
        last=_last_steps(known[-_LAST:]),
    )


def _count(name: str, steps: Sequence[_Step]) -> int:
    return sum(isinstance(step.row.quantities.get(name), Measured) for step in steps)


def _axis(steps: Sequence[_Step]) -> str:
    """Choose what the names of all numbered steps count, and by which no two are the same."""
    numbered = [step for step in steps if step.counts]
    names = dict.fromkeys(name for step in numbered for name in step.counts)
    for name in sorted(names, key=lambda name: name not in _KINDS):
        places = {step.counts[name] for step in numbered if name in step.counts}
        if len(places) == len(numbered):
            return name
    return _UNNUMBERED


def _places(steps: Sequence[_Step], axis: str) -> list[float]:
    """Place the steps on the axis; a last one without a number comes one gap behind the others."""
    numbers = [step.counts[axis] for step in steps if axis in step.counts]
    if not numbers:
        return [float(place) for place in range(1, len(steps) + 1)]
    gaps = [b - a for a, b in pairwise(numbers) if b > a]
    gap = median(gaps) if gaps else 1.0
    places: list[float] = []
    for step in steps:
        if axis in step.counts:
            places.append(step.counts[axis])
        elif step.phase < 0:  # the initial weights
            places.append(0.0)
        else:
            places.append((places[-1] if places else 0.0) + gap)
    return places


def _differ(one: _Known, other: _Known) -> bool:
    """Return whether two scores differ by more than the noise; without one, if they differ."""
    return abs(one.measured.value - other.measured.value) > (_noise(one, other) or 0.0)


def _kind_of_noise(scores: Sequence[Measured]) -> str | None:
    counts = {len(score.members or ()) for score in scores}
    if any(score.stderr is None for score in scores):
        return None
    if len(counts) == 1 and min(counts) >= _PAIRS:
        return "pairs"
    return "runs" if min(counts) > 1 else "items"


def _noise(one: _Known, other: _Known) -> float | None:
    first, second = one.measured.stderr, other.measured.stderr
    if first is None or second is None:
        return None
    pairs = list(zip(one.measured.members or (), other.measured.members or (), strict=False))
    if _kind_of_noise([one.measured, other.measured]) == "pairs":
        from scipy.special import stdtrit

        quantile = float(stdtrit(len(pairs) - 1, _CONFIDENCE))
        return quantile * stdev(a - b for a, b in pairs) / math.sqrt(len(pairs))
    return _ERRORS * math.hypot(first, second)


def _last_steps(known: Sequence[_Known]) -> LastSteps:
    high, low = (pick(known, key=lambda each: each.measured.value) for pick in (max, min))
    noise = _noise(high, low)
    spread = high.measured.value - low.measured.value
    return LastSteps(
        groups=tuple(each.step.group for each in known),
        spread=spread,
        noise=noise,
        stands_out=None if noise is None else spread > noise,
    )

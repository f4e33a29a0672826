"""Trajectories in words: which checkpoint to keep, and a short table of the steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from mdtree.messages import plural, printable, shortened
from mdtree.render.formatting import number, plain, short, with_unit
from mdtree.render.terminal import table
from mdtree.rows import QUANTITIES, Measured, Row

if TYPE_CHECKING:
    from mdtree.diagnosis import Trajectory
    from mdtree.diagnosis.trajectory import TrajectoryStep

__all__ = ["heading", "kept", "last_steps", "shown_steps", "trajectory_text"]

_MOST_LINES = 12  # of a table
_LONGEST = 2000  # characters of a line
_COLUMNS = (
    "test_error",
    "train_error",
    "test_loss",
    "train_loss",
    "hessian_top",
    "hessian_trace",
    "alpha",
)
_NOISE = {
    ("test_error", "items"): "two binomial standard errors of a difference",
    ("test_loss", "items"): "two standard errors of a difference over the test items",
}
_NOISE_OF_RUNS = {
    "runs": "two standard errors of a difference over the runs",
    "pairs": "95 % interval of the differences within the runs",
}


def trajectory_text(trajectory: Trajectory, rows: Sequence[Row]) -> str:
    """Write a trajectory: a table of its steps, which checkpoint to keep, and why."""
    lines = [heading(trajectory), "", kept(trajectory), last_steps(trajectory)]
    first, _, *rest = (
        printable(shortened(line, _LONGEST)) if line is not None else None for line in lines
    )
    return "\n".join(line for line in (first, _table(trajectory, rows), *rest) if line is not None)


def heading(trajectory: Trajectory) -> str:
    """Write which run it is, and how far its checkpoints reach."""
    steps = trajectory.steps
    first, last = steps[0].label, steps[-1].label
    return f"trajectory of {trajectory.run}: {plural(len(steps), 'checkpoint')}, {first} to {last}"


def kept(trajectory: Trajectory) -> str:
    """Write which checkpoint to keep, and the rule by which it was chosen."""
    by_group = {step.group: step for step in trajectory.steps}
    if trajectory.keep is None or trajectory.lowest is None or trajectory.score is None:
        return f"which checkpoint to keep is not known: {trajectory.missing}"
    keep, lowest = by_group[trajectory.keep], by_group[trajectory.lowest]
    name = plain(trajectory.score)
    score = _score(trajectory, keep)
    if trajectory.noise is None:
        return f"keep {keep.group}: the lowest {name}, {score}; the noise of it is not known"
    if len(trajectory.alike) == 1:
        return f"keep {keep.group}: the lowest {name}, {score}, by more than the noise"
    which = f"the latest of {len(trajectory.alike)} that the noise cannot tell apart"
    if keep is lowest:
        return f"keep {keep.group}: the lowest {name}, {score}, and {which}"
    other = f"the lowest is {lowest.group}, {_score(trajectory, lowest)}"
    return f"keep {keep.group}: {name} {score}, {which} ({other})"


def last_steps(trajectory: Trajectory) -> str | None:
    """Write whether the last checkpoints differ by more than the noise; None if nobody knows."""
    last, score = trajectory.last, trajectory.score
    if last is None or score is None:
        return None
    unit = "points" if score == "test_error" else QUANTITIES[score].unit
    differ = (
        f"the last {len(last.groups)} differ by {with_unit(short(last.spread, digits=2), unit)}"
    )
    if last.noise is None or trajectory.noise is None:
        return f"{differ}; whether that is noise of the evaluation is not known"
    known = _NOISE.get((score, trajectory.noise)) or _NOISE_OF_RUNS[trajectory.noise]
    noise = f"({with_unit(short(last.noise, digits=2), unit)}: {known})"
    if last.stands_out:
        return f"{differ}, which stands out of the noise of the evaluation {noise}"
    return f"{differ}, which does not stand out of the noise of the evaluation {noise}"


def shown_steps(trajectory: Trajectory, most: int) -> list[TrajectoryStep]:
    """Thin out the steps evenly, with the first, the last, the lowest and the one to keep."""
    steps = trajectory.steps
    stride = -(-len(steps) // most)
    return [
        step
        for place, step in enumerate(steps)
        if place % stride == 0
        or place == len(steps) - 1
        or step.group in (trajectory.keep, trajectory.lowest)
    ]


def _score(trajectory: Trajectory, step: TrajectoryStep) -> str:
    assert step.score is not None  # only steps with a score are compared
    assert trajectory.score is not None
    return with_unit(number(step.score, step.stderr), QUANTITIES[trajectory.score].unit)


def _table(trajectory: Trajectory, rows: Sequence[Row]) -> str:
    by_group = {row.group: row for row in rows if row.protocol == trajectory.protocol}
    steps = shown_steps(trajectory, _MOST_LINES)
    measured = {name: list(_cells(steps, by_group, name)) for name in _COLUMNS}
    names = [name for name, cells in measured.items() if any(cells)]
    lines = [
        [step.label, *(measured[name][place] for name in names), _mark(trajectory, step)]
        for place, step in enumerate(steps)
    ]
    header = [trajectory.axis, *(with_unit(n, _unit(n)) for n in names), ""]
    left = len(trajectory.steps) - len(steps)
    more = f"\n... and {plural(left, 'step')} between them" if left else ""
    return table(header, lines) + more


def _unit(name: str) -> str:
    unit = QUANTITIES[name].unit
    return f"[{unit}]" if unit else ""


def _cells(
    steps: Sequence[TrajectoryStep], by_group: Mapping[str, Row], name: str
) -> Iterator[str]:
    for step in steps:
        row = by_group.get(step.group)
        value = None if row is None else row.quantities.get(name)
        yield number(value.value, value.stderr) if isinstance(value, Measured) else ""


def _mark(trajectory: Trajectory, step: TrajectoryStep) -> str:
    if step.group == trajectory.keep:
        return "keep"
    return "lowest" if step.group == trajectory.lowest else ""

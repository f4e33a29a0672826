"""What the row of one step says of its run: when the checkpoint was saved, and what was logged."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from mdtree.checkpoints import Selected
from mdtree.rows import HISTORY_DETAIL, STEP_DETAIL, Detail
from mdtree.runs import History

__all__ = ["history_detail", "step_detail"]

_MOST = 1000  # points of a history
_LARGEST = 1e15
_COLUMNS = ("step", "epoch", "train_loss", "test_loss", "test_accuracy")


def step_detail(run: str, selected: Selected, unnamed: str) -> Mapping[str, Detail]:
    """Return when a checkpoint was saved; nothing where a group is no step of a run.

    Args:
        run: The name of the run, or of the runs that differ by seed.
        selected: The checkpoints of the step.
        unnamed: What a number without a word counts.

    """
    if not selected.label:
        return {}
    columns: dict[str, tuple[float | str | None, ...]] = {
        kind or unnamed: (number,) for kind, number in selected.counts if abs(number) <= _LARGEST
    }
    columns |= {"run": (run,), "label": (selected.label,), "phase": (float(selected.phase),)}
    return {STEP_DETAIL: Detail(columns=columns)}


def history_detail(histories: Sequence[History]) -> Mapping[str, Detail]:
    """Return what the trainers of some runs logged, thinned out where it is long."""
    lines: list[tuple[float | None, ...]] = []
    for run, history in enumerate(histories):
        points = history.points
        most = max(_MOST // len(histories), 2)
        stride = max(math.ceil(len(points) / most), 1)
        kept = [*points[:-1:stride], *points[-1:]]
        lines += [(float(run), *(_finite(getattr(p, name)) for name in _COLUMNS)) for p in kept]
    if not lines:
        return {}
    columns = dict(zip(("run", *_COLUMNS), zip(*lines, strict=True), strict=True))
    known = {name: cells for name, cells in columns.items() if any(c is not None for c in cells)}
    return {HISTORY_DETAIL: Detail(columns=known)}


def _finite(value: float | None) -> float | None:
    """Leave out NaN, which no row may hold: where training diverged, the curve ends."""
    return value if value is not None and math.isfinite(value) else None

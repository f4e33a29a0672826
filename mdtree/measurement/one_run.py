"""Checkpoints of one run: told from seeds where names leave it open, refused, or rows of its steps.

What tells, in this order: words in names, a log beside the files that ends with their numbers,
counters inside the files, the distances of the weights.  The row of one step says when it was saved
and what the trainer had logged.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from mdtree.checkpoints import (
    LAST,
    LazyTensor,
    Selected,
    kinship,
    latest,
    moments,
    select,
    snapshots,
    stored_tensors,
    undecided,
)
from mdtree.exceptions import SnapshotsError
from mdtree.measurement.task import GroupTask
from mdtree.rows import HISTORY_DETAIL, MAYBE_ONE_RUN, STEP_DETAIL, Detail
from mdtree.runs import History, RunRecord

__all__ = [
    "LOGGED",
    "are_logged_together",
    "check_counters",
    "history_detail",
    "kin_notes",
    "refusal",
    "step_detail",
    "tensors_of",
]

# why numbered files are those of one run
LOGGED = (
    ": the log beside them ends at the largest of their numbers (seeds are called seed-0, seed-1, "
    "..., or listed in a recipe: groups, files)"
)
_Counters = Mapping[str, Mapping[str, float]]

_MOST = 1000  # points of a history
_LARGEST = 1e15
_COLUMNS = ("step", "epoch", "train_loss", "test_loss", "test_accuracy")


def are_logged_together(files: Mapping[str, Path], record: Callable[[str], RunRecord]) -> bool:
    """Return whether the only log beside numbered files ends at the largest of their numbers.

    So `model_1` to `model_6` beside a log of six epochs are those epochs.

    Args:
        files: The checkpoints of a group, by their names.
        record: Reads what is known of the run of one.

    """
    alike = undecided(files)
    return bool(alike) and all(
        _is_logged(names, record) for same in alike for names in _by_folder(same, files).values()
    )


def _by_folder(names: Iterable[str], files: Mapping[str, Path]) -> dict[Path, list[str]]:
    folders: dict[Path, list[str]] = {}
    for name in names:
        folders.setdefault(files[name].parent, []).append(name)
    return folders


def _is_logged(names: Sequence[str], record: Callable[[str], RunRecord]) -> bool:
    known = record(names[-1])
    if len(names) == 1 or not known.is_logged_beside:
        return False
    (moment,) = moments([names[-1]], are_counted=True)
    ends = (known.history.last_epoch, known.history.last("step"))
    # epochs and steps are counted from 0 as well as from 1
    return any(end is not None and abs(moment.numbers[-1] - end) <= 1 for end in ends)


def check_counters(task: GroupTask, counters: _Counters) -> None:
    """Refuse files whose counters, or names, say that one run saved them.

    Raises:
        SnapshotsError: They are checkpoints of one run.

    """
    pair = None if task.listed else snapshots(counters, counters)
    if pair is not None:
        raise refusal(task, pair, counters, counters)


def kin_notes(
    task: GroupTask,
    names: Sequence[str],
    counters: _Counters,
    tensors: Callable[[str], Sequence[LazyTensor]],
) -> list[str]:
    """Look at the weights where nothing else tells seeds from snapshots; say what stays open.

    Args:
        task: The group.
        names: Its members, each network once.
        counters: What the files count.
        tensors: Returns the weights of a member; of an adapter, without its base.

    Raises:
        SnapshotsError: The weights are those of one run.

    """
    notes = []
    for alike in () if task.listed else undecided(names, counters):
        kind = kinship([tensors(name) for name in alike])
        if kind == "run":
            raise refusal(task, (alike[0], alike[1]), names, because=" by their weights")
        if kind == "unknown":
            notes.append(
                f"{alike[0]:.200} to {alike[-1]:.200} {MAYBE_ONE_RUN}: neither their names nor "
                "their weights tell, and error bars hold for seeds alone. Name them after their "
                "seeds (seed-0, ...) or epochs (epoch-1, ...), or take the last with --steps last"
            )
    return notes


def tensors_of(task: GroupTask, name: str) -> Sequence[LazyTensor]:
    """List what was trained in a file: of an adapter, without its base, which all seeds share."""
    path = task.members[name]
    return stored_tensors(path, trust=task.trust.names, key=task.recipe.weights_key).tensors


def refusal(
    task: GroupTask,
    pair: tuple[str, str],
    names: Iterable[str],
    counters: _Counters | None = None,
    because: str = "",
) -> SnapshotsError:
    """Say which files are snapshots of one run, and what to do."""
    first, second = (_with_counters(name, (counters or {}).get(name, {})) for name in pair)
    names = list(names)
    last = task.members[latest(names)]
    steps = ""
    if len(chosen := select(names, LAST)[0].names) < len(names):
        steps = (
            "measure the last of each run with --steps last, where numbers without a word are "
            f"steps as well (it takes {', '.join(chosen):.200}), "
        )
    return SnapshotsError(
        f"{first} and {second} look like snapshots of one run{because}, not like seeds: error bars "
        "over them would be far too small. Name the files after their seeds (seed-0, seed-1, ...), "
        f"{steps}or measure one of them alone (mdtree measure {last!s:.400} --recipe ...); if they "
        "are different seeds, list them in the recipe (groups, files)"
    )


def _with_counters(name: str, counters: Mapping[str, float]) -> str:
    text = ", ".join(f"{counter} {value:g}" for counter, value in counters.items())
    return f"{name:.200} ({text})" if text else f"{name:.200}"


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

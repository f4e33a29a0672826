"""Whether the files of a group are seeds, where their names leave it open, and the refusal if not.

What tells, in this order: words in names, counters inside the files, the distances of the weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from mdtree.checkpoints import (
    LAST,
    LazyTensor,
    kinship,
    latest,
    select,
    snapshots,
    stored_tensors,
    undecided,
)
from mdtree.exceptions import SnapshotsError
from mdtree.measurement.task import GroupTask
from mdtree.rows import MAYBE_ONE_RUN

__all__ = ["check_counters", "kin_notes", "refusal", "tensors_of"]

_Counters = Mapping[str, Mapping[str, float]]


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

"""Networks that diverged: the row of their group names them, and nothing is tried of it again."""

from __future__ import annotations

from dataclasses import replace

from mdtree.checkpoints import file_digest
from mdtree.exceptions import DivergedError, MdtreeError
from mdtree.measurement.task import GroupTask, row_digest
from mdtree.recipes import fingerprint
from mdtree.rows import Diverged, Fact, Row
from mdtree.zoo import diverged_records, diverged_row

__all__ = ["beside", "has_not_changed", "of_error", "row_of_records"]


def row_of_records(task: GroupTask, facts: dict[str, Fact], reason: str) -> Row:
    """Return the row of a group of which there are only records, as all networks diverged."""
    row = diverged_row(task.group, task.protocol, facts, reason)
    return replace(row, diverged=Diverged(networks=(), of=0, inputs=_inputs(task)))


def of_error(task: GroupTask, error: DivergedError) -> Diverged:
    """Name the networks for which a group cannot be measured."""
    records = _records(task)
    return Diverged(
        networks=(*error.networks, *records),
        of=error.of + len(records),
        inputs=_inputs(task),
    )


def beside(task: GroupTask, measured: int) -> Diverged | None:
    """Name the networks that diverged and have no weights, where others are measured."""
    records = _records(task)
    return Diverged(networks=records, of=measured + len(records)) if records else None


def has_not_changed(task: GroupTask, row: Row) -> bool:
    """Return whether a group diverged, and there is nothing new that could be measured."""
    known = None if row.diverged is None else row.diverged.inputs
    return row.failure is not None and known is not None and known == _inputs(task)


def _records(task: GroupTask) -> tuple[str, ...]:
    """Name the records beside the weights, in the only folder that they are in."""
    folders = {path.parent for path in task.files}
    if task.storage is not None or len(folders) != 1:
        return ()
    return diverged_records(folders.pop(), task.files)


def _inputs(task: GroupTask) -> str | None:
    """Hash what decides that nothing can be measured; None if it cannot be read."""
    if task.lost is not None:
        facts = str(sorted(task.facts.items()))
        return fingerprint(task.recipe.model, task.recipe.training, facts, task.lost)
    try:
        weights = task.stamps or {name: file_digest(path) for name, path in task.members.items()}
        return fingerprint(row_digest(task), str(sorted(weights.items())), *_records(task))
    except MdtreeError:
        return None

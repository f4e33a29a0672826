"""Rows of groups that failed, or whose networks diverged, and where an error was raised.

The traceback is in a file of its own beside the rows.  Networks that diverged are named in the row
of their group, and nothing is tried of them again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from dataclasses import replace
from pathlib import Path

from mdtree.checkpoints import file_digest
from mdtree.exceptions import DivergedError, MdtreeError, OutputError
from mdtree.measurement.task import GroupTask, row_digest
from mdtree.messages import printable
from mdtree.metrics import METRICS
from mdtree.recipes import fingerprint
from mdtree.rows import QUANTITIES, Diverged, Fact, GroupFailure, Missing, Row, RowKey, Value
from mdtree.rows.atomic import fresh
from mdtree.zoo import diverged_records, diverged_row

__all__ = [
    "TracebackFiles",
    "diverged_beside",
    "diverged_in",
    "failed_row",
    "is_still_diverged",
    "row_of_records",
]

_LONGEST = 2_000  # letters of a reason, which each quantity of the row repeats
_LONGEST_TRACE = 1 << 18  # letters; of a longer one, the end says more


def failed_row(task: GroupTask, kind: str, reason: str) -> Row:
    """Make the row of a group that could not be measured, or not further than it was before."""
    reason = reason if len(reason) <= _LONGEST else f"{reason[:_LONGEST]} ..."
    missing = Missing(missing=f"the group failed: {reason}")
    quantities: dict[str, Value] = {
        name: missing
        for metric in task.metrics
        for name in METRICS[metric].quantities
        if name in task.quantities or not task.quantities
    }
    failure = GroupFailure(kind=kind, reason=reason)
    if task.earlier is not None:
        # what was measured before, if not as precisely, stays
        metrics = task.earlier.provenance.metrics if task.earlier.provenance is not None else ()
        known = {
            **task.earlier.quantities,
            **{n: value for n, value in quantities.items() if QUANTITIES[n].metric not in metrics},
        }
        return replace(task.earlier, quantities=known, failure=failure)
    return Row(
        format=1,
        group=task.group,
        protocol=task.protocol,
        facts=dict(task.facts),
        quantities=quantities,
        failure=failure,
        details=dict(task.details) or None,
    )


class TracebackFiles:
    """The folder ROWS.failures: a file for each group that failed when it was last measured."""

    def __init__(self, rows: Path) -> None:
        self._folder = rows.with_name(f"{rows.name}.failures")
        if self._folder.is_symlink():
            raise OutputError(
                f"{self._folder} is a link to {os.path.realpath(self._folder)}, and no folder for "
                "traces: remove it, or name another file of rows with --out"
            )

    def file(self, key: RowKey) -> Path:
        """Name the file of a group under a protocol, whatever letters their names hold."""
        name = "-".join(key)
        digest = hashlib.sha256(name.encode()).hexdigest()[:8]
        return self._folder / f"{re.sub(r'[^A-Za-z0-9_-]+', '_', name)[:80]}-{digest}.txt"

    def keep(self, row: Row, trace: str | None) -> Row:
        """Write a failed row's trace and name its file in the row; drop that of an earlier run."""
        if row.failure is None or trace is None:
            self.drop(row.key)
            return row
        file = self.file(row.key)
        try:
            self._folder.mkdir(exist_ok=True)
            with fresh(file) as out:
                out.write(printable(trace[-_LONGEST_TRACE:], keep="\n").encode())
        except OSError:  # the row says why the group failed; that must not fail for this
            return row
        where = f"{self._folder.name}/{file.name}"
        return replace(row, failure=replace(row.failure, trace=where))

    def drop(self, key: RowKey) -> None:
        """Remove the trace of a group that has been mended."""
        with contextlib.suppress(OSError):
            if not self._folder.is_dir():
                return
            self.file(key).unlink(missing_ok=True)
            self._folder.rmdir()  # if it was the last


def row_of_records(task: GroupTask, facts: dict[str, Fact], reason: str) -> Row:
    """Return the row of a group of which there are only records, as all networks diverged."""
    row = diverged_row(task.group, task.protocol, facts, reason)
    return replace(row, diverged=Diverged(networks=(), of=0, inputs=_inputs(task)))


def diverged_in(task: GroupTask, error: DivergedError) -> Diverged:
    """Name the networks for which a group cannot be measured."""
    records = _records(task)
    return Diverged(
        networks=(*error.networks, *records),
        of=error.of + len(records),
        inputs=_inputs(task),
    )


def diverged_beside(task: GroupTask, measured: int) -> Diverged | None:
    """Name the networks that diverged and have no weights, where others are measured."""
    records = _records(task)
    return Diverged(networks=records, of=measured + len(records)) if records else None


def is_still_diverged(task: GroupTask, row: Row) -> bool:
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

"""Tracebacks: where the error of a group was raised, in a file of its own beside the rows."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from dataclasses import replace
from pathlib import Path

from mdtree.exceptions import OutputError
from mdtree.messages import printable
from mdtree.rows import Row, RowKey
from mdtree.rows.atomic import fresh

__all__ = ["TracebackFiles"]

_LONGEST = 1 << 18  # letters; of a longer one, the end says more


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
                out.write(printable(trace[-_LONGEST:], keep="\n").encode())
        except OSError:  # the row says why the group failed; that must not fail for this
            return row
        where = f"{self._folder.name}/{file.name}"
        return replace(row, failure=replace(row.failure, trace=where))

    def drop(self, key: RowKey) -> None:
        """Remove the trace of a group that has been mended."""
        with contextlib.suppress(OSError):
            self.file(key).unlink(missing_ok=True)
            self._folder.rmdir()  # if it was the last

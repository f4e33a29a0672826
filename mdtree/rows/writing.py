"""The store of measurements: a JSON Lines file that grows by whole rows.

A kill at any moment loses at most the row that is being written: a row is one write that ends in a
line feed, so an unfinished row is the last line and has none.  Readers skip it, the next writer
removes it.  If a group is measured again, its later row counts; if that fails, the failure is
stored after the measurement, which stays valid.  An earlier measurement of the same networks with
other settings is kept before the later one if it has quantities that the later one lacks.  When a
writer closes, superseded rows are dropped and damaged lines are moved to a separate file
(`NAME.damaged`).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from io import BufferedWriter
from pathlib import Path
from types import TracebackType
from typing import Self

from mdtree.exceptions import OutputError, RowsError
from mdtree.rows.atomic import (
    appended,
    atomic_file,
    beside,
    cannot_write,
    check_plain,
    check_replaced,
    locked,
    to_disk,
)
from mdtree.rows.file_kinds import MEASUREMENTS
from mdtree.rows.reading import Damaged, Index, is_packed, read_lines
from mdtree.rows.row import FORMAT, Row, row_to_json

__all__ = ["Store", "check_plain_rows", "write_rows"]

_START = f'{{"format":{FORMAT},"group":"'.encode()  # of every row that was written here


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Write a file of rows; an existing one is replaced atomically.

    Raises:
        LockedError: Another process is writing the file.
        OutputError: The file cannot be written, or contains something else.
    """
    with _locked(path), atomic_file(path, replaces=MEASUREMENTS) as file:
        file.writelines(row_to_json(row) + b"\n" for row in rows)


class Store:
    """The single writer of a measurements file: `with Store(path) as store: store.append(row)`.

    Raises:
        LockedError: Another process is writing the file.
        OutputError: The file cannot be written.
        RowsError: The file contains something else than measurements.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._context = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            stack.enter_context(_locked(self._path))
            self.index: Index = Index(self._path)
            self._check_kind()
            try:
                if self.index.damaged:
                    # report a problem before anything is measured
                    check_plain(self._damaged_path, alone=True)
                    check_replaced(self._path, MEASUREMENTS)
                self._file = stack.enter_context(appended(Path(os.path.realpath(self._path))))
                self._file.truncate(self.index.end)
                if self.index.end and not _ends_with_line_feed(self._path):
                    self._write(b"\n")  # the kill came between a row and its line feed
            except OSError as error:
                raise cannot_write(self._path, error) from error
            self._context = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._context:
            try:
                to_disk(self._file.fileno())
                self._file.close()  # some systems do not replace open files
                self.index.close()
            except OSError as broken:
                raise cannot_write(self._path, broken) from broken
            if self.index.end == 0:
                self._path.unlink(missing_ok=True)  # a run that failed at once leaves no file
            if self.index.superseded or self.index.damaged:
                self._tidy()

    @property
    def _damaged_path(self) -> Path:
        return self._path.with_name(f"{self._path.name}.damaged")

    def append(self, row: Row) -> None:
        """Append a row; after this returns, killing the process does not lose it."""
        offset = self.index.end
        text = row_to_json(row) + b"\n"
        self._write(text)
        self.index.add(row, offset)

    def _check_kind(self) -> None:
        """Refuse files of another kind, whose lines would be moved or removed as damaged."""
        if len(self.index) or not self._path.exists():
            return
        with self._path.open("rb") as file:
            start = file.read(len(_START))
        if start.strip() and not _START.startswith(start):
            raise RowsError(
                f"{self._path} does not contain measurements: "
                "remove it, or name another file with --out"
            )

    def _write(self, text: bytes) -> None:
        try:
            rest = memoryview(text)
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            with contextlib.suppress(OSError):  # keep the file readable even on a full disk
                self._file.truncate(self.index.end)
            raise cannot_write(self._path, error) from error
        self.index.end += len(text)

    def _tidy(self) -> None:
        """Drop superseded rows and move damaged lines aside."""
        if self.index.damaged:
            try:
                with BufferedWriter(appended(self._damaged_path)) as file:
                    file.writelines(
                        line.text
                        for line in read_lines(self._path)
                        if isinstance(line.content, Damaged)
                    )
            except OSError as error:
                raise cannot_write(self._damaged_path, error) from error
        with atomic_file(self._path, replaces=MEASUREMENTS) as file:
            file.writelines(self.index.texts())
            self.index.close()


def _locked(path: Path) -> contextlib.AbstractContextManager[None]:
    if os.path.isdir(path):  # noqa: PTH112 - Path.is_dir fails for names that are too long
        raise OutputError(f"{path} is a directory: name a file in it with --out")
    check_plain_rows(path)
    held = (
        f"{path} is being written by another mdtree: "
        "wait until that has finished, or name another file with --out"
    )
    return locked(beside(path, "lock"), path.parent, path, held=held)


def check_plain_rows(path: Path) -> None:
    """Refuse a name of packed rows, which are read and never written.

    Raises:
        OutputError: The name ends in .gz.
    """
    if is_packed(path):
        raise OutputError(
            f"{path}: rows are written plain: name a file that does not end in .gz, such as "
            f"{path.with_suffix('')}"
        )


def _ends_with_line_feed(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"

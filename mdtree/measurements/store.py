"""The store of measurements: a JSON Lines file that grows by whole rows.

A kill at any moment loses at most the row that is being written: a row is one write that ends in a
line feed, so an unfinished row is the last line and has none.  Readers leave it out, the next
writer cuts it off.  Where a group is measured again, its later row counts.  When a writer closes,
superseded rows are dropped and damaged lines are moved to a file beside (`NAME.damaged`).
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from filelock import FileLock, Timeout
from pydantic import ValidationError

from mdtree.exceptions import LockedError, OutputError, RowsError
from mdtree.measurements.row import FORMAT, Row, RowKey, row_from_json, row_to_json

__all__ = ["Damaged", "Index", "Store", "read_rows", "scan_rows", "write_rows"]

_LONGEST_LINE = 1 << 24  # bytes; a longer "row" is no row


@dataclass(frozen=True, kw_only=True)
class Damaged:
    """A line that is no row."""

    line: int  # counted from 1
    reason: str


@dataclass(frozen=True, kw_only=True)
class _Line:
    number: int  # counted from 1
    offset: int  # bytes from the start of the file
    text: bytes
    content: Row | Damaged


def scan_rows(path: Path) -> Iterator[Row | Damaged]:
    """Read a file line by line in constant memory; what is no row comes as a value."""
    return (line.content for line in _lines(path))


def read_rows(path: Path) -> list[Row]:
    """Read the latest row of each group and protocol, in the order in which they first appear.

    Raises RowsError with the line and the reason at the first line that is no row.
    """
    rows: dict[RowKey, Row] = {}
    for item in scan_rows(path):
        if isinstance(item, Damaged):
            raise RowsError(f"{path}, line {item.line}: {item.reason}")
        rows[item.key] = item
    return list(rows.values())


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Write a file of rows; an existing one is replaced as a whole, or not at all."""
    with _locked(path):
        _replace(path, (row_to_json(row) + b"\n" for row in rows))


class Index:
    """Where the latest row of each key lies in a file; rows are read when they are asked for."""

    def __init__(self, path: Path) -> None:
        self.damaged: list[Damaged] = []
        self.superseded = 0  # rows that a later one has replaced
        self.end = 0  # bytes up to which the file is whole
        self._path = path
        self._where: dict[RowKey, tuple[int, int]] = {}  # key -> (offset, length)
        if not path.exists():
            return
        for line in _lines(path):
            self.end = line.offset + len(line.text)
            if isinstance(line.content, Damaged):
                self.damaged.append(line.content)
            else:
                self.add(line.content.key, line.offset, len(line.text))

    def add(self, key: RowKey, offset: int, length: int) -> None:
        """Note the latest row of a key."""
        self.superseded += key in self._where
        self._where[key] = (offset, length)

    def latest(self, key: RowKey) -> Row | None:
        """Read the latest row of a key."""
        if key not in self._where:
            return None
        offset, length = self._where[key]
        with self._path.open("rb") as file:
            file.seek(offset)
            return row_from_json(file.read(length))

    def is_latest(self, key: RowKey, offset: int) -> bool:
        """Say whether the row that begins at `offset` is the one that counts."""
        return self._where[key][0] == offset


class Store:
    """The one writer of a measurements file: `with Store(path) as store: store.append(row)`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._context = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            stack.enter_context(_locked(self._path))
            self.index = Index(self._path)
            try:
                self._file = stack.enter_context(self._path.open("ab", buffering=0))
                self._file.truncate(self.index.end)
                if self.index.end and not _ends_whole(self._path):
                    self._write(b"\n")  # the kill came between a row and its line feed
            except OSError as error:
                raise _cannot_write(self._path, error) from error
            self._context = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._context:
            with contextlib.suppress(OSError):  # some systems cannot flush; the rows are written
                os.fsync(self._file.fileno())
            if self.index.superseded or self.index.damaged:
                self._tidy()

    def append(self, row: Row) -> None:
        """Add one row; when this returns, a kill of the process cannot lose it."""
        offset = self.index.end
        text = row_to_json(row) + b"\n"
        self._write(text)
        self.index.add(row.key, offset, len(text))

    def _write(self, text: bytes) -> None:
        try:
            rest = memoryview(text)
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            with contextlib.suppress(OSError):  # the file stays readable also on a full disk
                self._file.truncate(self.index.end)
            raise _cannot_write(self._path, error) from error
        self.index.end += len(text)

    def _tidy(self) -> None:
        """Drop superseded rows and move damaged lines aside, in constant memory."""
        aside = self._path.with_name(f"{self._path.name}.damaged")
        if self.index.damaged:
            with aside.open("ab") as file:
                file.writelines(
                    line.text for line in _lines(self._path) if isinstance(line.content, Damaged)
                )
        _replace(
            self._path,
            (
                line.text
                for line in _lines(self._path)
                if isinstance(line.content, Row)
                and self.index.is_latest(line.content.key, line.offset)
            ),
        )


def _lines(path: Path) -> Iterator[_Line]:
    """Read the lines of a file; an unfinished last one is left out, unless it is a whole row."""
    try:
        with path.open("rb") as file:
            offset = 0
            number = 0
            while text := file.readline(_LONGEST_LINE):
                number += 1
                content = _content(text, number, path)
                finished = text.endswith(b"\n")
                if not finished and len(text) == _LONGEST_LINE:
                    raise RowsError(f"{path}, line {number}: longer than {_LONGEST_LINE} bytes")
                if not finished and isinstance(content, Damaged):
                    return
                yield _Line(number=number, offset=offset, text=text, content=content)
                offset += len(text)
    except OSError as error:
        raise RowsError(f"{path} cannot be read: {error.strerror or error}") from error


def _content(text: bytes, number: int, path: Path) -> Row | Damaged:
    try:
        return row_from_json(text)
    except ValidationError as error:
        found = _format_of(text)
        if isinstance(found, int) and found > FORMAT:
            raise RowsError(
                f"{path}, line {number}: a row of format {found}, "
                f"this mdtree reads formats up to {FORMAT}: install a newer mdtree"
            ) from error
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        return Damaged(line=number, reason=f"{place}: {first['msg']}" if place else first["msg"])


def _format_of(text: bytes) -> object:
    try:
        row = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return row.get("format") if isinstance(row, dict) else None


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    lock = FileLock(path.with_name(f".{path.name}.lock"), timeout=0)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise LockedError(
            f"{path} is being written by another mdtree: "
            "wait until that has finished, or name another file with --out"
        ) from error
    except OSError as error:
        raise _cannot_write(path, error) from error
    try:
        yield
    finally:
        lock.release()


def _replace(path: Path, lines: Iterable[bytes]) -> None:
    new = path.with_name(f".{path.name}.new")
    try:
        with new.open("wb") as file:
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:
        raise _cannot_write(path, error) from error


def _ends_whole(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def _cannot_write(path: Path, error: OSError) -> OutputError:
    return OutputError(
        f"{path} cannot be written: {error.strerror or error}; name another file with --out"
    )

"""Reading measurements: rows, damaged lines, and where the latest row of each group lies."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from mdtree.exceptions import RowsError
from mdtree.measurements.row import FORMAT, Row, RowKey, row_from_json

__all__ = ["Damaged", "Index", "Line", "read_lines", "read_rows", "scan_rows"]

_LONGEST_LINE = 1 << 24  # bytes; a longer "row" is no row


@dataclass(frozen=True, kw_only=True)
class Damaged:
    """A line that is no row."""

    line: int  # counted from 1
    reason: str


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line of a file, and what it holds."""

    number: int  # counted from 1
    offset: int  # bytes from the start of the file
    text: bytes
    content: Row | Damaged


def scan_rows(path: Path) -> Iterator[Row | Damaged]:
    """Read a file line by line in constant memory; what is no row comes as a value."""
    return (line.content for line in read_lines(path))


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


class Index:
    """Where the latest row of each key lies in a file; rows are read when they are asked for."""

    def __init__(self, path: Path) -> None:
        self.damaged: list[Damaged] = []
        self.superseded = 0  # rows that a later one has replaced
        self.end = 0  # bytes up to which the file is whole
        self._path = path
        self._where: dict[RowKey, tuple[int, int]] = {}  # key -> (offset, length)
        for line in read_lines(path, must_exist=False):
            self.end = line.offset + len(line.text)
            if isinstance(line.content, Damaged):
                self.damaged.append(line.content)
            else:
                self.add(line.content.key, line.offset, len(line.text))

    def __len__(self) -> int:
        return len(self._where)

    def add(self, key: RowKey, offset: int, length: int) -> None:
        """Note the latest row of a key."""
        self.superseded += key in self._where
        self._where[key] = (offset, length)

    def latest(self, key: RowKey) -> Row | None:
        """Read the latest row of a key."""
        if key not in self._where:
            return None
        offset, length = self._where[key]
        try:
            with self._path.open("rb") as file:
                file.seek(offset)
                return row_from_json(file.read(length))
        except (OSError, ValidationError) as error:
            raise RowsError(f"{self._path} changed while it was read: try again") from error

    def texts(self) -> Iterator[bytes]:
        """Read the line of the latest row of each key, in the order in which keys first appear."""
        with self._path.open("rb") as file:
            for offset, length in self._where.values():
                file.seek(offset)
                yield file.read(length).rstrip() + b"\n"


def read_lines(path: Path, *, must_exist: bool = True) -> Iterator[Line]:
    """Read the lines of a file; an unfinished last one is left out, unless it is a whole row."""
    try:
        with path.open("rb") as file:
            offset = 0
            number = 0
            while text := file.readline(_LONGEST_LINE):
                number += 1
                finished = text.endswith(b"\n")
                if not finished and len(text) == _LONGEST_LINE:
                    raise RowsError(f"{path}, line {number}: longer than {_LONGEST_LINE} bytes")
                if not text.isspace():  # editors leave empty lines
                    content = _content(text, number, path)
                    if not finished and isinstance(content, Damaged):
                        return
                    yield Line(number=number, offset=offset, text=text, content=content)
                offset += len(text)
    except FileNotFoundError as error:
        if must_exist:
            raise RowsError(f"{path} does not exist") from error
    except OSError as error:
        raise RowsError(f"{path} cannot be read: {error.strerror or error}") from error


def _content(text: bytes, number: int, path: Path) -> Row | Damaged:
    try:
        return row_from_json(text.rstrip())
    except ValidationError as error:
        found = _format_of(text)
        if isinstance(found, int) and found > FORMAT:
            raise RowsError(
                f"{path}, line {number}: a row of format {found}, "
                f"this mdtree reads formats up to {FORMAT}: install a newer mdtree"
            ) from error
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        said = first["msg"].replace(" at line 1 column ", " at character ")
        return Damaged(line=number, reason=f"{place}: {said}" if place else said)


def _format_of(text: bytes) -> object:
    try:
        row = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return row.get("format") if isinstance(row, dict) else None

"""The lines of a file of rows, plain or packed: each is a row, or says why it is none."""

from __future__ import annotations

import codecs
import contextlib
import json
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from mdtree.exceptions import RowsError
from mdtree.regular_file import open_regular
from mdtree.rows.ranges import impossible
from mdtree.rows.row import FORMAT, Row, row_from_json

__all__ = ["LONGEST_LINE", "MARK", "Damaged", "Line", "cut_line", "is_packed", "read_lines"]

LONGEST_LINE = 1 << 24  # bytes; no row is longer

_PACKED = ".gz"
_LARGEST = 1 << 28  # bytes of a compressed file after unpacking
MARK = codecs.BOM_UTF8  # some editors write it at the start


@dataclass(frozen=True, kw_only=True)
class Damaged:
    """A line that is not a row."""

    line: int  # counted from 1
    reason: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Line:
    """A line of a file, and its content."""

    number: int  # counted from 1
    offset: int  # bytes from the start of the file
    text: bytes
    content: Row | Damaged


def is_packed(path: Path) -> bool:
    """Return whether a file is compressed with gzip, judged by its name."""
    return path.name.lower().endswith(_PACKED)


def read_lines(path: Path, *, must_exist: bool = True, pipe: bool = False) -> Iterator[Line]:
    """Yield the lines of a file; an unfinished last line is skipped, unless it is a whole row.

    A file that must exist and holds nothing but such a line is damaged.
    """
    try:
        with _opened(path, pipe=pipe) as file:
            offset = 0
            number = 0
            while text := file.readline(LONGEST_LINE):
                number += 1
                if is_packed(path) and offset + len(text) > _LARGEST:
                    raise RowsError(
                        f"{path} unpacks to more than {_LARGEST} bytes: unpack it first"
                    )
                finished = text.endswith(b"\n")
                if not finished and len(text) == LONGEST_LINE:
                    raise RowsError(f"{path}, line {number}: longer than {LONGEST_LINE} bytes")
                if not text.isspace():  # editors leave empty lines
                    content = _content(text, number, path)
                    is_all = must_exist and number == 1
                    if not finished and isinstance(content, Damaged) and not is_all:
                        return
                    yield Line(number=number, offset=offset, text=text, content=content)
                offset += len(text)
    except FileNotFoundError as error:
        if must_exist:
            raise RowsError(f"{path} does not exist") from error
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise RowsError(f"{path} cannot be read: {reason}") from error


def cut_line(path: Path) -> int | None:
    """Return the number of the last line of a file if it is cut off, so that it is left out."""
    if not os.path.isfile(path) or is_packed(path):  # noqa: PTH113 - as in open_rows
        return None
    try:
        with open_regular(path) as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(0, end - LONGEST_LINE))
            tail = file.read()
            last = tail.rpartition(b"\n")[2]
            if not last.strip() or not isinstance(_content(last, 1, path), Damaged):
                return None
            file.seek(0)
            return 1 + sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))
    except (OSError, RowsError):
        return None


@contextlib.contextmanager
def _opened(path: Path, *, pipe: bool) -> Iterator[BinaryIO]:
    with path.open("rb") if pipe else open_regular(path) as file:
        if not is_packed(path):
            yield file
            return
        import gzip

        with gzip.GzipFile(fileobj=file) as unpacked:
            yield cast("BinaryIO", unpacked)


def _content(text: bytes, number: int, path: Path) -> Row | Damaged:
    text = text.removeprefix(MARK) if number == 1 else text
    if text.lstrip().startswith(b"["):
        return Damaged(
            line=number,
            reason="a JSON array; a row is a JSON object on a line of its own, and "
            f"`jq -c '.[]' {path.name}` writes the rows of an array so",
        )
    try:
        row = row_from_json(text.rstrip())
    except ValueError as error:
        from pydantic import ValidationError  # late: rows without a fault need none

        if not isinstance(error, ValidationError):
            raise
        row_format = _format_of(text)
        if isinstance(row_format, int) and row_format > FORMAT:
            raise RowsError(
                f"{path}, line {number}: the row has format {row_format}, but this mdtree "
                f"reads formats up to {FORMAT}: install a newer mdtree"
            ) from error
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        message = first["msg"].replace(" at line 1 column ", " at character ")
        return Damaged(line=number, reason=f"{place}: {message}" if place else message)
    fault = impossible(row)
    return row if fault is None else Damaged(line=number, reason=fault)


def _format_of(text: bytes) -> object:
    try:
        row = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return row.get("format") if isinstance(row, dict) else None

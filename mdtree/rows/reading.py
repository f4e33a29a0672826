"""Reading measurements: rows, damaged lines, and an index of the latest rows."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from mdtree.exceptions import RowsError
from mdtree.messages import listed, plural, shortened
from mdtree.rows.facts import Fact
from mdtree.rows.lines import (
    LONGEST_LINE,
    MARK,
    Damaged,
    Line,
    cut_line,
    is_packed,
    read_lines,
)
from mdtree.rows.row import Measured, Row, RowKey, row_from_json

__all__ = ["LONGEST_LINE", "Damaged", "Index", "Line", "StoredRows"]
__all__ += ["cut_line", "is_packed", "open_rows", "read_lines", "read_rows", "scan_rows"]

_LONGEST_NAME = 100  # characters of a group in a sentence


def scan_rows(path: Path, *, pipe: bool = True) -> Iterator[Row | Damaged]:
    """Read a file line by line in constant memory; a damaged line is yielded as `Damaged`.

    With `pipe`, a pipe such as `<(ssh host cat rows.jsonl)` is read too.

    Raises:
        RowsError: The file cannot be read, or was written by a newer mdtree.
    """
    return (line.content for line in read_lines(path, pipe=pipe))


def read_rows(
    path: Path,
    *,
    pipe: bool = True,
    by_zoo: bool = False,
    notice: Callable[[str], None] | None = None,
) -> list[Row]:
    """Read the latest row of each group and protocol, in order of first appearance.

    The latest row is the latest measurement, with the failure of a later attempt if there was one.

    Args:
        path: The file.
        pipe: Read a pipe, too.
        by_zoo: Keep groups of equal names whose rows name different zoos (the fact `zoo`).
        notice: Told in a sentence which groups were replaced by groups of other networks.

    Raises:
        RowsError: The file cannot be read, or a line is not a row.
    """
    rows: dict[tuple[RowKey, Fact | None], Row] = {}
    replaced: list[str] = []
    for item in scan_rows(path, pipe=pipe):
        if isinstance(item, Damaged):
            raise _bad_line(path, item)
        key = (item.key, item.facts.get("zoo") if by_zoo else None)
        earlier = rows.get(key)
        if earlier is not None and earlier.measured:
            if not item.measured:
                rows[key] = _with_failure(earlier, item)
                continue
            if not _of_same_networks(earlier, item):
                replaced.append(item.group)
        rows[key] = item
    if replaced and notice is not None:
        notice(_says_replaced(path, replaced))
    return list(rows.values())


def _of_same_networks(earlier: Row, later: Row) -> bool:
    """Return whether a group was measured again: other seeds may have joined, not all be others."""
    if earlier.provenance is None or later.provenance is None:
        return earlier == later  # nothing tells the networks of rows that were made elsewhere
    return not set(earlier.provenance.weights.values()).isdisjoint(
        later.provenance.weights.values()
    )


def _says_replaced(path: Path, groups: list[str]) -> str:
    names = [shortened(name, _LONGEST_NAME) for name in dict.fromkeys(groups)]
    return (
        f"{path}: {plural(len(groups), 'row')} left out, each replaced by a later row of a group "
        f"with the same name and other networks ({listed(names)}); rows of different zoos are told "
        "apart by the fact `zoo`: measure each zoo with --fact zoo=NAME, or name it in its recipe"
    )


def open_rows(path: Path) -> Collection[Row]:
    """Return the rows of `read_rows` without loading them, unless they are packed or in a pipe."""
    is_plain = os.path.isfile(path) and not is_packed(path)  # noqa: PTH113 - Path.is_file fails for names that are too long
    return StoredRows(path) if is_plain else read_rows(path)


class Index:
    """The position of the latest row of each key in a file; rows are read on demand.

    The latest row is the latest measurement, with the failure of a later attempt.  The index takes
    110 to 140 bytes per row, regardless of the length of the row and its name.
    Every line is validated when it is indexed, which takes about 0.1 ms for a row of 10 kB.
    """

    def __init__(self, path: Path, *, strict: bool = False) -> None:
        """Read a file; if `strict`, it must exist, and the first damaged line is an error."""
        self.damaged: list[Damaged] = []
        self.superseded: int = 0  # rows that a later one has replaced
        self.end: int = 0  # length in bytes of the intact part of the file
        self._path = path
        self._file: BinaryIO | None = None  # stays open after the first row is read
        self._offsets: dict[
            int, int
        ] = {}  # digest of a key -> offset; keys are three times as large
        self._failed: dict[int, int] = {}  # the same of the latest failure, if it is the last row
        # the same of earlier measurements of the same networks, with quantities the latest lacks
        self._fuller: dict[int, tuple[int, ...]] = {}
        for line in read_lines(path, must_exist=strict):
            self.end = line.offset + len(line.text)
            if not isinstance(line.content, Damaged):
                self.add(line.content, line.offset)
            elif strict:
                raise _bad_line(path, line.content)
            else:
                self.damaged.append(line.content)

    def __len__(self) -> int:
        return len(self._offsets)

    def add(self, row: Row, offset: int) -> None:
        """Add a row that is later than all others; a failure replaces only failures."""
        digest = _digest(row.key)
        before, failed = self._offsets.get(digest), self._failed.pop(digest, None)
        replaced = {failed}
        if row.measured or failed == before:  # no measurement would be lost
            replaced.add(before)
            self._offsets[digest] = offset
        replaced.discard(None)
        if row.measured and before is not None and before != failed:
            earlier = (*self._fuller.pop(digest, ()), before)
            fuller = tuple(place for place in earlier if self._lacks(row, digest, place))
            replaced = (replaced | set(earlier)) - set(fuller)
            if fuller:
                self._fuller[digest] = fuller
        self.superseded += len(replaced)
        if not row.measured:
            self._failed[digest] = offset

    def settle(self, key: RowKey) -> bool:
        """Drop the later failure of a group that has not changed; return whether there was one."""
        digest = _digest(key)
        later = self._later(digest) is not None
        if later:
            del self._failed[digest]
            self.superseded += 1
        return later

    def fuller(self, key: RowKey) -> bool:
        """Return whether an earlier measurement has quantities that the latest lacks."""
        return _digest(key) in self._fuller

    def latest(self, key: RowKey) -> Row | None:
        """Read the latest row of a key."""
        digest = _digest(key)
        return self._row(digest) if digest in self._offsets else None

    def rows(self) -> Iterator[Row]:
        """Read the latest row of each key, in order of first appearance."""
        return map(self._row, self._offsets)

    def texts(self) -> Iterator[bytes]:
        """Read the lines that are not superseded, in order of first appearance of their keys."""
        for digest, offset in self._offsets.items():
            for earlier in self._fuller.get(digest, ()):
                yield self._line(earlier) + b"\n"
            yield self._line(offset) + b"\n"
            later = self._later(digest)
            if later is not None:
                yield self._line(later) + b"\n"

    def close(self) -> None:
        """Close the file; it is opened again when a row is read."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _lacks(self, row: Row, digest: int, offset: int) -> bool:
        """Return whether a row lacks a quantity of an earlier measurement of the same networks."""
        earlier = self._read(digest, offset)
        if row.provenance is None or earlier.provenance is None:
            return False
        same = row.provenance.weights == earlier.provenance.weights
        return same and not _measured(earlier) <= _measured(row)

    def _row(self, digest: int) -> Row:
        row = self._read(digest, self._offsets[digest])
        later = self._later(digest)
        return row if later is None else _with_failure(row, self._read(digest, later))

    def _later(self, digest: int) -> int | None:
        """Return the offset of a failure that is later than the measurement."""
        failed = self._failed.get(digest)
        return None if failed == self._offsets.get(digest) else failed

    def _read(self, digest: int, offset: int) -> Row:
        try:
            row = row_from_json(self._line(offset))
            changed = _digest(row.key) != digest
        except (OSError, ValueError):  # ValueError: it is no row any more
            changed = True
        if changed:
            raise RowsError(f"{self._path} changed while it was being read: try again")
        return row

    def _line(self, offset: int) -> bytes:
        if self._file is None:
            self._file = self._path.open("rb")
            weakref.finalize(self, self._file.close)
        self._file.seek(offset)
        return self._file.readline(LONGEST_LINE).rstrip().removeprefix(MARK)


def _measured(row: Row) -> set[str]:
    return {name for name, value in row.quantities.items() if isinstance(value, Measured)}


class StoredRows(Collection[Row]):
    """The latest row of each group and protocol, left in their file.

    The rows and their order are those of `read_rows`; each is read again at every iteration.
    """

    def __init__(self, path: Path) -> None:
        """Index a file; raise RowsError with line and reason at the first damaged line."""
        self._index = Index(path, strict=True)

    def __len__(self) -> int:
        return len(self._index)

    def __iter__(self) -> Iterator[Row]:
        return self._index.rows()

    def __contains__(self, row: object) -> bool:
        return isinstance(row, Row) and self._index.latest(row.key) == row


def _with_failure(measured: Row, failed: Row) -> Row:
    """Return a measurement with the failure of a later attempt, unless it was made elsewhere."""
    measured_here = measured.provenance is not None
    return replace(measured, failure=failed.failure) if measured_here else measured


def _digest(key: RowKey) -> int:
    """Return a 128-bit digest of a key, for which collisions cannot be found."""
    from hashlib import blake2b  # late: few rows need no index

    return int.from_bytes(blake2b(repr(key).encode(), digest_size=16).digest())


def _bad_line(path: Path, damaged: Damaged) -> RowsError:
    return RowsError(f"{path}, line {damaged.line}: {damaged.reason}")

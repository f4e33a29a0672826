"""The store of measurements: a JSON Lines file that grows by whole rows.

A kill at any moment loses at most the row that is being written: a row is one write that ends in a
line feed, so an unfinished row is the last line and has none.  Readers leave it out, the next
writer cuts it off.  Where a group is measured again, its later row counts.  When a writer closes,
superseded rows are dropped and damaged lines are moved to a file beside (`NAME.damaged`).
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from filelock import FileLock, Timeout

from mdtree.exceptions import LockedError, OutputError, RowsError
from mdtree.measurements.reading import Damaged, Index, read_lines
from mdtree.measurements.row import FORMAT, Row, row_to_json

__all__ = ["Store", "write_rows"]

_START = f'{{"format":{FORMAT},"group":"'.encode()  # of every row that was written here


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Write a file of rows; an existing one is replaced as a whole, or not at all."""
    with _locked(path):
        _replace(path, (row_to_json(row) + b"\n" for row in rows))


class Store:
    """The one writer of a measurements file: `with Store(path) as store: store.append(row)`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._context = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            stack.enter_context(_locked(self._path))
            self.index = Index(self._path)
            self._check_kind()
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
            try:
                _flush(self._file.fileno())
                self._file.close()  # some systems do not replace open files
            except OSError as broken:
                raise _cannot_write(self._path, broken) from broken
            if self.index.end == 0:
                self._path.unlink(missing_ok=True)  # a run that failed at once leaves no file
            if self.index.superseded or self.index.damaged:
                self._tidy()

    def append(self, row: Row) -> None:
        """Add one row; when this returns, a kill of the process cannot lose it."""
        offset = self.index.end
        text = row_to_json(row) + b"\n"
        self._write(text)
        self.index.add(row.key, offset, len(text))

    def _check_kind(self) -> None:
        """Leave files of another kind alone, whose lines would be moved aside or cut off."""
        if len(self.index) or not self._path.exists():
            return
        with self._path.open("rb") as file:
            start = file.read(len(_START))
        if start.strip() and not _START.startswith(start):
            raise RowsError(
                f"{self._path} holds no measurements: remove it, or name another file with --out"
            )

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
        """Drop superseded rows and move damaged lines aside."""
        if self.index.damaged:
            aside = self._path.with_name(f"{self._path.name}.damaged")
            try:
                with aside.open("ab") as file:
                    file.writelines(
                        line.text
                        for line in read_lines(self._path)
                        if isinstance(line.content, Damaged)
                    )
            except OSError as error:
                raise _cannot_write(aside, error) from error
        _replace(self._path, self.index.texts())


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    try:
        if path.is_dir():
            raise OutputError(f"{path} is a directory: name a file in it with --out")
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(_beside(path, "lock"), timeout=0)
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
    new = _beside(path, "new")
    try:
        try:
            with new.open("wb") as file:
                file.writelines(lines)
                file.flush()
                _flush(file.fileno())
            if path.exists():
                shutil.copymode(path, new)
            new.replace(os.path.realpath(path))
        finally:
            new.unlink(missing_ok=True)  # leave no half behind
    except OSError as error:
        raise _cannot_write(path, error) from error


def _beside(path: Path, suffix: str) -> Path:
    """Name a hidden file beside the real one, which `path` may only link to."""
    real = Path(os.path.realpath(path))
    return real.with_name(f".{real.name}.{suffix}")


def _flush(descriptor: int) -> None:
    """Bring a file to the disk, where the file system can do that."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise


def _ends_whole(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def _cannot_write(path: Path, error: OSError) -> OutputError:
    return OutputError(
        f"{path} cannot be written: {error.strerror or error}; name another file with --out"
    )

"""Files that appear as a whole, or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from mdtree.exceptions import OutputError

__all__ = ["beside", "cannot_write", "to_disk", "whole_file"]


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Open a new file that takes the place of `path` once all is written.

    A pipe or a device (/dev/stdout, /dev/null) is written to as it is.
    """
    try:
        if path.exists() and not path.is_file():
            with path.open("wb") as file:
                yield file
            return
        new = beside(path, "new")
        try:
            with new.open("wb") as file:
                yield file
                file.flush()
                to_disk(file.fileno())
            if path.exists():
                shutil.copymode(path, new)
            new.replace(os.path.realpath(path))
        finally:
            new.unlink(missing_ok=True)  # leave no half behind
    except OSError as error:
        raise cannot_write(path, error) from error


def beside(path: Path, suffix: str) -> Path:
    """Name a hidden file beside the real one, which `path` may only link to."""
    real = Path(os.path.realpath(path))
    return real.with_name(f".{real.name}.{suffix}")


def to_disk(descriptor: int) -> None:
    """Bring a file to the disk, where the file system can do that."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise


def cannot_write(path: Path, error: OSError) -> OutputError:
    """Say why a file cannot be written, and what to do."""
    return OutputError(
        f"{path} cannot be written: {error.strerror or error}; name another file with --out"
    )

"""Files that are written atomically, and never through a link that the user did not name.

A directory from a stranger may contain links to any file of the user, under the very names that we
write.  So an output that the user did not name must not be a link, and the files next to an output
(`.new`, `.lock`, `.damaged`) are opened without following links.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import BinaryIO

from mdtree.exceptions import LockedError, OutputError
from mdtree.rows.file_kinds import is_recognised, kind_of

__all__ = [
    "appended",
    "atomic_file",
    "beside",
    "cannot_write",
    "check_plain",
    "check_replaced",
    "fresh",
    "locked",
    "own",
    "to_disk",
]

_ADVICE = "name another file with --out"
_SEVERAL = "is a hard link to another file"


@contextlib.contextmanager
def atomic_file(
    path: Path, *, advice: str = _ADVICE, replaces: str | None = None
) -> Iterator[BinaryIO]:
    """Open a new file that replaces `path` when the context ends without an error.

    If `path` is a link, its target is replaced.  A pipe or device (/dev/stdout, /dev/null) is
    written directly.  A file of a known kind (measurements, weights, a recipe, a tree, ...) is
    only replaced if `replaces` names its kind: a wrong `--out` must not destroy hours of work.

    Raises:
        OutputError: The file cannot be written, or must not be replaced.
    """
    try:
        if path.exists() and not path.is_file():
            with path.open("wb") as file:
                yield file
            return
        check_replaced(path, replaces, advice)
        real = _real(path)
        new = beside(path, "new")
        try:
            with fresh(new) as file:
                yield file
                file.flush()
                to_disk(file.fileno())
            if real.exists():
                import shutil  # late: it loads what packs archives

                shutil.copymode(real, new)
            new.replace(real)
        finally:
            new.unlink(missing_ok=True)  # if it failed halfway
    except OSError as error:
        raise cannot_write(path, error, advice) from error


def check_replaced(path: Path, written: str | None, advice: str = _ADVICE) -> None:
    """Refuse to replace a file of another kind than what is written.

    Raises:
        OutputError: It contains something else, or cannot be read.
    """
    if path.exists() and not path.is_file():
        return  # a pipe or a device
    try:
        kind = kind_of(path)
    except OSError as error:
        raise cannot_write(path, error, advice) from error
    if kind not in (None, written):
        raise OutputError(f"{path} contains {kind} and was not replaced: {advice}")
    if kind is None and written is not None and is_recognised(written) and _has_content(path):
        raise OutputError(
            f"{path} does not contain {written} and was not replaced: remove it, or {advice}"
        )


def _has_content(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0


def own(path: Path, folder: Path, *, advice: str = _ADVICE) -> Path:
    """Check that an output that the user did not name stays in its folder, and return its path."""
    real = Path(os.path.realpath(path))
    if os.path.islink(path):  # noqa: PTH114 - Path.is_symlink fails for names that are too long
        what = f"is a link to {real}"
    elif not real.is_relative_to(os.path.realpath(folder)):
        what = f"leads to {real}, outside {folder}"
    elif real.is_file() and real.stat().st_nlink > 1:
        what = _SEVERAL
    else:
        return path
    raise OutputError(f"{path} {what}, but you did not name it: remove it, or {advice}")


def fresh(path: Path) -> BinaryIO:
    """Create a file; an existing file or link of that name is removed first."""
    path.unlink(missing_ok=True)
    return path.open("xb")


def appended(path: Path) -> FileIO:
    """Open a regular file for appending; a link is not followed."""
    return FileIO(path, "ab", opener=_plain)


@contextlib.contextmanager
def locked(
    lock: Path, folder: Path, output: Path, *, held: str, advice: str = _ADVICE
) -> Iterator[None]:
    """Acquire the lock of a file; raise Timeout if another process holds it."""
    from filelock import FileLock, Timeout  # who only reads needs no lock

    try:
        folder.mkdir(parents=True, exist_ok=True)
        check_plain(lock)  # some versions of filelock empty what a link leads to
        file_lock = FileLock(lock, timeout=0)
        file_lock.acquire()
    except Timeout as error:
        raise LockedError(held) from error
    except OSError as error:
        raise cannot_write(output, error, advice) from error
    try:
        yield
    finally:
        file_lock.release()


def check_plain(path: Path, *, alone: bool = False) -> None:
    """Refuse anything but a regular file at this path; if `alone`, also a hard link."""
    with contextlib.suppress(FileNotFoundError):
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode):
            raise _no_file(path, status.st_mode)
        if alone and status.st_nlink > 1:
            raise OutputError(f"{path} {_SEVERAL}: remove it, or {_ADVICE}")


def beside(path: Path, suffix: str) -> Path:
    """Return the path of a hidden file next to the target of `path`, which may be a link."""
    real = Path(os.path.realpath(path))
    return real.with_name(f".{real.name}.{suffix}")


def to_disk(descriptor: int) -> None:
    """Flush a file to disk, where the file system supports it."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise


def cannot_write(path: Path, error: OSError, advice: str = _ADVICE) -> OutputError:
    """Return the OutputError for a file that cannot be written, with advice."""
    return OutputError(f"{path} cannot be written: {error.strerror or error}; {advice}")


def _real(path: Path) -> Path:
    """Return the target of a link."""
    real = Path(os.path.realpath(path))
    if real.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    return real


def _plain(name: str, flags: int) -> int:
    """Open only a regular file: opening a pipe would wait for its reader."""
    follows_none = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    check_plain(Path(name))
    descriptor = os.open(name, flags | follows_none, 0o666)
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise _no_file(Path(name), mode)
    return descriptor


def _no_file(path: Path, mode: int) -> OSError:
    if stat.S_ISDIR(mode):
        return IsADirectoryError(errno.EISDIR, f"{path} is a directory")
    what = f"a link to {os.path.realpath(path)}" if stat.S_ISLNK(mode) else "a pipe or a device"
    return OSError(errno.EINVAL, f"{path} is {what}")

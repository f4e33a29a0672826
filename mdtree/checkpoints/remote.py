"""Storage: checkpoints at a URL that fsspec reads (s3://, gs://, hf://, file://).

They are listed where a run is planned and fetched where they are measured, into a temporary folder
that is removed after the measurement.  A killed process leaves its folder behind, but its lock is
released: the next process that fetches on that machine, or ends a run, removes the folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from mdtree.checkpoints.adapters import ADAPTER_CONFIG
from mdtree.checkpoints.detect import INDEX
from mdtree.checkpoints.discovery import Folder, in_hugging_face, weights_among
from mdtree.checkpoints.parts import parts_of
from mdtree.exceptions import CheckpointError, MdtreeError, UnreadableError, UnsafeError
from mdtree.rows import is_address

__all__ = [
    "check_place",
    "fetched",
    "find_stored_folders",
    "local_copy",
    "remove_temporary_folders",
]

PlaceT = TypeVar("PlaceT")

_PREFIX = "mdtree-fetched-"  # of the folder of a group while it is measured
_LOCK = ".lock"  # held by the process that owns the folder

_PART = re.compile(r".+-\d+-of-\d+\.(safetensors|bin)")  # of a checkpoint in several files
_CONFIGS = ("config.json", ADAPTER_CONFIG)

_PROTOCOLS = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "hf", "file", "memory")

# metadata that changes with a file; each storage has its own names
_STAMPS = (
    "size", "ETag", "etag", "md5Hash", "crc32c", "generation", "LastModified", "mtime", "blob_id",
)  # fmt: skip


def check_place(directory: str | Path) -> str | None:
    """Check that a directory or URL exists, before anything else is done, and return the URL.

    A URL is listed instead of tested for existence: permission to list a bucket does not always
    include the other.

    Raises:
        MdtreeError: The directory does not exist, or the URL cannot be read.
    """
    if not is_address(directory):
        if not os.path.exists(directory):  # noqa: PTH110 - Path.exists fails for names that are too long
            raise MdtreeError(f"{directory} does not exist")
        return None
    url = str(directory)
    system, root = _opened(url)
    with _listing(url):
        if not system.isfile(root):
            system.ls(root, detail=False)
    return url


def find_stored_folders(url: str) -> Iterator[Folder]:
    """Yield every folder below a URL that contains checkpoints, judged by file names only."""
    system, root = _opened(url)
    with _listing(url):
        if system.isfile(root):
            file = PurePosixPath(root)
            stamps = {file.name: _stamp(system.info(root))}
            yield Folder(name=file.stem, files=(Path(file.name),), stamps=stamps)
            return
        yield from _walk(system, root, PurePosixPath())


@contextlib.contextmanager
def fetched(url: str, files: Iterable[Path]) -> Iterator[tuple[Path, ...]]:
    """Fetch checkpoints and the files that belong to them; the copies last for the context.

    Raises:
        CheckpointError: A file cannot be fetched, or its name leads out of the folder.
    """
    system, root = _opened(url)
    with _listing(url):
        if system.isfile(root):
            root = str(PurePosixPath(root).parent)
    remove_temporary_folders()
    with _folder() as folder:
        try:
            yield tuple(_fetch(system, root, file, folder) for file in files)
        except CheckpointError as error:  # the user knows the address, not the folder
            raise type(error)(str(error).replace(str(folder), url)) from error


@contextlib.contextmanager
def local_copy(place: PlaceT) -> Iterator[PlaceT | Path]:
    """Have what lies below an address on this machine for the context; give back anything else.

    Raises:
        MdtreeError: There are no checkpoints, or they cannot be fetched.
    """
    if not isinstance(place, str) or not is_address(place):
        yield place
        return
    check_place(place)
    files = [file for folder in find_stored_folders(place) for file in folder.files]
    if not files:
        raise UnreadableError(f"there are no checkpoints at {place}")
    with fetched(place, files) as copies:
        root = copies[0].parents[len(files[0].parts) - 1]
        yield copies[0] if len(copies) == 1 else root


def remove_temporary_folders() -> None:
    """Remove the folders that ended processes of this user left on this machine."""
    from filelock import FileLock, Timeout

    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError, Timeout):
            if _is_ours(folder) and (folder / _LOCK).is_file():
                with FileLock(folder / _LOCK, timeout=0):
                    shutil.rmtree(folder)


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """Create a folder that lasts for the context, at most as long as this process."""
    from filelock import FileLock

    with (
        tempfile.TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True) as name,
        FileLock(Path(name, _LOCK)),
    ):
        yield Path(name, "files")


def _is_ours(folder: Path) -> bool:
    """Return whether a folder is this user's; on a shared machine, others can place links."""
    return not folder.is_symlink() and (
        not hasattr(os, "getuid") or folder.stat().st_uid == os.getuid()
    )


def _fetch(system: Any, root: str, file: Path, folder: Path) -> Path:
    """Fetch one checkpoint: a file, or an index with its parts, and the config beside it."""
    own = _copied(system, root, file, folder)
    if file.name.endswith(INDEX):
        for part in parts_of(own)[1:]:
            _copied(system, root, file.with_name(part.name), folder)
    for beside in map(file.with_name, _CONFIGS):
        with _listing(str(beside)):
            has_config = system.exists(f"{root}/{beside.as_posix()}")
        if has_config:
            _copied(system, root, beside, folder)
    return own


def _copied(system: Any, root: str, file: Path, folder: Path) -> Path:
    to = folder / file
    if file.is_absolute() or ".." in file.parts or "\\" in str(file):
        raise UnsafeError(f"the name {file} leads out of its folder: rename it")
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        system.get_file(f"{root}/{file.as_posix()}", str(to))
    except Exception as error:
        raise UnreadableError(f"{to} cannot be fetched: {error}") from error
    return to


@contextlib.contextmanager
def _listing(url: str) -> Iterator[None]:
    """Turn any error of a storage into an UnreadableError with the URL."""
    try:
        yield
    except MdtreeError:
        raise
    except Exception as error:
        raise UnreadableError(f"{url} cannot be listed: {error}") from error


def _walk(system: Any, root: str, here: PurePosixPath) -> Iterator[Folder]:
    """Walk in order like `find_folders`, keeping only names beside the current path."""
    files, names = _listed(system, root, here)
    known = {here / name: info for name, info in files.items()}
    chosen: list[PurePosixPath] = []
    if not in_hugging_face(files) or len(here.parts) <= 1:
        chosen += [here / name for name in _checkpoints(files)]
    for name in names if here.parts else ():
        inner, _ = _listed(system, root, here / name)
        if in_hugging_face(inner):
            chosen += [here / name / file for file in _checkpoints(inner)]
            known |= {here / name / file: info for file, info in inner.items()}
    if chosen:
        yield Folder(
            name=str(here) if here.parts else PurePosixPath(root).name or "root",
            files=tuple(Path(file) for file in sorted(chosen)),
            stamps={str(file): _whole_stamp(file, known) for file in chosen},
        )
    for name in names:
        yield from _walk(system, root, here / name)


def _listed(
    system: Any, root: str, here: PurePosixPath
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Return the files of a folder with their metadata, and its subfolders."""
    path = f"{root}/{here}" if here.parts else root
    files, folders = {}, []
    for info in system.ls(path, detail=True):
        name = PurePosixPath(info["name"]).name
        if info["name"].rstrip("/") == path.rstrip("/") or name.startswith("."):
            continue  # some storages list a folder in itself
        if info["type"] == "directory":
            folders.append(name)
        elif info["type"] == "file":
            files[name] = info
    return dict(sorted(files.items())), sorted(folders)


def _checkpoints(files: Iterable[str]) -> list[str]:
    """Select checkpoints by name only: no index is fetched to find its parts."""
    names = list(files)
    indexed = any(name.endswith(INDEX) for name in names)
    parts = [name for name in names if indexed and _PART.fullmatch(name)]
    return weights_among(names, parts, Path("/nowhere"))


def _stamp(info: dict[str, Any]) -> str:
    fields = [f"{key}={info[key]}" for key in _STAMPS if info.get(key) is not None]
    return hashlib.sha256(" ".join(fields).encode()).hexdigest()


def _whole_stamp(file: PurePosixPath, known: dict[PurePosixPath, dict[str, Any]]) -> str:
    """Return a stamp of a checkpoint: of its file, and of all files that may belong to it."""
    beside = [file]
    configs = [path for name in _CONFIGS if (path := file.with_name(name)) in known]
    if file.name.endswith(INDEX) or configs:
        beside = [
            path
            for path in known
            if path.parent == file.parent
            and (path in (file, *configs) or _PART.fullmatch(path.name))
        ]
    stamps = [_stamp(known[path]) for path in sorted(beside)]
    return stamps[0] if len(stamps) == 1 else hashlib.sha256("".join(stamps).encode()).hexdigest()


def _opened(url: str) -> tuple[Any, str]:
    """Connect to a storage, by one of fsspec's protocols that simply store files.

    Others unpack archives, run queries, or read a description that refers to files anywhere.
    """
    import fsspec

    protocol = url.partition("://")[0]
    if protocol not in _PROTOCOLS or "::" in url:
        raise MdtreeError(
            f"{url:.200} is not a supported URL: it must begin with one of "
            f"{', '.join(f'{name}://' for name in _PROTOCOLS)}, and must not contain `::`"
        )
    try:
        system, root = fsspec.core.url_to_fs(url, use_listings_cache=False)
        system.invalidate_cache()  # that of the Hub listens to no option, and outlives a run
    except Exception as error:  # each storage has its own
        raise MdtreeError(
            f"{url:.200} cannot be read: {error!s:.500} "
            "(s3:// needs the package s3fs, gs:// gcsfs, az:// adlfs, hf:// huggingface_hub)"
        ) from error
    return system, str(root).rstrip("/") or "/"

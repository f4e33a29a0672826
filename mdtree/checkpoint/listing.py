"""From a directory to groups of checkpoints."""

from __future__ import annotations

import glob
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mdtree.checkpoint.kind import INDEX, looks_like_weights
from mdtree.checkpoint.reading import parts_of
from mdtree.exceptions import CheckpointError, RecipeError

__all__ = [
    "Folder",
    "checkpoint_files",
    "find_folders",
    "in_hugging_face",
    "named_files",
    "weights_among",
]

# the weights of a Hugging Face folder, in the order in which transformers looks for them
_HUGGING_FACE = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)


@dataclass(frozen=True, kw_only=True)
class Folder:
    """The checkpoints of one folder."""

    name: str  # path below the root, with forward slashes
    files: tuple[Path, ...]  # sorted by name; of a storage: below its address
    stamps: Mapping[str, str] | None = None  # of a storage: file -> what changes with it


def find_folders(root: Path, *, leave_out: Iterable[Path] = ()) -> Iterator[Folder]:
    """Find every folder below `root` (or itself) that directly holds checkpoints.

    A Hugging Face folder is one checkpoint, and belongs to the group of the folder around it; one
    that lies directly in `root` is a group of its own.  Folders come in the order of their paths,
    while the directory is walked: only names beside the current path are held.
    """
    skip = {path.resolve() for path in leave_out}
    for here, names in _walk(root):
        files = []
        if not _is_hugging_face(here) or root in (here, here.parent):
            files += checkpoint_files(here)
        if here != root:
            inner = (here / name for name in names)
            files += [
                file for path in inner if _is_hugging_face(path) for file in checkpoint_files(path)
            ]
        kept = tuple(sorted(file for file in files if not skip or file.resolve() not in skip))
        if kept:
            yield Folder(name=_name(here, root), files=kept)


def checkpoint_files(folder: Path) -> list[Path]:
    """List the checkpoints that lie directly in a folder; the parts of a sharded one are one."""
    try:
        names = sorted(path.name for path in folder.iterdir() if path.is_file())
    except OSError:
        return []
    parts = [part for name in names if name.endswith(INDEX) for part in _parts(folder / name)]
    return [folder / name for name in weights_among(names, parts, folder)]


def weights_among(names: Iterable[str], parts: Iterable[str], folder: Path) -> list[str]:
    """Choose the checkpoints from the names of a folder's files, `parts` being those of others."""
    known = set(names)
    if in_hugging_face(known):
        return [next(name for name in _HUGGING_FACE if name in known)]
    return [
        name
        for name in sorted(known - set(parts))
        if name.endswith(INDEX) or looks_like_weights(folder / name)
    ]


def in_hugging_face(names: Collection[str]) -> bool:
    """Say whether a folder with these files is a checkpoint of Hugging Face's."""
    return "config.json" in names and any(name in names for name in _HUGGING_FACE)


def named_files(root: Path, patterns: Iterable[str], *, group: str) -> tuple[Path, ...]:
    """Find the files that a recipe lists for a group: paths, patterns, or folders that hold one."""
    files: list[Path] = []
    for pattern in patterns:
        matches = _matches(root, pattern)
        if not matches:
            raise RecipeError(f"group {group!r}: no file matches {pattern!r} in {root}")
        for match in matches:
            files += checkpoint_files(match) if match.is_dir() else [match]
    if not files:
        raise RecipeError(f"group {group!r}: {', '.join(patterns)} holds no weights file")
    return tuple(dict.fromkeys(files))


def _matches(root: Path, pattern: str) -> list[Path]:
    """Find what fits a pattern or, as names may hold brackets, is called just so."""
    for wanted in (pattern, glob.escape(pattern)):
        found = glob.glob(wanted, root_dir=root, recursive=True)  # noqa: PTH207 - Path.glob refuses absolute patterns
        if found:
            return sorted(Path(root, name) for name in found)
    return []


def _walk(root: Path) -> Iterator[tuple[Path, list[str]]]:
    """Give each folder with the names of those in it, all in order; links are not followed."""
    waiting = [iter([root])]  # a folder on the way to here, and what is left beside it
    while waiting:
        here = next(waiting[-1], None)
        if here is None:
            waiting.pop()
            continue
        names = _folders_in(here)
        yield here, names
        waiting.append(map(here.__truediv__, names))


def _folders_in(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(
                entry.name
                for entry in entries
                if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False)
            )
    except OSError:
        return []


def _is_hugging_face(folder: Path) -> bool:
    return (folder / "config.json").is_file() and any(
        (folder / name).is_file() for name in _HUGGING_FACE
    )


def _parts(index: Path) -> list[str]:
    try:
        return [part.name for part in parts_of(index)[1:]]
    except CheckpointError:
        return []  # a damaged index is told when it is read


def _name(folder: Path, root: Path) -> str:
    name = folder.relative_to(root).as_posix()
    if name == ".":
        name = root.resolve().name or "root"
    return name.encode("utf-8", "backslashreplace").decode()  # names need not be valid text

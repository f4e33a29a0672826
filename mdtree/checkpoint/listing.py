"""From a directory to groups of checkpoints."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mdtree.checkpoint.kind import INDEX, looks_like_weights
from mdtree.checkpoint.reading import parts_of
from mdtree.exceptions import CheckpointError, RecipeError

__all__ = ["Folder", "checkpoint_files", "find_folders", "named_files"]

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
    files: tuple[Path, ...]  # sorted by name


def find_folders(root: Path, *, leave_out: Iterable[Path] = ()) -> list[Folder]:
    """Find every folder below `root` (or itself) that directly holds checkpoints.

    A Hugging Face folder is one checkpoint, and belongs to the group of the folder around it; one
    that lies directly in `root` is a group of its own.
    """
    skip = {path.resolve() for path in leave_out}
    found: dict[Path, list[Path]] = {}
    for where, folders, _ in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        here = Path(where)
        for file in checkpoint_files(here):
            if file.resolve() in skip:
                continue
            alone = not _is_hugging_face(here) or root in (here, here.parent)
            found.setdefault(here if alone else here.parent, []).append(file)
    return [
        Folder(name=_name(folder, root), files=tuple(sorted(found[folder])))
        for folder in sorted(found)
    ]


def checkpoint_files(folder: Path) -> list[Path]:
    """List the checkpoints that lie directly in a folder; the parts of a sharded one are one."""
    try:
        files = sorted(path for path in folder.iterdir() if path.is_file())
    except OSError:
        return []
    if _is_hugging_face(folder):
        return [next(folder / name for name in _HUGGING_FACE if (folder / name).is_file())]
    indexes = [path for path in files if path.name.endswith(INDEX)]
    parts = {part for index in indexes for part in _parts(index)}
    return [
        path
        for path in files
        if path not in parts and (path in indexes or looks_like_weights(path))
    ]


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


def _is_hugging_face(folder: Path) -> bool:
    return (folder / "config.json").is_file() and any(
        (folder / name).is_file() for name in _HUGGING_FACE
    )


def _parts(index: Path) -> list[Path]:
    try:
        return parts_of(index)[1:]
    except CheckpointError:
        return []  # a damaged index is told when it is read


def _name(folder: Path, root: Path) -> str:
    name = folder.relative_to(root).as_posix()
    if name == ".":
        name = root.resolve().name or "root"
    return name.encode("utf-8", "backslashreplace").decode()  # names need not be valid text

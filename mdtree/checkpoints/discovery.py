"""Discovery: from a directory to groups of checkpoints."""

from __future__ import annotations

import fnmatch
import itertools
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath

from mdtree.checkpoints.adapters import ADAPTER_CONFIG, ADAPTER_WEIGHTS
from mdtree.checkpoints.detect import INDEX, looks_like_weights
from mdtree.checkpoints.moments import is_step
from mdtree.checkpoints.parts import parts_of
from mdtree.exceptions import CheckpointError, RecipeError

__all__ = [
    "INNER",
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


INNER = "checkpoints"  # a folder of this name is called as the run around it: Lightning makes it

_WILD = re.compile(r"[*?\[]")  # in a part of a pattern
_MOST_NAMES = 1_000_000  # that the patterns of a group may visit


@dataclass(frozen=True, kw_only=True)
class Folder:
    """The checkpoints of one folder."""

    name: str  # path below the root, with forward slashes
    files: tuple[Path, ...]  # sorted by name; of a storage: below its address
    stamps: Mapping[str, str] | None = None  # of a storage: file -> what changes with it
    lost: str | None = None  # why there are no checkpoints, where something else tells of them


def find_folders(
    root: Path,
    *,
    leave_out: Iterable[Path] = (),
    lost: Callable[[Path], str | None] = lambda _: None,
) -> Iterator[Folder]:
    """Yield every folder that directly contains checkpoints: `root` and all below it.

    A Hugging Face folder, or that of an adapter, is one checkpoint, and belongs to the group of its
    parent folder; one directly in `root` is a group of its own, unless its name is a step
    (checkpoint-500).  Folders come in the order of their paths, while the directory is walked: only
    names beside the current path are kept in memory.

    A folder `checkpoints` directly in `root` is called as `root`, unless files lie there as well.

    Folders and files that cannot be read, for lack of permission or because the path is too long
    for the system, are skipped.  `lost` is asked of folders without checkpoints: those of which it
    says why are yielded, too.
    """
    skip = {_real(path) for path in leave_out}
    is_root_taken = False  # by the files directly in it
    for here, names in _walk(root):
        files = []
        if not _is_hugging_face(here) or _is_alone(here, root):
            files += checkpoint_files(here)
        inner = (here / name for name in names)
        files += [
            file
            for path in inner
            if _is_hugging_face(path) and not _is_alone(path, root)
            for file in checkpoint_files(path)
        ]
        included = tuple(sorted(file for file in files if not skip or _real(file) not in skip))
        if included:
            is_root_taken = is_root_taken or here == root
            is_of_root = here.parent == root and here.name == INNER and not is_root_taken
            yield Folder(name=_name(root if is_of_root else here, root), files=included)
        elif not files and (why := lost(here)) is not None:
            yield Folder(name=_name(here, root), files=(), lost=why)


def _is_alone(folder: Path, root: Path) -> bool:
    """Return whether a Hugging Face folder is a group of its own."""
    return folder == root or (folder.parent == root and not is_step(folder.name))


def checkpoint_files(folder: Path) -> list[Path]:
    """List the checkpoints directly in a folder; a sharded checkpoint is listed once."""
    try:
        names = [path.name for path in folder.iterdir() if _is_file(path)]
    except OSError:
        return []
    parts = [part for name in names if name.endswith(INDEX) for part in _parts(folder / name)]
    return [folder / name for name in weights_among(names, parts, folder)]


def weights_among(names: Iterable[str], parts: Iterable[str], folder: Path) -> list[str]:
    """Select the checkpoints among the file names of a folder, without `parts` of sharded ones."""
    known = set(names)
    if in_hugging_face(known):
        return [next(name for name in _order(known) if name in known)]
    return [
        name
        for name in sorted(known - set(parts))
        if name.endswith(INDEX) or looks_like_weights(folder / name)
    ]


def in_hugging_face(names: Collection[str]) -> bool:
    """Return whether a folder with these files is a Hugging Face checkpoint, or an adapter."""
    return any(name in names for name in _order(names))


def _order(names: Collection[str]) -> tuple[str, ...]:
    """Return the weights that the configs of a folder describe: a whole model comes first."""
    whole = _HUGGING_FACE if "config.json" in names else ()
    return (*whole, *(ADAPTER_WEIGHTS if ADAPTER_CONFIG in names else ()))


def named_files(root: Path, patterns: Iterable[str], *, group: str) -> tuple[Path, ...]:
    """Find the files that a recipe lists for a group: paths, patterns, or folders.

    Args:
        root: The folder that paths and patterns are relative to.
        patterns: What the recipe lists.
        group: The name of the group, for errors.

    Raises:
        RecipeError: A pattern matches nothing, or too much, or there are no weights files.
    """
    files: list[Path] = []
    search = _Search(root, group)
    for pattern in patterns:
        matches = search.matches(pattern)
        if not matches:
            raise RecipeError(f"group {group!r}: no file matches {pattern!r} in {root}")
        for match in matches:
            files += checkpoint_files(match) if os.path.isdir(match) else [match]  # noqa: PTH112 - as in _is_file
    if not files:
        raise RecipeError(f"group {group!r}: no weights file in {', '.join(patterns)}")
    return tuple(dict.fromkeys(files))


class _Search:
    """A search for the patterns of a group: *, ? and [...], and ** for nested folders.

    ** does not follow links, like every walk through a directory here; the others do.  Links may
    form cycles, so the number of names that are visited is limited.
    """

    def __init__(self, root: Path, group: str) -> None:
        self._root = root
        self._group = group
        self._left = _MOST_NAMES

    def matches(self, pattern: str) -> list[Path]:
        """Find the paths that match a pattern, or that literally have this name."""
        exact = [self._root / pattern] if pattern else []
        return self._there(self._fitting(pattern), pattern) or self._there(exact, pattern)

    def _fitting(self, pattern: str) -> list[Path]:
        places = [self._root] if pattern else []
        parts = PurePath(pattern).parts
        for number, part in enumerate(parts, start=1):
            if part == "**":
                places = self._folders_below(places)
                places += self._inside(places, "*") if number == len(parts) else []
            elif _WILD.search(part):
                places = self._inside(places, part)
            else:
                places = [here / part for here in places]
        return places

    def _there(self, places: Iterable[Path], pattern: str) -> list[Path]:
        """Keep the paths that exist; a pattern that ends in `/` or `/.` matches only folders."""
        is_there = os.path.isdir if pattern.endswith(("/", "/.")) else os.path.lexists
        return sorted(path for path in dict.fromkeys(places) if is_there(path))

    def _inside(self, folders: Iterable[Path], part: str) -> list[Path]:
        return [
            folder / entry.name
            for folder in folders
            for entry in self._entries(folder)
            if fnmatch.fnmatchcase(entry.name, part)
            and entry.name.startswith(".") <= part.startswith(".")
        ]

    def _folders_below(self, folders: Iterable[Path]) -> list[Path]:
        """List folders and all folders below them, each once."""
        seen: dict[Path, None] = {}
        waiting = list(folders)
        while waiting:
            here = waiting.pop()
            if here not in seen:
                seen[here] = None
                waiting += [here / entry.name for entry in self._entries(here) if _is_folder(entry)]
        return list(seen)

    def _entries(self, folder: Path) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as entries:
                listed = list(itertools.islice(entries, self._left + 1))
        except (OSError, ValueError):
            return []
        self._left -= len(listed)
        if self._left < 0:
            raise RecipeError(
                f"group {self._group!r}: its patterns visit more than {_MOST_NAMES:,} names: "
                "list its folders, or write narrower patterns"
            )
        return listed


def _walk(root: Path) -> Iterator[tuple[Path, list[str]]]:
    """Yield each folder and the sorted names of its subfolders, without following links."""
    waiting = [iter([root])]  # per level, the folders that are still to be visited
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
            return sorted(entry.name for entry in entries if _is_folder(entry))
    except OSError:
        return []


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a folder to descend into: not hidden, and not a link."""
    try:
        return not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _is_hugging_face(folder: Path) -> bool:
    configs = {name for name in ("config.json", ADAPTER_CONFIG) if _is_file(folder / name)}
    return any(_is_file(folder / name) for name in _order(configs))


def _is_file(path: Path) -> bool:
    return os.path.isfile(path)  # noqa: PTH113 - Path.is_file fails for names that are too long


def _real(path: Path) -> str:
    """Resolve links; a path with a cycle or an invalid name is returned as it is."""
    try:
        return os.path.realpath(path)
    except ValueError:
        return str(path)


def _parts(index: Path) -> list[str]:
    try:
        return [part.name for part in parts_of(index)[1:]]
    except CheckpointError:
        return []  # a damaged index is an error when it is read


def _name(folder: Path, root: Path) -> str:
    name = folder.relative_to(root).as_posix()
    if name == ".":
        whole = root.resolve()
        name = (whole.parent if whole.name == INNER else whole).name or "root"
    return name.encode("utf-8", "backslashreplace").decode()  # names need not be valid text

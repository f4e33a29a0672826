"""The trees that come with mdtree, and the rows of its reference zoos, by name."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from pathlib import Path

from mdtree.exceptions import RowsError, TreeError
from mdtree.messages import nearest
from mdtree.rows import Row, read_rows
from mdtree.rows.row import row_from_json
from mdtree.trees import SavedTree, read_tree

__all__ = [
    "PUBLISHED_TABLE",
    "TreeHead",
    "find_tree",
    "published_rows",
    "reference_collection",
    "shipped_rows",
    "shipped_trees",
    "tree_heads",
    "tree_names",
]

_PACKED = ".jsonl.gz"
_WORDS = {"task", "protocol", "groups"}  # what a tree is for
_DATA = Path(__file__).parent.parent / "data"

# the table published with the MD tree paper; its source and licence lie beside it
PUBLISHED_TABLE = _DATA / "published" / "cifar10-resnet18.csv.gz"


def published_rows() -> list[Row]:
    """Read the rows of the published table: ResNet-18 on CIFAR-10, protocol paper-1."""
    from mdtree.rows import rows_from_csv

    return rows_from_csv(PUBLISHED_TABLE, protocol="paper-1").rows


@dataclass(frozen=True, kw_only=True)
class TreeHead:
    """What a tree is for."""

    task: str
    protocol: str
    groups: int  # that it was fitted on


def tree_heads() -> dict[str, TreeHead]:
    """Read what the trees that come with mdtree are for, without reading them: name -> head."""
    return {name: _head(path) for name, path in _paths().items()}


def shipped_trees() -> dict[str, SavedTree]:
    """Read the trees that come with mdtree."""
    return {name: _shipped(path) for name, path in _paths().items()}


def tree_names() -> list[str]:
    """Return the names of the trees that come with mdtree, without reading them."""
    return list(_paths())


def shipped_rows(name: str) -> list[Row]:
    """Read the rows of a reference zoo that comes with mdtree."""
    paths = {path.stem: path for path in sorted((_DATA / "zoos").glob("*.jsonl"))}
    if name not in paths:
        raise RowsError(
            f"mdtree comes with no zoo {name!r:.100}{nearest(name, paths)} "
            f"(known: {', '.join(paths)})"
        )
    return read_rows(paths[name])


def reference_collection(*, held_out: bool = False) -> dict[str, list[Row]]:
    """Read the zoos of the reference collection: name -> rows.

    With `held_out`, read instead the zoos that were never used to choose a method.
    """
    folder = _DATA / "reference"
    if held_out:
        folder /= "held_out"
    return {
        path.name.removesuffix(_PACKED): _unpacked(path)
        for path in sorted(folder.glob("*" + _PACKED))
    }


def _unpacked(path: Path) -> list[Row]:
    import gzip

    with gzip.open(path) as file:
        return [row_from_json(line) for line in file]


def find_tree(name: str) -> SavedTree:
    """Read a tree: a file, or one that comes with mdtree.

    Raises:
        TreeError: If there is no such tree, or the file is not a tree.

    """
    paths = _paths()
    if name in paths:
        return _shipped(paths[name])
    if os.path.exists(name):  # noqa: PTH110 - Path.exists fails for names that are too long
        return read_tree(Path(name))
    raise TreeError(
        f"tree {name!r:.100} is neither a file nor a tree that comes with mdtree"
        f"{nearest(name, paths)} (known: {', '.join(paths)})"
    )


@functools.cache  # a diagnosis chooses again after each measurement
def _shipped(path: Path) -> SavedTree:
    return read_tree(path)


@functools.cache
def _head(path: Path) -> TreeHead:
    words: dict[str, str] = {}
    with path.open(encoding="utf-8") as file:
        for line in file:
            name, _, value = line.strip(" ,\n").partition(": ")
            words[name.strip('"')] = value.strip('"')
            if words.keys() >= _WORDS:  # after a few lines
                break
    return TreeHead(task=words["task"], protocol=words["protocol"], groups=int(words["groups"]))


def _paths() -> dict[str, Path]:
    return {path.stem: path for path in sorted((_DATA / "trees").glob("*.json"))}

"""The trees that come with mdtree, and the rows of its reference zoos, by name."""

from __future__ import annotations

import functools
import os
import re
from pathlib import Path

from mdtree.exceptions import RowsError, TreeError
from mdtree.messages import nearest
from mdtree.rows import Row, read_rows
from mdtree.rows.row import row_from_json
from mdtree.trees import SavedTree, read_tree

__all__ = [
    "PUBLISHED_TABLE",
    "find_tree",
    "published_rows",
    "reference_collection",
    "shipped_rows",
    "shipped_trees",
    "tree_names",
]

_PACKED = ".jsonl.gz"
_HEAD = 512  # bytes of a tree, in which we have written its task and protocol
_WORD = re.compile(rb'^  "(task|protocol)": "([^"]*)",$', re.MULTILINE)
_DATA = Path(__file__).parent.parent / "data"

# the table published with the MD tree paper; its source and licence lie beside it
PUBLISHED_TABLE = _DATA / "published" / "cifar10-resnet18.csv.gz"


def published_rows() -> list[Row]:
    """Read the rows of the published table: ResNet-18 on CIFAR-10, protocol paper-1."""
    from mdtree.rows import rows_from_csv

    return rows_from_csv(PUBLISHED_TABLE, protocol="paper-1").rows


def shipped_trees(*, task: str | None = None, protocol: str | None = None) -> dict[str, SavedTree]:
    """Read the trees that come with mdtree: all, or those of a task and for a protocol.

    A verdict needs one of a dozen, so the others are left out by the beginning of their files.
    """
    wanted = {"task": task, "protocol": protocol}
    return {
        name: _shipped(path)
        for name, path in _paths().items()
        if all(word in (None, known) for known, word in _beside(path, wanted))
    }


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


def _beside(path: Path, wanted: dict[str, str | None]) -> list[tuple[str, str | None]]:
    """Put what the beginning of a tree says beside what is wanted."""
    if set(wanted.values()) == {None}:
        return []
    with path.open("rb") as file:
        words = _WORD.findall(file.read(_HEAD))
    return [(value.decode(), wanted[key.decode()]) for key, value in words]


def _paths() -> dict[str, Path]:
    return {path.stem: path for path in sorted((_DATA / "trees").glob("*.json"))}

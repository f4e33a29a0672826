"""Finding rows: the files that our own commands write for a directory, and rows by any name."""

from __future__ import annotations

import codecs
import json
import os
from collections.abc import Iterator
from pathlib import Path

from mdtree.exceptions import RowsError
from mdtree.messages import shortened
from mdtree.rows.reading import LONGEST_LINE

__all__ = ["ROWS_NAME", "WEIGHTS", "find_rows", "is_rows", "joint_file", "measured_file"]

ROWS_NAME = "rows.jsonl"
WEIGHTS = (".safetensors", ".pt", ".pth", ".ckpt", ".bin", ".tar")  # how names of weights end

_JOINT = "+"  # between the names of directories that were measured as one group
_KEYS = ("format", "group", "protocol")  # that every row has
_LONGEST_LIST = 500  # characters of the names that an error lists

# os.path throughout: Path.is_dir and its like fail for names that are too long


def joint_file(group: str) -> str:
    """Return the name of the rows of several directories that were measured as one group.

    >>> joint_file("run-0+run-1")
    'run-0+run-1.rows.jsonl'
    """
    return f"{group}.{ROWS_NAME}"


def measured_file(path: Path) -> Path:
    """Return the rows.jsonl of a directory; any other path is returned as it is."""
    return path / ROWS_NAME if os.path.isdir(path) else path  # noqa: PTH112


def find_rows(path: Path, *, needs: str = "") -> Path:
    """Return the file of rows of a directory, of a file of weights, or the named file itself.

    What was measured as a directory has its rows in `rows.jsonl`; several of its directories that
    were measured as one group have them in `run-0+run-1.rows.jsonl`, and so has one of these.
    `needs` is what `mdtree measure` takes beside the directory, for the error.

    Raises:
        RowsError: There is none, or there are several to choose from.
    """
    if not os.path.isdir(path):  # noqa: PTH112
        if path.suffix.lower() in WEIGHTS:
            return find_rows(path.parent)
        if not os.path.exists(path):  # noqa: PTH110 - `<(...)` is no plain file
            raise RowsError(f"{path} does not exist; measure the directory first: mdtree measure")
        return path
    usual = measured_file(path)
    if os.path.exists(usual):  # noqa: PTH110
        return usual
    whole = Path(os.path.abspath(path))  # noqa: PTH100 - links stay
    parent = path.parent if path.name else whole.parent
    joint = [*_joint_files(path), *_joint_files(parent, whole)]
    if len(joint) == 1:
        return joint[0]
    if joint:
        listed = shortened(", ".join(map(str, joint)), _LONGEST_LIST)
        raise RowsError(f"{path} has {len(joint)} files of rows: name one of them ({listed})")
    raise RowsError(
        f"{path} has no rows; looked for {usual}, {path / f'*.{ROWS_NAME}'} and "
        f"{parent / f'*{whole.name}*.{ROWS_NAME}'}: measure the directory first "
        f"(mdtree measure {path}{needs}), or name the file that was written with --out or --rows"
    )


def _joint_files(folder: Path, member: Path | None = None) -> Iterator[Path]:
    """Yield the rows of directories below a folder that were measured together, with a member."""
    ending = f".{ROWS_NAME}"
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208
    except OSError:
        return
    for name in names:
        if name.endswith(ending) and os.path.isfile(folder / name):  # noqa: PTH113
            parts = name.removesuffix(ending).split(_JOINT)
            if member is None or (len(parts) > 1 and member.name in parts):
                yield folder / name


def is_rows(path: Path) -> bool:
    """Return whether a file begins with a row, whatever its name is."""
    try:
        if not os.path.isfile(path):  # noqa: PTH113
            return False
        with path.open("rb") as file:
            start = file.read(4).removeprefix(codecs.BOM_UTF8)
            if start[:1] != b"{":
                return False
            first = json.loads(start + file.readline(LONGEST_LINE))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(first, dict) and all(key in first for key in _KEYS)

"""Loading rows from a path: a file of rows, a table, or a measured directory.

The files that our own commands write for a directory are found by their names, other rows by
their content.  os.path throughout: Path.is_dir and its like fail for names that are too long.
"""

from __future__ import annotations

import codecs
import json
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from mdtree.exceptions import OutputError, ProtocolError, RecipeError, RowsError, TreeError
from mdtree.messages import shortened
from mdtree.rows.atomic import own
from mdtree.rows.file_kinds import is_table
from mdtree.rows.reading import LONGEST_LINE, open_rows, read_rows
from mdtree.rows.row import Row

__all__ = [
    "ROWS_NAME",
    "WEIGHTS",
    "find_rows",
    "home_of",
    "is_address",
    "is_joint",
    "is_rows",
    "joined_names",
    "joint_rows",
    "load_rows",
    "measured_file",
    "name_with_zoo",
    "named_apart",
    "of_protocol",
    "one_protocol",
    "open_measured",
    "rows_file",
]

ROWS_NAME = "rows.jsonl"
WEIGHTS = (".safetensors", ".pt", ".pth", ".ckpt", ".bin", ".tar")  # how names of weights end

_JOINT = "+"  # between the names of directories that were measured as one group
_KEYS = ("format", "group", "protocol")  # that every row has
_LONGEST_LIST = 500  # characters of the names that an error lists
_ADVICE = "name a file of rows with --out (diagnose: --rows)"


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


def is_joint(path: Path) -> bool:
    """Return whether this is named as rows of directories that were measured as one group."""
    return path.name.endswith(f".{ROWS_NAME}") and _JOINT in path.name


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


def is_address(measured: str | Path) -> bool:
    """Return whether this is a URL (s3://bucket/runs), not a path."""
    return isinstance(measured, str) and "://" in measured


def home_of(measured: str | Path) -> Path:
    """Return the folder of what is measured: a directory, or one weights file in it.

    Raises:
        RecipeError: It is an object storage, which has no folder.
    """
    if is_address(measured):
        raise RecipeError(f"{measured} is an object storage: pass a recipe with --recipe")
    path = Path(measured)
    return path if os.path.isdir(path) else path.parent  # noqa: PTH112


def rows_file(
    measured: str | Path, out: Path | None = None, others: Sequence[str | Path] = ()
) -> Path:
    """Return the file for the rows of what is measured, or `out` if the user named one.

    A named file may be a link to anywhere; one in a directory, which may be a stranger's, may not.

    Raises:
        OutputError: The default file must not be written, or `out` would be packed.
    """
    if out is not None:
        from mdtree.rows.writing import check_plain_rows

        check_plain_rows(out)  # before anything is measured
        return out
    if is_address(measured):
        raise OutputError(f"{measured} is an object storage and read-only: {_ADVICE}")
    home = home_of(measured)
    if others:  # beside them: the file in one of them would seem to be about that one alone
        places = [home, *(Path(other) for other in others)]
        places = [Path(os.path.abspath(place)) for place in places]  # noqa: PTH100 - links stay
        home = Path(os.path.commonpath(places))
        return own(home / f"{joined_names(places)}.{ROWS_NAME}", home, advice=_ADVICE)
    return own(home / ROWS_NAME, home, advice=_ADVICE)


def joint_rows(measured: str | Path, others: Sequence[str | Path]) -> Path:
    """Return the file of rows of several directories; an older one may join them in another order.

    Raises:
        OutputError: The file must not be written, and so is not ours.
    """
    usual = rows_file(measured, None, others)
    if os.path.exists(usual):  # noqa: PTH110
        return usual
    for path in _joint_files(usual.parent):
        if _parts(path) == _parts(usual):
            return own(path, usual.parent, advice=_ADVICE)
    return usual


def _parts(path: Path) -> list[str]:
    """Return which names a file of rows joins, in their order."""
    return sorted(path.name.removesuffix(f".{ROWS_NAME}").split(_JOINT))


def joined_names(places: Sequence[Path]) -> str:
    """Name directories of runs that differ by seed alone; called alike, by what differs above.

    The order in which they are given does not matter.

    >>> joined_names([Path("/runs/a"), Path("/runs/b")])
    'a+b'
    >>> joined_names([Path("/runs/b/out"), Path("/runs/a/out")])
    'a+b'
    """
    parts = [Path(os.path.abspath(place)).parts[1:] for place in places]  # noqa: PTH100 - links stay
    while all(len(each) > 1 for each in parts) and len({each[-1] for each in parts}) == 1:
        parts = [each[:-1] for each in parts]
    if len(set(parts)) < len(parts):  # one directory twice
        return _JOINT.join(sorted(place.name for place in places))
    return _JOINT.join(sorted(each[-1] if each else "" for each in parts))


def open_measured(path: Path, *, table_protocol: str = "paper-1") -> Collection[Row]:
    """Return all rows of a JSON Lines file, a CSV table, or a measured directory.

    Rows of JSON Lines stay in their file, and are read each time they are used.
    """
    if is_table(path):
        from mdtree.rows.tables import rows_from_csv

        return rows_from_csv(path, protocol=table_protocol).rows
    return open_rows(find_rows(path))


def load_rows(
    path: str | Path,
    *,
    protocol: str | None = None,
    table_protocol: str = "paper-1",
    failed: bool = False,
    by_zoo: bool = False,
    notice: Callable[[str], None] | None = None,
) -> list[Row]:
    """Read rows from a JSON Lines file, a CSV table, or a measured directory.

    Args:
        path: The file, table or directory.
        protocol: Keep only the rows of this protocol.
        table_protocol: The protocol of a table that has no column for it.
        failed: Keep groups without any measurement too.
        by_zoo: Keep groups of equal names whose rows name different zoos (the fact `zoo`).
        notice: Told in a sentence which groups were replaced by groups of other networks.

    Raises:
        RowsError: The file cannot be read, or has no such rows.
    """
    is_file = not os.path.isdir(path)  # noqa: PTH112
    path = find_rows(Path(path))
    if is_table(path):
        from mdtree.rows.tables import rows_from_csv

        rows = rows_from_csv(path, protocol=protocol or table_protocol).rows
    else:
        rows = read_rows(path, pipe=is_file, by_zoo=by_zoo, notice=notice)
    rows = [row for row in rows if (failed or row.measured) and protocol in (None, row.protocol)]
    if not rows:
        of = f" of protocol {protocol!r}" if protocol else ""
        raise RowsError(f"{path} has no measured rows{of}")
    return rows


def named_apart(rows: Sequence[Row]) -> list[Row]:
    """Call groups by zoo and name, `zoo/group`, if groups of several zoos are called alike.

    Rows that name no zoo keep their names.
    """
    if len({row.key for row in rows}) == len(rows):
        return list(rows)
    named = [replace(row, group=name_with_zoo(row)) for row in rows]
    if len({row.key for row in named}) == len(rows):
        return named
    return [replace(row, group=name_with_zoo(row, quoted=True)) for row in rows]  # 1 and "1"


def name_with_zoo(row: Row, *, quoted: bool = False) -> str:
    """Return the name of a group after that of its zoo, if it has one."""
    zoo = row.facts.get("zoo")
    return row.group if zoo is None else f"{json.dumps(zoo) if quoted else zoo}/{row.group}"


def of_protocol(rows: Sequence[Row], protocol: str) -> list[Row]:
    """Keep the rows of the protocol that is asked for, where there are several."""
    several = len({row.protocol for row in rows}) > 1
    return [row for row in rows if not several or row.protocol == protocol]


def one_protocol(rows: Sequence[Row]) -> str:
    """Return the protocol that all rows share.

    Raises:
        TreeError: There are no rows.
        ProtocolError: The rows have several protocols.
    """
    protocols = sorted({row.protocol for row in rows})
    if not protocols:
        raise TreeError("there are no rows to learn from")
    if len(protocols) > 1:
        raise ProtocolError(
            f"the rows have {len(protocols)} protocols ({', '.join(protocols)}), "
            "whose numbers are not comparable: choose one with --protocol"
        )
    return protocols[0]

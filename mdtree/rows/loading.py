"""Rows that users name: a file of rows, a table, or a measured directory."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from pathlib import Path

from mdtree.exceptions import OutputError, ProtocolError, RecipeError, RowsError, TreeError
from mdtree.rows.atomic import own
from mdtree.rows.reading import open_rows, read_rows
from mdtree.rows.row import Row
from mdtree.rows.tables import is_table, rows_from_csv

__all__ = [
    "home_of",
    "is_address",
    "load_rows",
    "measured_file",
    "of_protocol",
    "one_protocol",
    "open_measured",
    "rows_file",
]

_NAME = "rows.jsonl"
_ADVICE = "name a file of rows with --out (diagnose: --rows)"


def is_address(measured: str | Path) -> bool:
    """Say whether it is an address (s3://bucket/runs) and no path."""
    return isinstance(measured, str) and "://" in measured


def home_of(measured: str | Path) -> Path:
    """Give the folder of what is measured: a directory, or one weights file in it."""
    if is_address(measured):
        raise RecipeError(f"{measured} is an object storage: name a recipe with --recipe")
    path = Path(measured)
    return path if os.path.isdir(path) else path.parent  # noqa: PTH112 - Path.is_dir fails for names that are too long


def rows_file(measured: str | Path, out: Path | None = None) -> Path:
    """Give the file of rows of what is measured, unless another one is wanted.

    It may lead anywhere if it was named; that in a directory, which may be a stranger's, may not.
    """
    if out is not None:
        return out
    if is_address(measured):
        raise OutputError(f"{measured} is only read: {_ADVICE}")
    home = home_of(measured)
    return own(home / _NAME, home, advice=_ADVICE)


def measured_file(path: Path) -> Path:
    """Give the rows.jsonl of a directory; another path is the file itself."""
    return path / _NAME if os.path.isdir(path) else path  # noqa: PTH112 - as in home_of


def open_measured(path: Path, *, table_protocol: str = "paper-1") -> Collection[Row]:
    """Give all rows of JSON Lines, of a CSV table, or of the rows.jsonl of a directory.

    Those of JSON Lines stay in their file, and are read whenever they are come across.
    """
    if is_table(path):
        return rows_from_csv(path, protocol=table_protocol).rows
    return open_rows(measured_file(path))


def load_rows(
    path: Path,
    *,
    protocol: str | None = None,
    table_protocol: str = "paper-1",
    failed: bool = False,
) -> list[Row]:
    """Read rows from JSON Lines, from a CSV table, or from the rows.jsonl of a directory.

    `protocol` keeps the rows of one protocol; `table_protocol` is what a table without such a
    column was measured with.  Groups of which nothing was measured are left out, unless `failed`
    wants them too.
    """
    is_file = not os.path.isdir(path)  # noqa: PTH112 - as in home_of
    path = measured_file(path)
    if not os.path.exists(path):  # noqa: PTH110 - the same; and `<(...)` is no plain file
        raise RowsError(f"{path} does not exist; measure the directory first: mdtree measure")
    if is_table(path):
        rows = rows_from_csv(path, protocol=protocol or table_protocol).rows
    else:
        rows = read_rows(path, pipe=is_file)
    rows = [row for row in rows if (failed or row.measured) and protocol in (None, row.protocol)]
    if not rows:
        of = f" of protocol {protocol!r}" if protocol else ""
        raise RowsError(f"{path} holds no measured rows{of}")
    return rows


def of_protocol(rows: Sequence[Row], protocol: str) -> list[Row]:
    """Keep the rows of the protocol that is asked for, where there are several."""
    several = len({row.protocol for row in rows}) > 1
    return [row for row in rows if not several or row.protocol == protocol]


def one_protocol(rows: Sequence[Row]) -> str:
    """Name the protocol that all rows share."""
    protocols = sorted({row.protocol for row in rows})
    if not protocols:
        raise TreeError("there are no rows to learn from")
    if len(protocols) > 1:
        raise ProtocolError(
            f"the rows are of {len(protocols)} protocols ({', '.join(protocols)}), "
            "whose numbers do not compare: choose one with --protocol"
        )
    return protocols[0]

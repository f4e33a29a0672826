"""Tables behind the pictures, from the details of rows, without what is not a number.

Only the first lines of a long table are drawn; the others are counted.
"""

from __future__ import annotations

from itertools import islice

from mdtree.messages import shortened
from mdtree.rows import Row

__all__ = ["beyond", "left_out", "lines", "name_of", "numeric"]

Cell = float | str | None

_MOST_LINES = 2000  # of a table that are drawn
_LARGEST = 1e100  # sums and squares of larger numbers are not finite
_LONGEST_NAME = 200  # characters


def lines(
    row: Row, detail: str, *columns: str, most: int | None = _MOST_LINES
) -> list[tuple[Cell, ...]]:
    """Return the lines of a detail in these columns; none if the row lacks one of them."""
    table = (row.details or {}).get(detail)
    if table is None or any(name not in table.columns for name in columns):
        return []
    return list(islice(zip(*(table.columns[name] for name in columns), strict=True), most))


def beyond(row: Row, *details: str) -> str | None:
    """Write how many lines of these tables are drawn, unless all of them are."""
    tables = [(row.details or {}).get(detail) for detail in details]
    columns = [column for table in tables if table for column in list(table.columns.values())[:1]]
    return left_out(_MOST_LINES, max(map(len, columns), default=0), "lines of the table")


def left_out(shown: int, known: int, what: str) -> str | None:
    """Write how many things are shown, unless all of them are.

    >>> left_out(2, 3000, "lines"), left_out(2, 2, "lines")
    ('The first 2 of 3,000 lines.', None)
    """
    return None if known <= shown else f"The first {shown:,} of {known:,} {what}."


def name_of(cell: object) -> str:
    """Return the name that a cell holds, cut short."""
    return shortened(str(cell), _LONGEST_NAME)


def numeric(*cells: Cell) -> tuple[float, ...] | None:
    """Return the cells as numbers if all of them are."""
    numbers = [cell for cell in cells if isinstance(cell, int | float) and abs(cell) < _LARGEST]
    return tuple(map(float, numbers)) if len(numbers) == len(cells) else None

"""Tables behind the quantities, as rows hold them: whatever is no number is left out.

A picture has an end, however long its table is: what is beyond is counted, and not drawn.
"""

from __future__ import annotations

from itertools import islice

from mdtree.messages import shortened
from mdtree.render.markup import Markup, tag
from mdtree.rows import Row

__all__ = ["MOST_LINES", "beyond", "left_out", "lines", "name_of", "numeric"]

MOST_LINES = 2000  # of a table that are drawn one by one

Cell = float | str | None

_LARGEST = 1e100  # sums and squares of larger ones are not finite
_LONGEST_NAME = 200  # characters


def lines(
    row: Row, detail: str, *columns: str, most: int | None = MOST_LINES
) -> list[tuple[Cell, ...]]:
    """Read some columns of a detail, line by line; none where one of them is not there."""
    table = (row.details or {}).get(detail)
    if table is None or any(name not in table.columns for name in columns):
        return []
    return list(islice(zip(*(table.columns[name] for name in columns), strict=True), most))


def beyond(row: Row, *details: str) -> Markup | None:
    """Say that not all lines of these tables are drawn, where that is so."""
    tables = [(row.details or {}).get(detail) for detail in details]
    columns = [column for table in tables if table for column in list(table.columns.values())[:1]]
    longest = max(map(len, columns), default=0)
    return left_out(MOST_LINES, longest, "lines of the table")


def left_out(shown: int, known: int, what: str) -> Markup | None:
    """Say how many of them are drawn, where it is not all."""
    if known <= shown:
        return None
    return tag("p", f"The first {shown:,} of {known:,} {what}.", class_="note")


def name_of(cell: object) -> str:
    """Give the name that a cell holds, cut short."""
    return shortened(str(cell), _LONGEST_NAME)


def numeric(*cells: Cell) -> tuple[float, ...] | None:
    """Give the cells as numbers, if all of them are."""
    numbers = [cell for cell in cells if isinstance(cell, int | float) and abs(cell) < _LARGEST]
    return tuple(map(float, numbers)) if len(numbers) == len(cells) else None

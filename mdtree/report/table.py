"""Tables behind the quantities, as rows hold them: whatever is no number is left out."""

from __future__ import annotations

from mdtree.measurements import Row

__all__ = ["lines", "numeric"]

Cell = float | str | None

_LARGEST = 1e100  # sums and squares of larger ones are not finite


def lines(row: Row, detail: str, *columns: str) -> list[tuple[Cell, ...]]:
    """Read some columns of a detail, line by line; none where one of them is not there."""
    held = (row.details or {}).get(detail)
    if held is None or any(name not in held.columns for name in columns):
        return []
    return list(zip(*(held.columns[name] for name in columns), strict=True))


def numeric(*cells: Cell) -> tuple[float, ...] | None:
    """Give the cells as numbers, if all of them are."""
    found = [cell for cell in cells if isinstance(cell, int | float) and abs(cell) < _LARGEST]
    return tuple(map(float, found)) if len(found) == len(cells) else None

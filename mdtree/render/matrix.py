"""Matrices: the similarity of networks, or of their layers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mdtree.render.formatting import fixed
from mdtree.render.svg import Figure, Markup, element, picture
from mdtree.render.table import Cell, left_out, lines, name_of, numeric
from mdtree.rows import Row
from mdtree.trees.arrays import Floats

__all__ = ["layers_matrix", "members_matrix"]

_MOST = 32  # lines; more are drawn as means of blocks
_MOST_NAMES = 512  # on each side; the rest is not drawn
_WRITTEN = 8  # lines, at most, whose cells have room for a number
_WIDTH, _SIDE = 320, 46  # pixels: of a picture at least, of a cell with a number
_THIN = 0.6  # of the ink, under letters


@dataclass(frozen=True, kw_only=True)
class _Matrix:
    """Numbers from 0 to 1; NaN stands for what is not known."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: Floats
    block: int = 1  # lines that each line is the mean of


def members_matrix(row: Row) -> Figure | None:
    """Draw the CKA of all pairs of members; that of a network with itself is left empty."""
    entries = lines(row, "pairs", "a", "b", "cka", most=None)
    names = _names(name for a, b, _ in entries for name in (a, b))
    similarities = _similarities(entries, names, names)
    similarities = {(b, a): cka for (a, b), cka in similarities.items()} | similarities
    if not similarities:
        return None
    shown = list(names)[:_MOST_NAMES]
    drawing, size = _drawn(_matrix(shown, shown, similarities), "networks")
    return Figure(
        drawing=drawing,
        size=size,
        names=[name_of(name) for name in shown],
        note=left_out(len(shown), len(names), "networks"),
    )


def layers_matrix(row: Row) -> Figure | None:
    """Draw the CKA of all layers of one network with all layers of another."""
    entries = lines(row, "layers", "row", "column", "cka", most=None)
    first, second = _names(line[0] for line in entries), _names(line[1] for line in entries)
    similarities = _similarities(entries, first, second)
    if not similarities:
        return None
    shown, beside = list(first)[:_MOST_NAMES], list(second)[:_MOST_NAMES]
    drawing, size = _drawn(_matrix(shown, beside, similarities), "layers")
    return Figure(
        drawing=drawing,
        size=size,
        note=left_out(_MOST_NAMES, max(len(first), len(second)), "layers"),
    )


def _names(cells: Iterable[Cell]) -> dict[str, int]:
    """Return the number of each name, in the order in which they first appear."""
    names: dict[str, int] = {}
    for cell in cells:
        names.setdefault(str(cell), len(names))
    return names


def _similarities(
    entries: Iterable[tuple[Cell, ...]], rows: Mapping[str, int], columns: Mapping[str, int]
) -> dict[tuple[str, str], float]:
    """Return the known similarities of the pairs that are drawn."""
    similarities = {}
    for first, second, cell in entries:
        row, column, cka = str(first), str(second), numeric(cell)
        if cka is not None and rows[row] < _MOST_NAMES > columns[column]:
            similarities[row, column] = cka[0]
    return similarities


def _matrix(
    rows: Sequence[str], columns: Sequence[str], similarities: Mapping[tuple[str, str], float]
) -> _Matrix:
    cells = np.array(
        [[similarities.get((row, column), np.nan) for column in columns] for row in rows]
    )
    block = -(-max(cells.shape) // _MOST)
    if block == 1:
        return _Matrix(rows=tuple(rows), columns=tuple(columns), cells=cells)
    return _Matrix(
        rows=_named(rows, block),
        columns=_named(columns, block),
        cells=_pooled(cells, block),
        block=block,
    )


def _named(names: Sequence[str], block: int) -> tuple[str, ...]:
    return tuple(f"{name_of(names[i])} onwards" for i in range(0, len(names), block))


def _pooled(cells: Floats, block: int) -> Floats:
    """Return the mean of what is known in each block."""
    wide, high = (range(0, size, block) for size in cells.shape[::-1])
    parts = [[cells[y : y + block, x : x + block] for x in wide] for y in high]
    return np.array([[_mean(part) for part in line] for line in parts])


def _mean(part: Floats) -> float:
    values = part[~np.isnan(part)]
    return float(values.mean()) if len(values) else float("nan")


def _drawn(matrix: _Matrix, what: str) -> tuple[Markup, tuple[float, float]]:
    """Draw the cells, and return the size of the picture."""
    high, wide = matrix.cells.shape
    side = max(_SIDE if max(high, wide) <= _WRITTEN else 0, _WIDTH / max(high, wide, _WRITTEN))
    values = matrix.cells[~np.isnan(matrix.cells)]
    cells = (
        _cell(matrix, y, x, side)
        for y in range(high)
        for x in range(wide)
        if not np.isnan(matrix.cells[y, x])
    )
    blocks = f", each cell the mean of {matrix.block} by {matrix.block}" * (matrix.block > 1)
    description = f"CKA of {high} by {wide} {what}{blocks}: "
    description += f"from {fixed(values.min())} to {fixed(values.max())}"
    size = (side * wide, side * high)
    drawing = picture(
        description,
        element("rect", width=size[0], height=size[1], class_="empty"),
        *cells,
        viewBox=f"0 0 {size[0]:.2f} {size[1]:.2f}",
        width=size[0],
        height=size[1],
        class_="matrix",
    )
    return drawing, size


def _cell(matrix: _Matrix, y: int, x: int, side: float) -> Markup:
    value = float(matrix.cells[y, x])
    ink, written = min(max(value, 0.0), 1.0), None
    if max(matrix.cells.shape) <= _WRITTEN:
        ink *= _THIN
        written = element("text", fixed(value), x=(x + 0.5) * side, y=(y + 0.5) * side)
    place = {"x": x * side, "y": y * side, "width": side, "height": side}
    names = f"{name_of(matrix.rows[y])} with {name_of(matrix.columns[x])}"
    return element(
        "g",
        element("title", f"{names}: {fixed(value, 3)}"),
        element("rect", **place, fill_opacity=ink, class_="cell"),
        written,
    )

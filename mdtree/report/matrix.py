"""Matrices: how alike networks, or their layers, are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mdtree.markup import Markup, joined, tag
from mdtree.measurements import Row
from mdtree.report.table import lines, numeric
from mdtree.trees.evidence import Floats

__all__ = ["layers_matrix", "members_matrix"]

_MOST = 32  # lines; more are drawn as means of blocks
_WRITTEN = 8  # lines, at most, whose cells have room for a number
_WIDTH, _SIDE = 320, 46  # pixels: of a picture at least, of a cell with a number
_THIN = 0.6  # of the ink, under letters


@dataclass(frozen=True, kw_only=True)
class _Matrix:
    """Numbers from 0 to 1; NaN is not known."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: Floats
    block: int = 1  # lines that one line stands for


def members_matrix(row: Row) -> Markup | None:
    """Draw the CKA of all pairs of members; that of a network with itself is left empty."""
    found: dict[tuple[str, str], float] = {}
    names: dict[str, None] = {}
    for a, b, cka in lines(row, "pairs", "a", "b", "cka"):
        known = numeric(cka)
        names |= {str(a): None, str(b): None}
        if known is not None:
            found[str(a), str(b)] = known[0]
            found.setdefault((str(b), str(a)), known[0])
    if not found:
        return None
    matrix = _drawn(_matrix(list(names), list(names), found), "networks")
    return joined([matrix, tag("ol", *(tag("li", name) for name in names), class_="names")])


def layers_matrix(row: Row) -> Markup | None:
    """Draw the CKA of all layers of one network with all layers of another."""
    found: dict[tuple[str, str], float] = {}
    first: dict[str, None] = {}
    second: dict[str, None] = {}
    for one, other, cka in lines(row, "layers", "row", "column", "cka"):
        known = numeric(cka)
        first[str(one)], second[str(other)] = None, None
        if known is not None:
            found[str(one), str(other)] = known[0]
    return _drawn(_matrix(list(first), list(second), found), "layers") if found else None


def _matrix(
    rows: Sequence[str], columns: Sequence[str], found: Mapping[tuple[str, str], float]
) -> _Matrix:
    cells = np.array([[found.get((one, other), np.nan) for other in columns] for one in rows])
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
    return tuple(f"{names[i]} and on" for i in range(0, len(names), block))


def _pooled(cells: Floats, block: int) -> Floats:
    """Take the mean of what is known in each block."""
    wide, high = (range(0, size, block) for size in cells.shape[::-1])
    parts = [[cells[y : y + block, x : x + block] for x in wide] for y in high]
    return np.array([[_mean(part) for part in line] for line in parts])


def _mean(part: Floats) -> float:
    known = part[~np.isnan(part)]
    return float(known.mean()) if len(known) else float("nan")


def _drawn(matrix: _Matrix, what: str) -> Markup:
    high, wide = matrix.cells.shape
    side = max(_SIDE if max(high, wide) <= _WRITTEN else 0, _WIDTH / max(high, wide, _WRITTEN))
    known = matrix.cells[~np.isnan(matrix.cells)]
    parts = [
        _cell(matrix, y, x, side)
        for y in range(high)
        for x in range(wide)
        if not np.isnan(matrix.cells[y, x])
    ]
    blocks = f", each cell the mean of {matrix.block} by {matrix.block}" * (matrix.block > 1)
    told = f"CKA of {high} by {wide} {what}{blocks}: from {known.min():.2f} to {known.max():.2f}"
    return tag(
        "svg",
        tag("title", told),
        tag("rect", x=0, y=0, width=side * wide, height=side * high, class_="empty"),
        joined(parts),
        viewBox=f"0 0 {side * wide:.2f} {side * high:.2f}",
        width=side * wide,
        height=side * high,
        class_="matrix",
        role="img",
        aria_label=told,
    )


def _cell(matrix: _Matrix, y: int, x: int, side: float) -> Markup:
    value = float(matrix.cells[y, x])
    ink, written = min(max(value, 0.0), 1.0), None
    if max(matrix.cells.shape) <= _WRITTEN:
        ink *= _THIN
        written = tag("text", f"{value:.2f}", x=(x + 0.5) * side, y=(y + 0.5) * side)
    return tag(
        "g",
        tag("title", f"{matrix.rows[y]} with {matrix.columns[x]}: {value:.3f}"),
        tag(
            "rect", x=x * side, y=y * side, width=side, height=side, fill_opacity=ink, class_="cell"
        ),
        written,
    )

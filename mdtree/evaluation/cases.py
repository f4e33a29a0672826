"""The transfer cases: which rows a method may learn from; it is tested on all labelled rows.

Cases 1 to 5 are those of Zhou et al. (ICML 2024), drawn exactly as published: NumPy's legacy
generator, seeded, chooses from the sorted cells of the grid.  `few` is case 1 with one cell; `data`
asks the third published question on wide networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mdtree.exceptions import TreeError
from mdtree.labelling import number_of
from mdtree.rows import Row

__all__ = ["CASES", "SEEDS", "Case", "allowed", "chosen"]

SEEDS = (42, 90, 38, 18, 72)

Draw = Literal["cells", "least data", "least width", "one data amount", "one width"]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One way of choosing training rows."""

    name: str
    task: str
    draw: Draw
    cells: int = 0  # (data amount, width) cells drawn
    least_width: int = 0  # rows of narrower networks take no part


CASES: dict[str, Case] = {
    case.name: case
    for case in (
        Case(name="1", task="temperature", draw="cells", cells=8),
        Case(name="2", task="temperature", draw="least data"),
        Case(name="3", task="temperature", draw="least width"),
        Case(name="4", task="width", draw="one data amount"),
        Case(name="5", task="width", draw="least data"),
        Case(name="few", task="temperature", draw="cells", cells=1),
        Case(name="data", task="data", draw="one width", least_width=32),
    )
}


def allowed(case: Case, rows: Sequence[Row]) -> NDArray[np.bool_]:
    """Return which rows take part in a case, for training or for testing."""
    widths = np.array([_fact(row, "width") for row in rows])
    return np.asarray(widths >= case.least_width)


def chosen(case: Case, rows: Sequence[Row], seed: int) -> NDArray[np.bool_]:
    """Return which of the rows that take part a method may learn from."""
    takes_part = allowed(case, rows)
    if not takes_part.any():
        raise TreeError(f"case {case.name!r} needs networks of width {case.least_width} or more")
    cells = np.array([[_fact(row, "data_amount"), _fact(row, "width")] for row in rows])
    legacy = np.random.RandomState(seed)  # the generator of the published tables
    if case.draw == "cells":
        distinct = np.unique(cells[takes_part], axis=0)
        drawn_cells = distinct[
            legacy.choice(len(distinct), min(case.cells, len(distinct)), replace=False)
        ]
        mask = (cells[:, None, :] == drawn_cells[None]).all(axis=2).any(axis=1)
    elif case.draw in ("one data amount", "one width"):
        column = cells[:, 0 if case.draw == "one data amount" else 1]
        distinct = np.unique(column[takes_part])
        mask = column == distinct[legacy.choice(len(distinct), 1, replace=False)[0]]
    else:
        column = cells[:, 0 if case.draw == "least data" else 1]
        mask = column == column[takes_part].min()
    return np.asarray(mask & takes_part)


def _fact(row: Row, name: str) -> float:
    value = number_of(row, name)
    if value is None:
        raise TreeError(
            f"group {row.group!r} has no fact {name!r}: "
            "the cases are drawn by width and data_amount"
        )
    return value

"""Phase diagrams: a zoo's width against its batch size, one diagram for each of its other facts.

What stands in the cells is up to the caller: the labels of a zoo, or the verdicts of a page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from mdtree.labelling import number_of
from mdtree.rows import Row

__all__ = ["Cell", "LabelT", "Phase", "phases"]

# the axes of the diagrams: the first that varies goes across, the second down
_PREFERRED = ("batch_size", "width", "learning_rate", "data_amount")


LabelT = TypeVar("LabelT")


@dataclass(frozen=True, kw_only=True)
class Cell(Generic[LabelT]):
    """One group in a diagram."""

    group: str
    label: LabelT


@dataclass(frozen=True, kw_only=True)
class Phase(Generic[LabelT]):
    """Groups that differ only in two facts; all diagrams of one zoo have the same frame."""

    zoo: str  # its name; empty: it has none
    shared: Mapping[str, float]  # the other facts of the grid
    across: str  # the fact of the columns
    down: str | None  # the fact of the lines; None: the grid has only one axis
    columns: tuple[float, ...]
    lines: tuple[float, ...]
    cells: Mapping[
        tuple[float, float], Cell[LabelT]
    ]  # (line, column) -> group; some can be missing


def phases(rows: Sequence[Row], labels: Sequence[LabelT]) -> list[Phase[LabelT]]:
    """Arrange the groups of a grid in diagrams, each group with its label."""
    varied = _varied(rows)
    if not varied:
        return []
    across, *others = varied
    down, rest = (others[0], others[1:]) if others else (None, [])
    zoos: dict[str, dict[tuple[float, ...], dict[tuple[float, float], Cell[LabelT]]]] = {}
    for number, (row, label) in enumerate(zip(rows, labels, strict=True)):
        shared = tuple(varied[fact][number] for fact in rest)
        place = (varied[down][number] if down else 0.0, varied[across][number])
        diagrams = zoos.setdefault(str(row.facts.get("zoo", "")), {})
        diagrams.setdefault(shared, {})[place] = Cell(group=row.group, label=label)
    return [
        Phase(
            zoo=zoo,
            shared=dict(zip(rest, shared, strict=True)),
            across=across,
            down=down,
            columns=tuple(sorted({column for d in diagrams.values() for _, column in d})),
            lines=tuple(sorted({line for d in diagrams.values() for line, _ in d})),
            cells=cells,
        )
        for zoo, diagrams in sorted(zoos.items())
        for shared, cells in sorted(diagrams.items(), key=lambda item: item[0])
    ]


def _varied(rows: Sequence[Row]) -> dict[str, list[float]]:
    """Return the values of the facts that all rows have and that vary between rows."""
    columns = {
        fact: [value for row in rows if (value := number_of(row, fact)) is not None]
        for fact in _PREFERRED
    }
    return {
        fact: values
        for fact, values in columns.items()
        if len(values) == len(rows) and len(set(values)) > 1
    }

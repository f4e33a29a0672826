"""Phase diagrams: a zoo's width against its batch size, one diagram for each of its other facts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mdtree.failures import AXES, Label, number_of
from mdtree.measurements import Row

__all__ = ["Cell", "Phase", "phases"]

_PREFERRED = ("batch_size", "width", "learning_rate", "data_amount")


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One group in a diagram."""

    group: str
    accuracy: float  # percent of test items
    mode: str
    severity: float


@dataclass(frozen=True, kw_only=True)
class Phase:
    """Groups that differ by two facts alone."""

    title: str  # the facts that they share
    across: str  # the fact of the columns
    down: str  # the fact of the lines
    columns: tuple[float, ...]
    lines: tuple[float, ...]
    cells: dict[tuple[float, float], Cell]  # (line, column) -> group


def phases(rows: Sequence[Row], labels: Sequence[Label]) -> list[Phase]:
    """Lay the groups out; a zoo with one axis alone has no diagram."""
    facts = [axis.fact for axis in AXES]
    values = {fact: [number_of(row, fact) for row in rows] for fact in facts}
    varied = [f for f in facts if None not in values[f] and len(set(values[f])) > 1]
    chosen = [fact for fact in _PREFERRED if fact in varied][:2]
    if len(chosen) < 2:  # noqa: PLR2004 - a line and a column
        return []
    across, down = chosen
    rest = [fact for fact in varied if fact not in chosen]
    found: dict[tuple[float, ...], dict[tuple[float, float], Cell]] = {}
    for row, label in zip(rows, labels, strict=True):
        shared = tuple(number_of(row, fact) or 0.0 for fact in rest)
        place = (number_of(row, down) or 0.0, number_of(row, across) or 0.0)
        found.setdefault(shared, {})[place] = Cell(
            group=row.group, accuracy=label.accuracy, mode=label.mode, severity=label.severity
        )
    return [
        Phase(
            title=", ".join(f"{fact} {v:g}" for fact, v in zip(rest, shared, strict=True)),
            across=across,
            down=down,
            columns=tuple(sorted({column for _, column in cells})),
            lines=tuple(sorted({line for line, _ in cells})),
            cells=cells,
        )
        for shared, cells in sorted(found.items())
    ]

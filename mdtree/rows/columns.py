"""The columns of a table of rows, and the cells of a row."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mdtree.exceptions import RowsError
from mdtree.rows.facts import Fact
from mdtree.rows.row import Measured, Row

__all__ = ["NAMES", "STDERR", "Kind", "TableColumns", "table_columns"]

Kind = type[bool] | type[int] | type[float] | type[str]

NAMES = ("group", "protocol")
STDERR = "_stderr"  # suffix of the column with a quantity's standard error
_MOST_NAMES = 2000
_INT64 = range(-(2**63), 2**63)


@dataclass(frozen=True, kw_only=True)
class TableColumns:
    """The names and types of the facts in rows, and the names of their quantities."""

    facts: dict[str, Kind]
    quantities: tuple[str, ...]

    @property
    def columns(self) -> list[tuple[str, Kind]]:
        """One column per fact, quantity and standard error, with its type."""
        return [
            *((name, str) for name in NAMES),
            *self.facts.items(),
            *((column, float) for name in self.quantities for column in (name, name + STDERR)),
            ("failure", str),
        ]

    def check_distinct(self, table: str) -> None:
        """Refuse two columns of the same name, where a table cannot have them."""
        names = [name for name, _ in self.columns]
        for fact in self.facts:
            if names.count(fact) > 1:
                raise RowsError(
                    f"{table} would have two columns {fact!r}, because a fact has the name of "
                    "another column: rename the fact in the recipe, or export a CSV table"
                )

    def cells(self, row: Row) -> list[Fact | None]:
        """Return the cells of a row, one per column; a missing quantity is None."""
        cells: list[Fact | None] = [*row.key, *(row.facts.get(name) for name in self.facts)]
        for name in self.quantities:
            value = row.quantities.get(name)
            cells += [value.value, value.stderr] if isinstance(value, Measured) else [None, None]
        cells.append(row.failure.reason if row.failure else None)
        return cells


def table_columns(rows: Iterable[Row]) -> TableColumns:
    """Find the columns of rows, in order of first appearance.

    Raises:
        RowsError: There are too many columns.
    """
    facts: dict[str, Kind] = {}
    quantities: dict[str, None] = {}
    for row in rows:
        for name, fact in row.facts.items():
            kind = _kind(fact)
            facts[name] = _common_kind(facts.get(name, kind), kind)
        quantities |= dict.fromkeys(row.quantities)
        if len(facts) + len(quantities) > _MOST_NAMES:  # every row has a cell for each
            raise RowsError(
                f"the rows have more than {_MOST_NAMES:,} different facts and quantities, "
                "too many for a table: export related rows, which share them"
            )
    return TableColumns(facts=facts, quantities=tuple(quantities))


def _kind(fact: Fact) -> Kind:
    """Return the type of a fact; an integer of more than 64 bits is stored as text."""
    return str if type(fact) is int and fact not in _INT64 else type(fact)


def _common_kind(first: Kind, second: Kind) -> Kind:
    """Return a type that can represent both."""
    if first is second:
        return first
    return float if {first, second} == {int, float} else str

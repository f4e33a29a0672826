"""Rows as a table (CSV), ours and with the published column names, both ways."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mdtree.exceptions import RowsError
from mdtree.measurements.fact import FACTS, TEXT_FACTS, Fact, check_facts
from mdtree.measurements.quantity import QUANTITIES, Quantity
from mdtree.measurements.row import Measured, Missing, Row, Value

__all__ = ["Imported", "rows_from_csv", "rows_to_csv"]

# published column -> fact
_PUBLISHED_FACTS = {
    "para_amount": "parameters",
    "width": "width",
    "bs": "batch_size",
    "data_amount": "data_amount",
    "test_acc": "test_accuracy",
}
_PUBLISHED = {q.published: q for q in QUANTITIES.values() if q.published is not None}
_STDERR = "_stderr"
_NAMES = ("group", "protocol")
# column -> what it holds
_COLUMNS = {
    **{name: name for name in (*_NAMES, *FACTS, *TEXT_FACTS, *QUANTITIES)},
    **{name + _STDERR: name + _STDERR for name in QUANTITIES},
    **_PUBLISHED_FACTS,
    **{column: quantity.name for column, quantity in _PUBLISHED.items()},
}
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # how a formula of a spreadsheet may begin
# the facts that name a group which the table does not name
_NAMING = ("width", "data_amount", "batch_size", "learning_rate", "label_noise")


@dataclass(frozen=True, kw_only=True)
class Imported:
    """The rows of a table, and the columns in which no fact and no quantity was seen."""

    rows: list[Row]
    ignored: list[str]


def rows_to_csv(rows: Iterable[Row]) -> str:
    """Write rows as CSV: a column for each fact, each quantity and its standard error.

    A missing quantity is an empty cell; its reason stays in the rows.  Text that a spreadsheet
    would run as a formula gets a leading apostrophe.
    """
    rows = list(rows)
    facts = list(dict.fromkeys(name for row in rows for name in row.facts))
    names = list(dict.fromkeys(name for row in rows for name in row.quantities))
    lines = _Lines()
    writer = csv.writer(lines)
    header = ["group", "protocol", *facts, *(c for n in names for c in (n, n + _STDERR)), "failure"]
    writer.writerow([_harmless(cell) for cell in header])
    for row in rows:
        cells: list[object] = [row.group, row.protocol, *(row.facts.get(name) for name in facts)]
        for name in names:
            value = row.quantities.get(name)
            cells += [value.value, value.stderr] if isinstance(value, Measured) else [None, None]
        cells.append(row.failure.reason if row.failure else None)
        writer.writerow([_harmless(cell) for cell in cells])
    return "".join(lines)


def rows_from_csv(path: Path, *, protocol: str) -> Imported:
    """Read a table whose columns have the published names, ours, or both.

    Logarithms in published columns are undone: hessian_top = exp(hessian_e).  Rows get `protocol`
    unless the table has a column of that name, and a group name from their facts unless it has a
    column `group`.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            columns = list(reader.fieldnames or [])
            known = [column for column in columns if column in _COLUMNS]
            _check_columns(known, path)
            rows = list(_rows(reader, known, protocol, path))
    except OSError as error:
        raise RowsError(f"{path} cannot be read: {error.strerror or error}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise RowsError(f"{path} is not a CSV table: {error}") from error
    return Imported(rows=rows, ignored=[column for column in columns if column not in known])


class _Lines(list[str]):
    """Collects what csv writes: it quotes a lone \\r only if its own lines end in \\r\\n."""

    def write(self, line: str) -> None:
        self.append(line.removesuffix("\r\n") + "\n")


def _check_columns(columns: list[str], path: Path) -> None:
    first: dict[str, str] = {}
    for column in columns:
        name = _COLUMNS[column]
        if name in first:
            raise RowsError(
                f"{path}: the columns {first[name]!r} and {column!r} both hold {name}: remove one"
            )
        first[name] = column
    if not first.keys() & QUANTITIES.keys():
        raise RowsError(
            f"{path} has no column with a quantity; known are "
            f"{', '.join(QUANTITIES)} and the published {', '.join(_PUBLISHED)}"
        )


def _rows(
    reader: csv.DictReader[str], columns: list[str], protocol: str, path: Path
) -> Iterator[Row]:
    seen: set[tuple[str, str]] = set()
    for cells in reader:
        place = f"{path}, line {reader.line_num}"
        if None in cells or None in cells.values():
            raise RowsError(f"{place}: fewer or more cells than the header has columns")
        facts: dict[str, Fact] = {}
        quantities: dict[str, Value] = {}
        stderrs: dict[str, float] = {}
        for column in columns:
            if column in _NAMES:
                continue
            cell = cells[column].strip()
            name = _COLUMNS[column]
            if name in TEXT_FACTS:
                facts |= {name: _as_it_was(cell)} if cell else {}
                continue
            number = _number(cell, place, column)
            if name in QUANTITIES:
                quantities[name] = _value(number, cell, _PUBLISHED.get(column))
            elif name.endswith(_STDERR) and number is not None:
                stderrs[name.removesuffix(_STDERR)] = number
            elif number is not None and math.isfinite(number):
                facts[name] = int(number) if number.is_integer() else number
        row = _row(cells, facts, _with_stderr(quantities, stderrs), protocol, place)
        if row.key in seen:
            raise RowsError(f"{place}: a second row of group {row.group!r}")
        seen.add(row.key)
        yield row


def _row(
    cells: dict[str, str],
    facts: dict[str, Fact],
    quantities: dict[str, Value],
    protocol: str,
    place: str,
) -> Row:
    faults = check_facts(facts)
    if faults:
        raise RowsError(f"{place}: {'; '.join(faults)}")
    group, own_protocol = (_as_it_was(cells.get(name, "").strip()) for name in _NAMES)
    named = ",".join(f"{name}={facts[name]}" for name in _NAMING if name in facts)
    return Row(
        format=1,
        group=group or named or place.rsplit(", ", 1)[1],
        protocol=own_protocol or protocol,
        facts=facts,
        quantities=quantities,
    )


def _number(cell: str, place: str, column: str) -> float | None:
    if not cell:
        return None
    try:
        return float(cell)
    except ValueError as error:
        raise RowsError(f"{place}: {column} must be a number, got {cell!r}") from error


def _value(number: float | None, cell: str, undo: Quantity | None) -> Value:
    if number is None:
        return Missing(missing="empty in the table")
    try:
        value = math.exp(number) if undo is not None and undo.published_log else number
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        return Missing(missing=f"not a finite number in the table: {cell}")
    return Measured(value=value)


def _with_stderr(quantities: dict[str, Value], stderrs: dict[str, float]) -> dict[str, Value]:
    return {
        name: Measured(value=value.value, stderr=stderrs[name])
        if isinstance(value, Measured) and math.isfinite(stderrs.get(name, math.nan))
        else value
        for name, value in quantities.items()
    }


def _harmless(cell: object) -> object:
    """Defuse what spreadsheets take for a formula; numbers stay numbers."""
    if isinstance(cell, str) and cell.startswith(_FORMULA):
        return "'" + cell
    return cell


def _as_it_was(cell: str) -> str:
    return cell[1:] if cell.startswith(tuple("'" + start for start in _FORMULA)) else cell

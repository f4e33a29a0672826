"""Rows as a CSV table: written with our column names, read with ours or the published ones."""

from __future__ import annotations

import csv
import gzip
import io
import math
import re
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from mdtree.exceptions import RowsError
from mdtree.messages import printable
from mdtree.rows.atomic import atomic_file
from mdtree.rows.columns import NAMES, STDERR, table_columns
from mdtree.rows.facts import FACTS, TEXT_FACTS, Fact, check_facts
from mdtree.rows.file_kinds import PACKED_TABLE, TABLE
from mdtree.rows.quantities import QUANTITIES
from mdtree.rows.quantity import Quantity
from mdtree.rows.ranges import impossible
from mdtree.rows.row import Measured, Missing, Row, Value

__all__ = ["Imported", "csv_lines", "rows_from_csv", "write_csv"]

# published column -> fact
_PUBLISHED_FACTS = {
    "para_amount": "parameters",
    "width": "width",
    "bs": "batch_size",
    "data_amount": "data_amount",
    "test_acc": "test_accuracy",
}
_PUBLISHED = {q.published: q for q in QUANTITIES.values() if q.published is not None}
# column -> fact or quantity in it
_COLUMNS = {
    **{name: name for name in (*NAMES, *FACTS, *TEXT_FACTS, *QUANTITIES)},
    **{name + STDERR: name + STDERR for name in QUANTITIES},
    **_PUBLISHED_FACTS,
    **{column: quantity.name for column, quantity in _PUBLISHED.items()},
}
_LARGEST = 1 << 28  # bytes of a compressed table after unpacking
# where a spreadsheet may start a formula: at the start of a cell and, because some split cells
# further, after ; | tabs and line ends, also behind quotes and blanks.  An apostrophe that is
# already there gets another one before it, so that it can be restored.
_FORMULA = re.compile(
    "(\\A(?='*[\t\r\n])|(?:\\A|[;|\t\r\n])[\"\xa0 ]*(?='*[=+@\uff1d\uff0b\uff0d\uff20-]))"
)
_DEFUSED = re.compile(f"{_FORMULA.pattern}'")
# facts from which a group without a name gets one
_NAMING = ("width", "data_amount", "batch_size", "learning_rate", "label_noise")


@dataclass(frozen=True, kw_only=True)
class Imported:
    """The rows of a table, and the columns that were ignored."""

    rows: list[Row]
    ignored: list[str]


def write_csv(rows: Collection[Row], out: Path) -> None:
    """Write rows to a CSV file atomically.

    Raises:
        OutputError: The file cannot be written.
        RowsError: There are too many columns.
    """
    with atomic_file(out, replaces=TABLE) as file:
        file.writelines(line.encode() for line in csv_lines(rows))


def csv_lines(rows: Collection[Row]) -> Iterator[str]:
    """Yield the lines of a CSV table; the rows are iterated twice, not kept in memory.

    A missing quantity is an empty cell, without its reason.  Text that a spreadsheet would run as
    a formula gets an apostrophe before it.
    """
    layout = table_columns(rows)
    writer = csv.writer(_Line())  # whose writerow returns what was written
    yield writer.writerow([_escaped(name) for name, _ in layout.columns])
    for row in rows:
        yield writer.writerow([_escaped(cell) for cell in layout.cells(row)])


def write_lines(lines: Sequence[Mapping[str, object]], out: Path) -> None:
    """Write lines with the same columns to a CSV file atomically; text is escaped as that of rows.

    Control characters are spelled out (\\n, \\x1b): such a table is read by people, and not again.

    Raises:
        OutputError: The file cannot be written.
    """
    writer = csv.writer(_Line())
    with atomic_file(out, advice="name another file with --csv", replaces=TABLE) as file:
        for cells in (*([list(lines[0])] if lines else []), *(line.values() for line in lines)):
            shown = [printable(cell) if isinstance(cell, str) else cell for cell in cells]
            file.write(writer.writerow([_escaped(cell) for cell in shown]).encode())


def rows_from_csv(path: Path, *, protocol: str) -> Imported:
    """Read a table whose columns have the published names, ours, or both.

    Logarithms in published columns are inverted: hessian_top = exp(hessian_e).  Rows without a
    column `group` are named after their facts.

    Args:
        path: A file .csv or .csv.gz.
        protocol: The protocol of rows without a column `protocol`.

    Raises:
        RowsError: The file is not a table of rows; the message names the line.
    """
    try:
        with _opened(path) as file:
            reader = csv.DictReader(file, strict=True)
            columns = list(reader.fieldnames or [])
            known_columns = [column for column in columns if column in _COLUMNS]
            _check_columns(known_columns, path)
            rows = list(_rows(reader, known_columns, protocol, path))
    except OSError as error:
        raise RowsError(f"{path} cannot be read: {error.strerror or error}") from error
    except (csv.Error, UnicodeDecodeError, EOFError, zlib.error) as error:
        raise RowsError(f"{path} is not a CSV table: {error}") from error
    return Imported(
        rows=rows, ignored=[column for column in columns if column not in known_columns]
    )


def _opened(path: Path) -> TextIO:
    """Open a table, which may be compressed with gzip; refuse one that unpacks to a huge file."""
    if not path.name.lower().endswith(PACKED_TABLE):
        return path.open(newline="", encoding="utf-8-sig")
    with gzip.open(path) as file:
        content = file.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise RowsError(f"{path} unpacks to more than {_LARGEST} bytes: unpack it first")
    return io.StringIO(content.decode("utf-8-sig"), newline="")


class _Line:
    """Returns what csv writes; csv quotes a lone \\r only if its own lines end in \\r\\n."""

    def write(self, line: str) -> str:
        return line.removesuffix("\r\n") + "\n"


def _check_columns(columns: list[str], path: Path) -> None:
    first: dict[str, str] = {}
    for column in columns:
        name = _COLUMNS[column]
        if name in first:
            raise RowsError(
                f"{path}: columns {first[name]!r} and {column!r} both contain {name}: remove one"
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
            raise RowsError(f"{place}: the number of cells differs from the header")
        facts: dict[str, Fact] = {}
        quantities: dict[str, Value] = {}
        stderrs: dict[str, float] = {}
        for column in columns:
            if column in NAMES:
                continue
            cell = cells[column].strip()
            name = _COLUMNS[column]
            if name in TEXT_FACTS:
                facts |= {name: _unescaped(cell)} if cell else {}
                continue
            number = _number(cell, place, column)
            if name in QUANTITIES:
                quantities[name] = _value(number, cell, _PUBLISHED.get(column))
            elif name.endswith(STDERR) and number is not None:
                stderrs[name.removesuffix(STDERR)] = number
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
    group, own_protocol = (_unescaped(cells.get(name, "").strip()) for name in NAMES)
    default_name = ",".join(f"{name}={facts[name]}" for name in _NAMING if name in facts)
    row = Row(
        format=1,
        group=group or default_name or place.rsplit(", ", 1)[1],
        protocol=own_protocol or protocol,
        facts=facts,
        quantities=quantities,
    )
    fault = impossible(row)
    if fault is not None:
        raise RowsError(f"{place}: {fault}")
    return row


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


def _escaped(cell: object) -> object:
    """Escape text that spreadsheets would take for a formula; numbers stay numbers."""
    return _FORMULA.sub(r"\1'", cell) if isinstance(cell, str) else cell


def _unescaped(cell: str) -> str:
    return _DEFUSED.sub(r"\1", cell)

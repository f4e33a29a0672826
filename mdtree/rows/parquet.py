"""Rows as a Parquet table.  The only file that imports pyarrow (the extra `parquet`)."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from mdtree.exceptions import MissingExtraError
from mdtree.rows.atomic import atomic_file
from mdtree.rows.columns import Kind, TableColumns, table_columns
from mdtree.rows.file_kinds import PARQUET
from mdtree.rows.row import Row
from mdtree.runtime.requirements import refuse_older

__all__ = ["write_parquet"]

_BATCH = 1024  # rows in memory at once, and in a row group


def write_parquet(rows: Collection[Row], out: Path, *, batch: int = _BATCH) -> None:
    """Write rows as a Parquet table with the columns of the CSV table, each of one type.

    Columns are int64, double, bool or string; a fact that is a number in one row and text in
    another is a string.  A missing quantity is null, without its reason.  The rows are iterated
    twice, not kept in memory; the footer takes 80 bytes of memory per row.

    Args:
        rows: The rows.
        out: The file.
        batch: The rows of a row group, which are in memory at once.

    Raises:
        MissingExtraError: pyarrow is not installed, or too old.
        RowsError: There are too many columns, or two of the same name.
        OutputError: The file cannot be written.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingExtraError(
            "Parquet tables need the package pyarrow: pip install 'mdtree-diagnosis[parquet]'"
        ) from error
    refuse_older("pyarrow", pa.__version__)
    layout = table_columns(rows)
    layout.check_distinct(str(out))  # many Parquet readers cannot open the file
    types: dict[Kind, Any] = {
        bool: pa.bool_(),
        int: pa.int64(),
        float: pa.float64(),
        str: pa.string(),
    }
    schema = pa.schema([(name, types[kind]) for name, kind in layout.columns])
    with atomic_file(out, replaces=PARQUET) as file, pq.ParquetWriter(file, schema) as writer:
        for columns in _batches(rows, layout, batch):
            writer.write_batch(pa.record_batch(columns, schema=schema))


def _batches(rows: Collection[Row], layout: TableColumns, size: int) -> Iterator[list[list[Any]]]:
    """Yield the columns of `size` rows at a time, cells converted to the type of their column."""
    kinds = [kind for _, kind in layout.columns]
    remaining = iter(rows)
    while part := [layout.cells(row) for row in itertools.islice(remaining, size)]:
        yield [
            [None if cell is None else kind(cell) for cell in column]
            for kind, column in zip(kinds, zip(*part, strict=True), strict=True)
        ]

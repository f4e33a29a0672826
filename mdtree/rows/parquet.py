"""Rows as a Parquet table.  The only file that imports pyarrow (the extra `parquet`)."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from mdtree.exceptions import MissingExtraError, RowsError
from mdtree.rows.atomic import atomic_file
from mdtree.rows.columns import Kind, TableColumns, table_columns
from mdtree.rows.row import Row
from mdtree.runtime.requirements import refuse_older

__all__ = ["write_parquet"]

_BATCH = 1024  # rows that are held at once, and that make a row group


def write_parquet(rows: Collection[Row], out: Path, *, batch: int = _BATCH) -> None:
    """Write rows as a Parquet table with the columns of the CSV table, each of one type.

    Numbers are int64 or double, yes and no are bool, the rest is text, as is a fact that is a
    number in one row and a word in another.  A missing quantity is null; its reason stays in the
    rows.  The rows are gone through twice, and not held; the footer takes 80 bytes of memory a row.
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
    _check_names(layout, out)
    types: dict[Kind, Any] = {
        bool: pa.bool_(),
        int: pa.int64(),
        float: pa.float64(),
        str: pa.string(),
    }
    schema = pa.schema([(name, types[kind]) for name, kind in layout.columns])
    with atomic_file(out) as file, pq.ParquetWriter(file, schema) as writer:
        for columns in _batches(rows, layout, batch):
            writer.write_batch(pa.record_batch(columns, schema=schema))


def _batches(rows: Collection[Row], layout: TableColumns, size: int) -> Iterator[list[list[Any]]]:
    """Give the columns of so many rows at a time, each cell in the kind of its column."""
    kinds = [kind for _, kind in layout.columns]
    remaining = iter(rows)
    while part := [layout.cells(row) for row in itertools.islice(remaining, size)]:
        yield [
            [None if cell is None else kind(cell) for cell in column]
            for kind, column in zip(kinds, zip(*part, strict=True), strict=True)
        ]


def _check_names(layout: TableColumns, out: Path) -> None:
    """Refuse two columns of one name, which many readers of Parquet cannot open."""
    names = [name for name, _ in layout.columns]
    for fact in layout.facts:
        if names.count(fact) > 1:
            raise RowsError(
                f"{out} would have two columns {fact!r}, as a fact is called like a column of ours:"
                " call the fact otherwise in the recipe, or export a CSV table"
            )

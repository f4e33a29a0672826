"""Rows as a data frame.  The only file that imports pandas (the extra `pandas`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from mdtree.exceptions import MissingExtraError
from mdtree.rows import Fact, Row
from mdtree.rows.columns import Kind, table_columns

__all__ = ["frame"]

_NULLABLE = {int: "Int64", bool: "boolean"}  # pandas' types that can be missing


def frame(rows: Sequence[Row]) -> Any:
    """Return rows as a `pandas.DataFrame`, with the columns of the CSV table."""
    try:
        import pandas as pd
    except ImportError as error:
        raise MissingExtraError(
            "a data frame needs the package pandas: pip install 'mdtree-diagnosis[pandas]'"
        ) from error
    layout = table_columns(rows)
    layout.check_distinct("the data frame")
    lines = [layout.cells(row) for row in rows]
    return pd.DataFrame(
        {
            name: _column(pd, kind, [line[number] for line in lines])
            for number, (name, kind) in enumerate(layout.columns)
        }
    )


def _column(pd: Any, kind: Kind, cells: list[Fact | None]) -> Any:
    if kind is float:
        return pd.Series([math.nan if cell is None else float(cell) for cell in cells], dtype=float)
    if kind is str:
        return pd.Series([None if cell is None else str(cell) for cell in cells], dtype=object)
    return pd.Series(cells, dtype=_NULLABLE[kind] if None in cells else kind)

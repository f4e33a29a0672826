"""`mdtree.arrays`, `mdtree.matrix` and `mdtree.plot`: the details of a row, and their picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mdtree.exceptions import RowsError
from mdtree.messages import nearest
from mdtree.rows import Detail, Row

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["arrays", "matrix", "plot"]

_SIDES = (("row", "column"), ("a", "b"))  # columns that name the two sides of a matrix
_MOST = 10**7  # numbers in a matrix


def arrays(row: Row, detail: str) -> dict[str, NDArray[np.float64] | NDArray[np.str_]]:
    """Return a detail of a row as arrays, one for each column.

    Args:
        row: The row.
        detail: The name of the detail, one of `row.details`: `hessian_density`, `curve`, `line`,
            `pairs`, `layers`, `spectrum`, `surface`, `surface_members`.

    Returns:
        The columns by name: numbers, with NaN where there is none, or text.

    Raises:
        RowsError: The row has no such detail.

    Examples:
        >>> import mdtree
        >>> from mdtree.rows import Detail, Row
        >>> density = Detail(columns={"eigenvalue": (0.0, 8.0), "weight": (0.9, 0.1)})
        >>> row = Row(format=1, group="wide", protocol="standard-1", facts={}, quantities={},
        ...           details={"hessian_density": density})
        >>> mdtree.arrays(row, "hessian_density")["eigenvalue"]
        array([0., 8.])
    """
    import numpy as np

    columns: dict[str, NDArray[np.float64] | NDArray[np.str_]] = {}
    for name, cells in _detail(row, detail).columns.items():
        if any(isinstance(cell, str) for cell in cells):
            columns[name] = np.array(["" if cell is None else str(cell) for cell in cells])
        else:
            columns[name] = np.array(
                [np.nan if cell is None else cell for cell in cells], dtype=np.float64
            )
    return columns


def matrix(
    row: Row, detail: str, column: str = "cka"
) -> tuple[list[str], list[str], NDArray[np.float64]]:
    """Return a detail about pairs as a matrix.

    Args:
        row: The row.
        detail: `layers` (each layer of one network with each of another) or `pairs` (of networks).
        column: What was computed for each pair: `cka`; for `pairs` also `agreement`,
            `weight_distance` and (of language models) `cka_last_token`.

    Returns:
        The names of the rows, those of the columns, and the matrix; NaN where a pair was not
        compared.  That of `pairs` is symmetric.

    Raises:
        RowsError: The row has no such detail, or it is not about pairs.
    """
    import numpy as np

    table = _detail(row, detail).columns
    sides = next((sides for sides in _SIDES if {*sides, column} <= table.keys()), None)
    if sides is None:
        raise RowsError(
            f"{detail!r} of group {row.group!r:.100} is not a matrix of {column!r:.100}: it has "
            f"the columns {', '.join(table)}"
        )
    firsts, seconds = ([str(cell) for cell in table[side]] for side in sides)
    symmetric = sides == ("a", "b")
    rows = list(dict.fromkeys([*firsts, *seconds] if symmetric else firsts))
    columns = rows if symmetric else list(dict.fromkeys(seconds))
    row_of, column_of = ({name: n for n, name in enumerate(names)} for names in (rows, columns))
    if len(rows) * len(columns) > _MOST:
        raise RowsError(
            f"{detail!r} has {len(rows):,} x {len(columns):,} names, too many to compare"
        )
    values = np.full((len(rows), len(columns)), np.nan)
    for first, second, value in zip(firsts, seconds, table[column], strict=True):
        if isinstance(value, int | float):
            values[row_of[first], column_of[second]] = value
            if symmetric:
                values[column_of[second], row_of[first]] = value
    return rows, columns, values


def _detail(row: Row, name: str) -> Detail:
    details = row.details or {}
    if name not in details:
        hint = nearest(name, details)
        known = f"known: {', '.join(details)}" if details else "it has none: measure it again"
        raise RowsError(f"group {row.group!r:.100} has no detail {name!r:.100}{hint} ({known})")
    return details[name]


def plot(row: Row, what: str = "surface", *, rows: Sequence[Row] = ()) -> str:
    """Draw one picture of a row, as `mdtree plot`.

    Args:
        row: the row.
        what: `surface` or `surface-error`, `profile` or `profile-loss` (connectivity), `density`
            (of the Hessian), `flow` (of the spectra), `cka`, `layers` or `history`.
        rows: for `history`: the rows of all steps of the run.

    Returns:
        The text of an SVG file.

    Raises:
        RowsError: the row lacks what the picture shows; the message says which metric measures it.

    Examples:
        >>> import mdtree
        >>> from mdtree.rows import Detail, Row
        >>> density = Detail(
        ...     columns={"member": ("a", "a"), "eigenvalue": (0.0, 8.0), "weight": (0.9, 0.1)}
        ... )
        >>> row = Row(format=1, group="wide", protocol="standard-1", facts={}, quantities={},
        ...           details={"hessian_density": density})
        >>> mdtree.plot(row, "density").startswith("<svg")
        True
    """
    from mdtree.render.picture_file import picture_svg

    return picture_svg(row, what, rows)

"""`mdtree.plot`."""

from __future__ import annotations

from collections.abc import Sequence

from mdtree.rows import Row

__all__ = ["plot"]


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

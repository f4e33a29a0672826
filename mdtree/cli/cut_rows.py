"""Files of rows whose last line was cut off: it is left out, and that is told."""

from __future__ import annotations

from pathlib import Path

from mdtree.cli.screens import tell
from mdtree.render.terminal import printable
from mdtree.rows import find_rows
from mdtree.rows.reading import cut_line

__all__ = ["tell_of_cut_line"]


def tell_of_cut_line(rows: Path) -> None:
    """Say that the last line of a file of rows, or of that of a directory, was left out."""
    path = find_rows(rows)
    line = cut_line(path)
    if line is not None:
        tell(
            f"{printable(str(path))}: line {line}, the last, is cut off and was left out: the file "
            "is being written, or was not copied whole"
        )

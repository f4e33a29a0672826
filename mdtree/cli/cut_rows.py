"""What is told of a file of rows: a last line that was cut off, rows that others replaced."""

from __future__ import annotations

from pathlib import Path

from mdtree.cli.screens import tell
from mdtree.render.terminal import printable
from mdtree.rows import Row, find_rows, load_rows
from mdtree.rows.reading import cut_line

__all__ = ["learning_rows", "tell_of_cut_line"]


def tell_of_cut_line(rows: Path) -> None:
    """Say that the last line of a file of rows, or of that of a directory, was left out."""
    path = find_rows(rows)
    line = cut_line(path)
    if line is not None:
        tell(
            f"{printable(str(path))}: line {line}, the last, is cut off and was left out: the file "
            "is being written, or was not copied whole"
        )


def learning_rows(path: Path, protocol: str | None) -> list[Row]:
    """Read the rows that a tree learns from or is tested on, and say which others replaced."""
    return load_rows(
        path, protocol=protocol, by_zoo=True, notice=lambda text: tell(f"note: {printable(text)}")
    )

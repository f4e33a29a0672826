"""Plain text for the terminal: tables and paragraphs that cannot steer it."""

from __future__ import annotations

from collections.abc import Sequence

from mdtree.messages import plural, printable, shortened

__all__ = ["name_text", "paragraph", "plural", "printable", "table"]

_WIDEST, _END = 100, 40  # characters of a cell of a table, and how many of them are its end
_LONGEST = 5000  # characters of a text


def paragraph(text: str) -> str:
    """Indent all lines of a text but the first, so that none looks like a line of mdtree's own."""
    return printable(shortened(text, _LONGEST), keep="\n").replace("\n", "\n  ")


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Align columns: the first to the left, the others to the right."""
    cells = [[name_text(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    lines = []
    for row in cells:
        rest = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        lines.append("  ".join([row[0].ljust(widths[0]), *rest]).rstrip())
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])


def name_text(text: str) -> str:
    """Write a name on one line, shortened in its middle: the ends of names tell them apart."""
    for convert in (str, printable):  # text may become too long when it is spelled out
        text = convert(text)
        if len(text) > _WIDEST:
            text = f"{text[: _WIDEST - _END - 1]}…{text[-_END:]}"
    return text

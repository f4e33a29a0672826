"""Plain text for people: tables, numbers with their error, names made harmless."""

from __future__ import annotations

from collections.abc import Sequence

from mdtree.messages import plural, printable, shortened

__all__ = ["duration", "number", "paragraph", "plural", "printable", "table"]

_MINUTE, _HOUR = 60, 3600
_ROUNDING = 1e-9  # a smaller relative error is one of arithmetic
_WIDEST, _END = 100, 40  # characters of a cell of a table, and how many of them are its end
_LONGEST = 5000  # characters of a text
_DIGITS = 12  # behind the point
_LARGE = 1e15


def paragraph(text: str) -> str:
    """Show a text of several lines, so that none of them looks like one of ours."""
    return printable(shortened(text, _LONGEST), keep="\n").replace("\n", "\n  ")


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay out columns: the first to the left, the others to the right."""
    cells = [[_cell(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    lines = []
    for row in cells:
        rest = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        lines.append("  ".join([row[0].ljust(widths[0]), *rest]).rstrip())
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])


def _cell(text: str) -> str:
    """Write a cell; of a long one the middle is left out, as ends of names tell them apart."""
    for convert in (str, printable):  # what is spelled out may be too long only then
        text = convert(text)
        if len(text) > _WIDEST:
            text = f"{text[: _WIDEST - _END - 1]}…{text[-_END:]}"
    return text


def number(value: float, stderr: float | None) -> str:
    """Write a number with its standard error: 12.34 ± 0.56, to two digits of the error."""
    if stderr is None or stderr <= _ROUNDING * abs(value):
        return f"{value:.4g}"
    digits = max(0, -_exponent(stderr) + 1)
    if digits > _DIGITS or max(abs(value), stderr) > _LARGE:
        return f"{value:.4g} ± {stderr:.2g}"
    return f"{value:.{digits}f} ± {stderr:.{digits}f}"


def duration(seconds: float) -> str:
    """Write a time as people say it."""
    if seconds < 1:
        return "under a second"
    if seconds < 2 * _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < 2 * _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    return f"{seconds / _HOUR:.1f} h"


def _exponent(value: float) -> int:
    """Give the power of ten of the leading digit."""
    return int(f"{value:e}".partition("e")[2])

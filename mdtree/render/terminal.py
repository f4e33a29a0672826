"""Plain text for the terminal: tables and paragraphs that cannot steer it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mdtree.messages import printable, shortened, shortened_within
from mdtree.render.screen import columns, fold, screen

__all__ = ["lines_text", "name_text", "paragraph", "reason_text", "table"]

_WIDEST, _END = 100, 40  # characters of a cell of a table, and how many of them are its end
_LONGEST = 2000  # characters of a text
_REASON = 1000  # characters
_GAP = 2  # columns between two cells
_SHARE = 3  # names keep one in so many columns, whatever stands beside them

Cells = Sequence[Sequence[str]]


def paragraph(text: str) -> str:
    """Indent all lines of a text but the first, so that none looks like a line of mdtree's own."""
    return printable(shortened(text, _LONGEST), keep="\n").replace("\n", "\n  ")


def reason_text(kind: str, group: str, reason: str) -> str:
    """Write why something happened to a group: both may come from a stranger's file.

    >>> reason_text("failed", "wide", "no test data")
    'failed wide: no test data'
    """
    return f"{kind} {name_text(group)}: {paragraph(shortened(reason, _REASON))}"


def lines_text(lines: Iterator[str], *, longest: int = _LONGEST) -> str:
    """Join lines that came from anywhere, each folded if the screen is too narrow for it."""
    spelt = screen().spelt
    return "\n".join(fold(spelt(printable(shortened(line, longest)))) for line in lines)


def table(header: Sequence[str], rows: Cells) -> str:
    """Align columns: the first to the left, the others to the right.

    Where the screen is too narrow, the columns that do not fit follow below, from left to right,
    each time beside the first column again; nothing is left out.
    """
    spelt = screen().spelt
    cells = [[spelt(name_text(cell)) for cell in row] for row in (header, *rows)]
    widths = [max(columns(row[place]) for row in cells) for place in range(len(header))]
    blocks = _blocks(widths, screen().width)
    return "\n\n".join(_block(cells, *block) for block in blocks)


def _blocks(widths: Sequence[int], most: int | None) -> Iterator[tuple[list[int], list[int]]]:
    """Yield the columns of each part of a table, by place, and their widths."""
    if most is None or sum(widths) + _GAP * (len(widths) - 1) <= most:
        yield list(range(len(widths))), list(widths)
        return
    beside = max(widths[1:], default=-_GAP)
    first = min(widths[0], max(most - _GAP - beside, most // _SHARE))
    places, used = [0], [first]
    for place, natural in enumerate(widths[1:], start=1):
        width = min(natural, most - first - _GAP)
        if len(places) > 1 and sum(used) + _GAP * len(used) + width > most:
            yield places, used
            places, used = [0], [first]
        places.append(place)
        used.append(width)
    yield places, used


def _block(cells: Cells, places: Sequence[int], widths: Sequence[int]) -> str:
    lines = [line for row in cells for line in _lines([row[place] for place in places], widths)]
    head = len(list(_lines([cells[0][place] for place in places], widths)))
    rule = "-" * max(map(columns, lines))
    return "\n".join([*lines[:head], rule, *lines[head:]])


def _lines(row: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    """Yield the lines of a row: several where a cell is wider than its column."""
    folded = [
        fold(cell, width, deeper=0).split("\n") for cell, width in zip(row, widths, strict=True)
    ]
    for number in range(max(map(len, folded))):
        parts = [cell[number] if number < len(cell) else "" for cell in folded]
        padded = [
            _padded(part, width, left=place == 0 or len(folded[place]) > 1)
            for place, (part, width) in enumerate(zip(parts, widths, strict=True))
        ]
        yield (" " * _GAP).join(padded).rstrip()


def _padded(text: str, width: int, *, left: bool) -> str:
    space = " " * (width - columns(text))
    return text + space if left else space + text


def name_text(text: str) -> str:
    """Write a name on one line, shortened in its middle."""
    for convert in (str, printable):  # text may become too long when it is spelled out
        text = shortened_within(convert(text), _WIDEST, end=_END)
    return text

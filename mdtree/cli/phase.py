"""Phase diagrams as text, and as a picture (SVG)."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from mdtree.cli.text import table
from mdtree.failures import FAILURE_MODES
from mdtree.phase import Cell, Phase

__all__ = ["phase_svg", "phase_text"]

# mode -> (letter, colour): told apart also without seeing colours, by lightness and letter
_MARKS = {
    "temperature_high": ("H", "#d1495b"),
    "temperature_low": ("L", "#4c78c4"),
    "model_small": ("M", "#e5a13a"),
    "data_small": ("D", "#7b5ea7"),
    "none": (".", "#5b9a68"),
}
_WIDTH, _HEIGHT, _LEFT, _TOP, _GAP = 58, 34, 70, 46, 34


def phase_text(phases: Sequence[Phase]) -> str:
    """Show test accuracy and the letter of the mode in each cell."""
    legend = ", ".join(f"{letter} {mode}" for mode, (letter, _) in _MARKS.items())
    return "\n\n".join([*map(_text, phases), f"percent of test items and mode: {legend}"])


def _text(phase: Phase) -> str:
    lines = [
        [f"{line:g}", *(_cell_text(phase.cells.get((line, c))) for c in phase.columns)]
        for line in phase.lines
    ]
    corner = f"{phase.down} \\ {phase.across}"
    text = table([corner, *(f"{column:g}" for column in phase.columns)], lines)
    return f"{phase.title}\n{text}" if phase.title else text


def _cell_text(cell: Cell | None) -> str:
    return "" if cell is None else f"{cell.accuracy:.1f} {_MARKS[cell.mode][0]}"


def phase_svg(phases: Sequence[Phase]) -> str:
    """Draw the diagrams side by side; the stronger the colour, the more the remedy gains."""
    columns = max((len(phase.columns) for phase in phases), default=0)
    lines = max((len(phase.lines) for phase in phases), default=0)
    each = _LEFT + columns * _WIDTH + _GAP
    width, height = max(len(phases) * each, 560), _TOP + lines * _HEIGHT + 80
    worst = max((cell.severity for phase in phases for cell in phase.cells.values()), default=1)
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" font-family="sans-serif" font-size="12" role="img">'
        ),
        "<title>Phase diagram: test accuracy and failure mode of each group</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for number, phase in enumerate(phases):
        parts += _drawn(phase, number * each, worst)
    parts += _legend(height - 18)
    return "\n".join([*parts, "</svg>\n"])


def _drawn(phase: Phase, left: int, worst: float) -> list[str]:
    middle = left + _LEFT + len(phase.columns) * _WIDTH / 2
    bottom = _TOP + len(phase.lines) * _HEIGHT
    parts = [_words(phase.title, middle, 20, weight="bold"), _words(phase.across, middle, 36)]
    parts.append(_words(phase.down, left + 34, _TOP - 6))
    for number, column in enumerate(phase.columns):
        parts.append(_words(f"{column:g}", left + _LEFT + (number + 0.5) * _WIDTH, bottom + 16))
    for row, line in enumerate(reversed(phase.lines)):
        top = _TOP + row * _HEIGHT
        parts.append(_words(f"{line:g}", left + _LEFT - 14, top + 21))
        for number, column in enumerate(phase.columns):
            cell = phase.cells.get((line, column))
            if cell is not None:
                parts += _cell(cell, left + _LEFT + number * _WIDTH, top, worst)
    return parts


def _cell(cell: Cell, left: float, top: float, worst: float) -> list[str]:
    letter, colour = _MARKS[cell.mode]
    strength = 0.45 if cell.mode == "none" else 0.25 + 0.65 * cell.severity / (worst or 1)
    said = escape(f"{cell.group}: {cell.accuracy:.2f} %, {cell.mode}, gains {cell.severity:.2f}")
    return [
        (
            f'<rect x="{left}" y="{top}" width="{_WIDTH - 2}" height="{_HEIGHT - 2}" rx="3" '
            f'fill="{colour}" fill-opacity="{strength:.2f}"><title>{said}</title></rect>'
        ),
        _words(f"{cell.accuracy:.1f} {letter}", left + _WIDTH / 2 - 1, top + 21),
    ]


def _legend(top: float) -> list[str]:
    parts = []
    for number, mode in enumerate(FAILURE_MODES):
        letter, colour = _MARKS[mode]
        left = 10 + number * 110
        parts.append(f'<rect x="{left}" y="{top - 10}" width="12" height="12" fill="{colour}"/>')
        parts.append(
            f'<text x="{left + 16}" y="{top}" font-size="11" fill="#222">'
            f"{letter} {mode.replace('_', ' ')}</text>"
        )
    return parts


def _words(text: str, x: float, y: float, *, weight: str = "normal") -> str:
    return (
        f'<text x="{x:g}" y="{y:g}" text-anchor="middle" font-weight="{weight}" fill="#222">'
        f"{escape(text)}</text>"
    )

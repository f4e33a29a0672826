"""Phase diagrams of a zoo as a picture (SVG): test accuracy, and failure mode."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mdtree.exceptions import RowsError
from mdtree.failure_modes import FAILURE_MODES
from mdtree.labelling import Label
from mdtree.messages import plural
from mdtree.render.formatting import plain, short
from mdtree.render.phases import DIGITS, LETTERS, Cell, Phase, mark_of, phase_title
from mdtree.render.style import COLOURS
from mdtree.render.svg import NAMESPACE, Markup, element

__all__ = ["phase_svg"]

_DULL, _BRIGHT = "#174a57", "#e6f3f1"  # colours of the least and the most accurate group
_FRAME, _INK, _PAPER = "#c3c9cf", "#000000", "#ffffff"

_MOST_TICKS = 100_000  # of all diagrams together

# pixels
_CELL, _LINE = 54, 26  # a cell at least
_LETTER = 6.5  # about the width of a letter
_EDGE, _GAP = 24, 28
_HEADING = 214  # the heading over a diagram
_WIDEST = 1600  # of a picture, unless one pair of diagrams is wider
_LEGEND = 178


@dataclass(frozen=True, kw_only=True)
class _Scale:
    """The ends of the colour scales that all diagrams of a picture share."""

    low: float  # percent of test items
    high: float
    worst: float  # points that a remedy gains

    def accuracy(self, label: Label) -> str:
        span = self.high - self.low
        return _mixed(_DULL, _BRIGHT, (label.accuracy - self.low) / span if span else 1.0)

    def mode(self, label: Label) -> str:
        share = label.severity / self.worst if self.worst else 0.0
        return _mixed(
            _PAPER, COLOURS[label.mode], 0.6 if label.mode == "none" else 0.3 + 0.7 * share
        )


def phase_svg(phases: Sequence[Phase[Label]]) -> str:
    """Draw two diagrams for each phase, side by side: test accuracy and failure mode.

    The stronger the colour of a mode, the more its remedy gains.
    """
    ticks = sum(len(phase.lines) + len(phase.columns) for phase in phases)
    if ticks > _MOST_TICKS:
        raise RowsError(f"the axes of the phase diagrams have {ticks:,} values: too many to draw")
    labels = [cell.label for phase in phases for cell in phase.cells.values()]
    scale = _Scale(
        low=min((label.accuracy for label in labels), default=0.0),
        high=max((label.accuracy for label in labels), default=100.0),
        worst=max((label.severity for label in labels), default=0.0),
    )
    sizes = [_Frame(phase) for phase in phases]
    wide = max((2 * size.width + _GAP for size in sizes), default=0.0)
    tall = max((size.height for size in sizes), default=0.0)
    beside = max(1, int((_WIDEST - 2 * _EDGE + _GAP) // (wide + _GAP)))
    stacks = -(-len(phases) // beside)
    width = max(2 * _EDGE + min(beside, len(phases)) * (wide + _GAP) - _GAP, 720)
    height = _EDGE + _LEGEND + stacks * (tall + _GAP)
    parts = [
        element("title", "Phase diagrams: test accuracy and failure mode of each group"),
        _box(0, 0, width, height, _PAPER),
        *_legend(labels, scale),
    ]
    for number, size in enumerate(sizes):
        left = _EDGE + number % beside * (wide + _GAP)
        top = _EDGE + _LEGEND + number // beside * (tall + _GAP)
        parts += _pair(size, left, top, scale)
    drawn = element(
        "svg",
        *parts,
        xmlns=NAMESPACE,
        viewBox=f"0 0 {width:g} {height:g}",
        width=width,
        height=height,
        font_size=11,
        font_family="Helvetica, Arial, sans-serif",
        role="img",
    )
    return f"{drawn}\n"


class _Frame:
    """The sizes of a diagram."""

    def __init__(self, phase: Phase[Label]) -> None:
        self.phase = phase
        self.columns = [short(column, digits=DIGITS) for column in phase.columns]
        self.lines = [short(line, digits=DIGITS) if phase.down else "" for line in phase.lines]
        self.cell = max(_CELL, _LETTER * max(map(len, self.columns)) + 8)
        self.left = (22 if phase.down else 0) + _LETTER * max(map(len, self.lines)) + 6
        self.title = phase_title(phase)
        self.top = 40 if self.title else 20
        wide = self.left + max(len(self.columns) * self.cell, _HEADING)
        self.width = max(wide, 4.2 * len(self.title))  # half of a title, which is larger
        self.height = self.top + len(self.lines) * _LINE + 36


def _pair(frame: _Frame, left: float, top: float, scale: _Scale) -> Iterator[Markup]:
    if frame.title:
        yield _words(frame.title, left, top + 12, anchor="start", weight="bold", size=13)
    second = left + frame.width + _GAP
    for start, heading in ((left, "test accuracy, %"), (second, "failure mode, points to gain")):
        yield _words(heading, start + frame.left, top + frame.top - 7, anchor="start")
        yield from _axes(frame, start, top + frame.top)
    for (line, column), cell in sorted(frame.phase.cells.items()):
        x = frame.left + frame.phase.columns.index(column) * frame.cell
        y = top + frame.top + (len(frame.lines) - 1 - frame.phase.lines.index(line)) * _LINE
        label = cell.label
        gain = "" if label.mode == "none" else f" {label.severity:.1f}"
        for start, colour, text in (
            (left, scale.accuracy(label), f"{label.accuracy:.1f}"),
            (second, scale.mode(label), mark_of(label) + gain),
        ):
            middle = start + x + frame.cell / 2
            yield element(
                "g",
                element("title", _description(cell)),
                _box(start + x, y, frame.cell - 1, _LINE - 1, colour),
                _words(text, middle, y + _LINE / 2 + 4, ink=_ink(colour)),
            )


def _axes(frame: _Frame, left: float, top: float) -> Iterator[Markup]:
    start, high = left + frame.left, len(frame.lines) * _LINE
    wide = len(frame.columns) * frame.cell
    way = f"M{start - 1.5:g} {top - 1.5:g}h{wide + 2:g}v{high + 2:g}h{-wide - 2:g}z"
    yield element("path", d=way, fill="none", stroke=_FRAME)
    for number, text in enumerate(frame.columns):
        yield _words(text, start + (number + 0.5) * frame.cell, top + high + 13)
    yield _words(plain(frame.phase.across), start + wide / 2, top + high + 30)
    if frame.phase.down:
        for number, text in enumerate(reversed(frame.lines)):
            yield _words(text, start - 6, top + (number + 0.5) * _LINE + 4, anchor="end")
        yield _words(plain(frame.phase.down), left + 12, top + high / 2, turned=True)


def _description(cell: Cell[Label]) -> str:
    label = cell.label
    gain = "" if label.mode == "none" else f", its remedy gains {label.severity:.2f} points"
    noise = f", inside the noise of {label.margin:.2f}" if label.in_noise else ""
    return f"{cell.group}: {label.accuracy:.2f} %, {plain(label.mode)}{gain}{noise}"


def _legend(labels: Sequence[Label], scale: _Scale) -> Iterator[Markup]:
    noisy = sum(label.in_noise for label in labels)
    top = _EDGE + 12
    yield _words("Phase diagrams", _EDGE, top, anchor="start", weight="bold", size=16)
    summary = f"{plural(len(labels), 'group')}, {noisy} of the labels inside the noise (?)"
    yield _words(summary, _EDGE, top + 20, anchor="start")
    top += 34
    for number in range(11):  # a scale of eleven boxes
        colour = _mixed(_DULL, _BRIGHT, number / 10)
        yield _box(_EDGE + number * 10, top, 10, 13, colour)
    yield _words(
        f"test accuracy, {scale.low:.1f} % to {scale.high:.1f} %; empty: no measured group",
        _EDGE + 120,
        top + 11,
        anchor="start",
    )
    for mode, meaning in FAILURE_MODES.items():
        top += 18
        yield _box(_EDGE, top, 22, 13, COLOURS[mode])
        yield _words(LETTERS[mode], _EDGE + 11, top + 11, ink=_ink(COLOURS[mode]))
        text = f"{plain(mode)}: {meaning}"
        yield _words(text, _EDGE + 30, top + 11, anchor="start")


def _box(x: float, y: float, width: float, height: float, colour: str) -> Markup:
    return element("rect", x=x, y=y, width=width, height=height, fill=colour)


def _words(
    text: str,
    x: float,
    y: float,
    *,
    anchor: str = "middle",
    weight: str | None = None,
    size: int = 11,
    ink: str = _INK,
    turned: bool = False,
) -> Markup:
    return element(
        "text",
        text,
        x=x,
        y=y,
        text_anchor=anchor,
        font_weight=weight,
        font_size=size,
        fill=ink,
        transform=f"rotate(-90 {x:g} {y:g})" if turned else None,
    )


def _mixed(start: str, end: str, share: float) -> str:
    """Return a mixture of two colours."""
    pairs = zip(_rgb(start), _rgb(end), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def _ink(paper: str) -> str:
    """Choose black or white letters by contrast (WCAG 2: relative luminance)."""
    linear = [((c / 255 + 0.055) / 1.055) ** 2.4 for c in _rgb(paper)]
    light = sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    return _INK if light > 0.179 else _PAPER  # noqa: PLR2004 - both contrasts are 4.6 there


def _rgb(colour: str) -> list[int]:
    return [int(colour[i : i + 2], 16) for i in (1, 3, 5)]

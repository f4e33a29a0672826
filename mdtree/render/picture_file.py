"""One picture as an SVG file of its own, for light and dark screens, or why there is none.

Its colours are written out, because many programs that show SVG know no variables.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

from mdtree.diagnosis import trajectories
from mdtree.exceptions import RowsError
from mdtree.messages import nearest, shortened
from mdtree.render.pictures import PICTURES, Picture
from mdtree.render.style import DARK_SHADES, SHADES
from mdtree.render.svg import NAMESPACE, Figure, Markup, element
from mdtree.render.training_pictures import training_pictures
from mdtree.rows import MISSING_DETAIL, QUANTITIES, Measured, Missing, Row

__all__ = ["KINDS", "picture_svg"]

_HISTORY = "history"
KINDS = (*(picture.name for picture in PICTURES), _HISTORY)

# pixels
_PLOT = (440.0, 220.0)  # of a picture without a size of its own, inside of its axes
_AXES = (64, 34, 16, 44)  # left, above, right and below of it
_EDGE, _LINE, _LETTER = 24, 17, 6.2
_MOST_NAMES = 32  # of a matrix
_LONGEST, _LONGEST_REASON = 60, 500  # characters of the name of a group, and of a reason


@dataclass(frozen=True)
class _Shown:
    """A picture with its words."""

    title: str
    lead: str
    figure: Figure


def picture_svg(row: Row, what: str, rows: Sequence[Row] = ()) -> Markup:
    """Draw one picture of a row.

    Args:
        row: The row.
        what: One of `KINDS`.
        rows: For `history`: the rows of all steps of the run.

    Raises:
        RowsError: There is no such picture, or the row lacks what it shows.
    """
    if what not in KINDS:
        raise RowsError(
            f"there is no picture {what!r:.100}{nearest(what, KINDS)} (known: {', '.join(KINDS)})"
        )
    shown = _shown(row, what, rows)
    if shown is None:
        raise RowsError(_lacks(row, what, rows))
    return Markup(f"{_file(row.group, shown)}\n")


def _shown(row: Row, what: str, rows: Sequence[Row]) -> _Shown | None:
    if what == _HISTORY:
        return _history(row, rows)
    picture = next(picture for picture in PICTURES if picture.name == what)
    figure = picture.figure(row)
    return None if figure is None else _Shown(picture.title, figure.lead or picture.lead, figure)


def _history(row: Row, rows: Sequence[Row]) -> _Shown | None:
    """Draw the loss over the steps of the run that a row belongs to, or else what there is."""
    for run in trajectories(of for of in rows if of.protocol == row.protocol):
        if any(step.group == row.group for step in run.steps):
            drawn = sorted(training_pictures(run, rows), key=lambda each: each.title != "Loss")
            for each in drawn[:1]:
                return _Shown(f"{each.title} during training", each.lead, each.figure)
    return None


def _lacks(row: Row, what: str, rows: Sequence[Row]) -> str:
    known = [kind for kind in KINDS if _shown(row, kind, rows) is not None]
    if what == _HISTORY:
        reason, remedy = _no_history(row, rows)
    else:
        picture = next(picture for picture in PICTURES if picture.name == what)
        reason, metric = _reason(row, picture), picture.metric
        remedy = f"measure it with the metric {metric}: mdtree measure DIR --metrics {metric}"
        if _was_measured(row, metric):
            remedy = (
                f"measure it again, because the row has no table of {metric} to draw: mdtree "
                f"measure DIR --metrics {metric}"
            )
    if reason is not None:
        return f"group {row.group!r:.100} has no {what}: {reason}"
    has = f"it has {', '.join(known)}" if known else "it has no pictures"
    return f"group {row.group!r:.100} has no {what} to draw ({has}); {remedy}"


def _no_history(row: Row, rows: Sequence[Row]) -> tuple[str | None, str]:
    """Return why a row has no history, if that is not that its run has one step; and what to do."""
    remedy = "measure several checkpoints of its run: mdtree measure DIR --steps all"
    runs = trajectories(of for of in rows if of.protocol == row.protocol)
    if any(step.group == row.group for run in runs for step in run.steps):
        return "no quantity that is drawn was measured at two of its steps", remedy
    return None, remedy


def _reason(row: Row, picture: Picture) -> str | None:
    """Return why a picture cannot be drawn, as far as the row tells it; None: it does not."""
    for reason in (_of_detail(row, picture), _of_protocol(row, picture), _of_metric(row, picture)):
        if reason is not None:
            return shortened(reason, _LONGEST_REASON)
    return None


def _was_measured(row: Row, metric: str) -> bool:
    """Return whether a row has numbers of a metric, or is known to have been measured by it."""
    known = row.provenance is not None and metric in row.provenance.metrics
    return known or any(isinstance(value, Measured) for value in _quantities(row, metric))


def _of_detail(row: Row, picture: Picture) -> str | None:
    """Return what is wrong with the tables that are drawn, if the row has one."""
    tables = [table for name in picture.details if (table := (row.details or {}).get(name))]
    for table in tables:
        column = table.columns.get(MISSING_DETAIL, ())
        if column:
            return str(column[0])
    return picture.lacks(row) if tables else None


def _of_protocol(row: Row, picture: Picture) -> str | None:
    if row.protocol not in picture.not_under:
        return None
    return f"protocol {row.protocol} does not measure it; measure under another one (--protocol)"


def _of_metric(row: Row, picture: Picture) -> str | None:
    """Return why the metric gave nothing: a note on the measurement, or on all of its numbers."""
    start = f"{picture.metric}: "
    notes = () if row.provenance is None else row.provenance.notes
    found = next((note for note in notes if note.startswith(start)), None)
    if found is not None and not _quantities(row, picture.metric):
        return found.removeprefix(start)
    values = _quantities(row, picture.metric)
    reasons = [value.missing for value in values if isinstance(value, Missing)]
    return reasons[0] if reasons and len(reasons) == len(values) else None


def _quantities(row: Row, metric: str) -> list[Measured | Missing]:
    return [
        value
        for name, value in row.quantities.items()
        if name in QUANTITIES and QUANTITIES[name].metric == metric
    ]


def _file(group: str, shown: _Shown) -> Markup:
    figure = shown.figure
    size = figure.size or _PLOT
    left, above, right, below = (0, 0, 0, 0) if figure.size else _AXES
    width = max(size[0] + left + right, _PLOT[0]) + 2 * _EDGE
    heading = f"{shortened(group, _LONGEST)} · {shown.title}"
    title = textwrap.wrap(heading, int((width - 2 * _EDGE) / 8.4)) or [""]
    lead = textwrap.wrap(shown.lead, int((width - 2 * _EDGE) / _LETTER))
    top = _EDGE + len(title) * 20 + len(lead) * _LINE + 12
    under = top + above + size[1] + below
    foot = list(_foot(figure, int((width - 2 * _EDGE) / _LETTER)))
    height = under + len(foot) * _LINE + _EDGE
    return element(
        "svg",
        element("title", heading),
        element("desc", shown.lead),
        element("style", Markup(_style())),
        element("rect", width=width, height=height, class_="paper"),
        *_lines(title, _EDGE + 12, 20, "title"),
        *_lines(lead, _EDGE + len(title) * 20 + 8, _LINE, "lead"),
        element(
            "svg",
            figure.drawing,
            x=_EDGE + left,
            y=top + above,
            width=size[0],
            height=size[1],
            overflow="visible",
        ),
        *_lines(foot, under + _LINE, _LINE, "lead"),
        xmlns=NAMESPACE,
        viewBox=f"0 0 {width:g} {height:g}",
        width=width,
        height=height,
        role="img",
        aria_label=heading,
    )


def _foot(figure: Figure, letters: int) -> Iterator[str]:
    """Yield the names of what is drawn, and the note."""
    for number, name in enumerate(figure.names[:_MOST_NAMES], start=1):
        yield shortened(f"{number}. {name}", letters)
    if len(figure.names) > _MOST_NAMES:
        yield f"... and {len(figure.names) - _MOST_NAMES:,} more"
    if figure.note is not None:
        yield from textwrap.wrap(figure.note, letters)


def _lines(texts: Sequence[str], top: float, step: float, kind: str) -> Iterator[Markup]:
    for number, text in enumerate(texts):
        yield element("text", text, x=_EDGE, y=top + number * step, class_=kind)


def _style() -> str:
    """Return the styles of all pictures, once for light paper and once for dark."""
    templates = resources.files("mdtree.render").joinpath("templates")
    sheet = templates.joinpath("pictures.css").read_text("utf-8") + _OWN
    dark = _coloured(sheet, DARK_SHADES)
    return f"{_coloured(sheet, SHADES)}@media (prefers-color-scheme:dark){{\n{dark}}}\n"


_OWN = """text { font-family: system-ui, -apple-system, "Segoe UI", Roboto, Helvetica, sans-serif; }
.paper { fill: var(--paper); }
svg .title { fill: var(--ink); font-size: 15px; font-weight: 650; }
"""


def _coloured(sheet: str, shades: Mapping[str, str]) -> str:
    return re.sub(r"var\(--([\w-]+)\)", lambda name: shades[name[1]], sheet)

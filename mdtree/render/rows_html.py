"""Rows and pages inside a notebook: HTML that changes nothing around it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from mdtree.messages import plural
from mdtree.render.svg import Markup, element
from mdtree.render.table import name_of
from mdtree.render.terminal_rows import SHOWN, cell, coarse_lines, heading
from mdtree.rows import QUANTITIES, Missing, Row

__all__ = ["framed", "rows_html"]

_NUMBER = "text-align:right"


def framed(page: str, *, height: int) -> Markup:
    """Put a whole page into a frame, where its styles and nothing else of it have an effect."""
    return element(
        "iframe",
        "",
        srcdoc=Markup(page.replace("&", "&amp;").replace('"', "&quot;")),
        sandbox="",
        title="Diagnosis by mdtree",
        style=f"width:100%;height:{height}px;border:0",
    )


def rows_html(rows: Sequence[Row], *, limit: int = SHOWN) -> Markup:
    """Write rows as a table: the numbers of the terminal, a line for each group."""
    shown = list(islice(rows, limit))
    names = [name for name in QUANTITIES if any(name in row.quantities for row in shown)]
    protocols = len({row.protocol for row in shown}) > 1
    head = ["group", *(["protocol"] if protocols else []), "checkpoints", *map(heading, names)]
    table = element(
        "table",
        element("thead", element("tr", *(element("th", name, scope="col") for name in head))),
        element("tbody", *(_line(row, names, protocols=protocols) for row in shown)),
    )
    more = len(rows) - len(shown)
    rest = element("p", f"... and {plural(more, 'more row')}") if more > 0 else None
    notes = (element("p", text) for text in coarse_lines(shown))
    return element("div", table, rest, *notes, style="overflow-x:auto")


def _line(row: Row, names: Sequence[str], *, protocols: bool) -> Markup:
    members = str(len(row.provenance.weights)) if row.provenance else ""
    return element(
        "tr",
        element("th", name_of(row.group), scope="row"),
        element("td", row.protocol) if protocols else None,
        element("td", members, style=_NUMBER),
        *(
            element("td", cell(row, name), style=_NUMBER, title=_reason(row, name))
            for name in names
        ),
    )


def _reason(row: Row, name: str) -> str | None:
    value = row.quantities.get(name)
    return value.missing if isinstance(value, Missing) else None

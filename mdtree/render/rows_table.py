"""Rows of measurements as tables for people: on the terminal, and in a notebook."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from mdtree.messages import listed, plural, printable, shortened
from mdtree.render.formatting import COARSE, TO_TOLERANCE, is_unconverged, number
from mdtree.render.table import name_of
from mdtree.render.terminal import table
from mdtree.rows import QUANTITIES, Measured, Missing, Row, remaining
from mdtree.rows.row import row_to_json

if TYPE_CHECKING:
    from mdtree.render.svg import Markup

__all__ = ["SHOWN", "counted_once", "row_text", "rows_html", "rows_table"]

SHOWN = 40  # rows, unless all are requested
_LONGEST = 1000  # characters of a reason
_MARK = "~"  # beside a number that is less precise than its tolerance, on purpose
_NAME = 100  # characters of a name in a line of text

# what it means, and what to do about it
_UNCONVERGED = """\
  it stopped at its limit of steps or probes, and the error stayed large. Verdicts take the error \
into account: where it could change one, the diagnosis warns (MD202, MD301) or is unsure
  to get it converged: --hessian-limit 4, or hessian_limit: 4 in the recipe; networks that were \
hardly trained need it most. More seeds make the error smaller as well"""
_NUMBER = "text-align:right"


def row_text(row: Row) -> str:
    """Write a row as ASCII JSON: printed text must not control a terminal."""
    return json.dumps(json.loads(row_to_json(row)), separators=(",", ":"))


def rows_table(
    rows: Collection[Row], *, limit: int | None = SHOWN, explained: Collection[str] = ()
) -> str:
    """Write a table for each metric with a line for each group, then what is missing and why.

    `explained` are groups whose failures are explained elsewhere.
    """
    shown = list(islice(rows, limit))
    more = [f"... and {len(rows) - len(shown)} more"] if len(rows) > len(shown) else []
    tables = [
        "\n".join([_of_metric(shown, names, first=number == 0), *more])
        for number, names in enumerate(_by_metric(shown))
    ]
    return "\n".join(
        [
            "\n\n".join(tables),
            *_coarse_lines(shown),
            *_doubts(shown),
            *_reasons(shown),
            *_diverged(shown),
            *_outlived(shown, explained),
            *counted_once(shown),
        ]
    )


def counted_once(rows: Sequence[Row]) -> list[str]:
    """Return a line about files that did not count as members because of equal weights."""
    lines = []
    for row in rows:
        copies = row.provenance.counted_once if row.provenance is not None else []
        if copies:
            lines.append(f"counted once {_named(row)}: {printable(listed(copies))}")
    return lines


def _by_metric(rows: Sequence[Row]) -> list[list[str]]:
    """Return the quantities that rows have, grouped by metric."""
    metrics: dict[str, list[str]] = {}
    for name, quantity in QUANTITIES.items():
        if any(name in row.quantities for row in rows):
            metrics.setdefault(quantity.metric, []).append(name)
    return list(metrics.values()) or [[]]


def _of_metric(rows: Sequence[Row], names: Sequence[str], *, first: bool) -> str:
    protocols = ["protocol"] if len({row.protocol for row in rows}) > 1 else []
    of_group = ["checkpoints", "parameters"] if first else []
    header = ["group", *protocols, *of_group, *map(_heading, names)]
    return table(header, [_line(row, names, protocols, of_group) for row in rows])


def _line(row: Row, names: Sequence[str], protocols: list[str], of_group: list[str]) -> list[str]:
    group = [
        str(len(row.provenance.weights)) if row.provenance else "",
        str(row.facts.get("parameters", "")),
    ]
    return [
        row.group,
        *(row.protocol for _ in protocols),
        *group[: len(of_group)],
        *(_cell(row, name) for name in names),
    ]


def _heading(name: str) -> str:
    """Write the name of a quantity with its unit."""
    unit = QUANTITIES[name].unit
    return f"{name} [{unit}]" if unit else name


def _cell(row: Row, name: str) -> str:
    """Write the quantity of a row with its error, or that there is none."""
    value = row.quantities.get(name)
    if isinstance(value, Measured):
        mark = f" {_MARK}" if name in remaining(row) else ""
        return number(value.value, value.stderr) + mark
    if value is None:
        return ""
    return "diverged" if row.is_diverged else ("failed" if _failed(row) else "missing")


def _failed(row: Row) -> bool:
    """Whether quantities of a row are missing because the group failed."""
    return row.failure is not None and not row.outlived


def _coarse_lines(rows: Sequence[Row]) -> list[str]:
    """Return what the mark of a coarse number means, and how to go on, if there is one."""
    if not any(map(remaining, rows)):
        return []
    return [f"{_MARK} {COARSE}, {TO_TOLERANCE}"]


def _doubts(rows: Sequence[Row]) -> list[str]:
    """Return a line for each quantity that did not converge."""
    groups: dict[str, list[str]] = {}
    for row in rows:
        for name in row.quantities:
            if is_unconverged(row, name):
                groups.setdefault(name, []).append(_named(row))
    lines = [
        f"not converged {name} ({len(names)} of {len(rows)}): {listed(names)}"
        for name, names in groups.items()
    ]
    return [*lines, *([_UNCONVERGED] if lines else [])]


def _reasons(rows: Sequence[Row]) -> list[str]:
    """Return each reason for missing quantities once, with the quantities."""
    reasons: dict[tuple[str, int], list[str]] = {}
    for name in QUANTITIES:
        values = [row.quantities.get(name) for row in rows if not _failed(row)]
        counts = Counter(value.missing for value in values if isinstance(value, Missing))
        for reason, count in counts.items():
            reasons.setdefault((reason, count), []).append(name)
    return [
        f"missing {', '.join(names)}: {text} ({count} of {len(rows)})"
        for (reason, count), names in reasons.items()
        if (text := printable(shortened(reason, _LONGEST)))
    ]


def _diverged(rows: Sequence[Row]) -> list[str]:
    """Return a line for each group of which networks diverged, which is a result and no failure."""
    lines = []
    for row in rows:
        if row.diverged is not None and (row.diverged.is_part or row.diverged.is_whole):
            lines.append(f"diverged {_named(row)}: {printable(row.diverged.says)}")
        elif row.failure is not None and row.is_diverged:
            reason = printable(shortened(row.failure.reason, _LONGEST))
            lines.append(f"diverged {_named(row)}: {reason}")
    return lines


def _outlived(rows: Sequence[Row], explained: Collection[str]) -> list[str]:
    """Return the groups whose latest attempt failed: their numbers are from an earlier one."""
    lines = []
    for row in rows:
        if row.failure is not None and row.outlived:
            why = "" if row.group in explained else f": {shortened(row.failure.reason, _LONGEST)}"
            lines.append(f"measured before; a later attempt failed: {_named(row)}{printable(why)}")
    return lines


def _named(row: Row) -> str:
    """Return the name of a group, cut short and harmless."""
    return printable(shortened(row.group, _NAME))


def rows_html(rows: Sequence[Row], *, limit: int = SHOWN) -> Markup:
    """Write rows as a table: the numbers of the terminal, a line for each group."""
    from mdtree.render.svg import element

    shown = list(islice(rows, limit))
    names = [name for name in QUANTITIES if any(name in row.quantities for row in shown)]
    protocols = len({row.protocol for row in shown}) > 1
    head = ["group", *(["protocol"] if protocols else []), "checkpoints", *map(_heading, names)]
    table = element(
        "table",
        element("thead", element("tr", *(element("th", name, scope="col") for name in head))),
        element("tbody", *(_html_line(row, names, protocols=protocols) for row in shown)),
    )
    more = len(rows) - len(shown)
    rest = element("p", f"... and {plural(more, 'more row')}") if more > 0 else None
    notes = (element("p", text) for text in _coarse_lines(shown))
    return element("div", table, rest, *notes, style="overflow-x:auto")


def _html_line(row: Row, names: Sequence[str], *, protocols: bool) -> Markup:
    from mdtree.render.svg import element

    members = str(len(row.provenance.weights)) if row.provenance else ""
    return element(
        "tr",
        element("th", name_of(row.group), scope="row"),
        element("td", row.protocol) if protocols else None,
        element("td", members, style=_NUMBER),
        *(
            element("td", _cell(row, name), style=_NUMBER, title=_why_missing(row, name))
            for name in names
        ),
    )


def _why_missing(row: Row, name: str) -> str | None:
    value = row.quantities.get(name)
    return value.missing if isinstance(value, Missing) else None

"""Comparisons as one HTML page, before and after side by side, in the style of the report page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdtree.render.comparison_noise import clear_ones, how_tested, untested
from mdtree.render.comparison_words import (
    COLUMNS,
    SUMMARY,
    cells,
    fact_cells,
    headline,
    headline_of_all,
    promised,
    real,
    remarks,
    side_name,
    summary,
    title,
    verdict_line,
)
from mdtree.render.html import rendered
from mdtree.render.verdict_words import meaning
from mdtree.rows.atomic import atomic_file
from mdtree.rows.file_kinds import PAGE

if TYPE_CHECKING:
    from mdtree.diagnosis import Compared, Comparison, Verdict

__all__ = ["MOST_PAIRS", "comparison_page", "write_comparison_page"]

MOST_PAIRS = 50  # comparisons that are shown in full; the others get one line each
_MOST_LINES = 5000  # of the overview


def comparison_page(compared: Compared, *, most: int = MOST_PAIRS) -> str:
    """Return the page as HTML: an overview of several comparisons, and each of them in full.

    Args:
        compared: The comparisons, and the groups that could not be compared.
        most: How many comparisons are shown in full.

    """
    found = compared.comparisons
    lines = [(each, summary(each)) for each in found[:_MOST_LINES]] if len(found) > 1 else []
    return rendered(
        "comparison.html",
        count=len(found),
        first=title(found[0]) if found else "",
        headline=headline_of_all(found) if found else "",
        columns=SUMMARY,
        lines=lines,
        most=most,
        most_lines=_MOST_LINES,
        pairs=[_pair(each) for each in found[:most]],
        quantities=COLUMNS,
        failures=_failures(compared.failures),
        unchanged=compared.unchanged[:_MOST_LINES],
    )


def write_comparison_page(path: Path, compared: Compared) -> None:
    """Write the page; an earlier one stays until it is complete."""
    text = comparison_page(compared)
    with atomic_file(path, advice="name another file with --html", replaces=PAGE) as file:
        file.write(text.encode())


def _pair(compared: Comparison) -> dict[str, Any]:
    """Return what the page shows of one comparison, in the words of the terminal."""
    notes = (clear_ones(compared) if compared.differences else None, how_tested(compared))
    return {
        "title": title(compared),
        "headline": headline(compared),
        "sides": [
            _side("before", side_name(compared, "before"), compared.verdict_before),
            _side("after", side_name(compared, "after"), compared.verdict_after),
        ],
        "facts": [fact_cells(change) for change in compared.changes],
        "remarks": list(remarks(compared)),
        "promised": list(promised(compared)),
        "real": real(compared),
        "differences": [(each, cells(each)) for each in compared.differences],
        "notes": [text for text in (*notes, *untested(compared)) if text],
    }


def _side(name: str, group: str, verdict: Verdict | None) -> dict[str, Any]:
    return {
        "name": name,
        "group": group,
        "mode": "" if verdict is None else verdict.mode,
        "line": verdict_line(verdict),
        "meaning": meaning(verdict) if verdict is not None and verdict.sure else None,
        "advice": None if verdict is None else verdict.advice,
    }


def _failures(failures: Mapping[str, str]) -> Sequence[tuple[str, str]]:
    return list(failures.items())[:_MOST_LINES]

"""Comparisons for the terminal, as Markdown, and as a page with before and after side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdtree.render.comparison_noise import clear_ones, how_tested, untested
from mdtree.render.comparison_words import (
    COLUMNS,
    SUMMARY,
    cells,
    changed,
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
from mdtree.render.formatting import sentence, typeset
from mdtree.render.html import rendered
from mdtree.render.markdown import as_code, as_text, markdown_list, markdown_table
from mdtree.render.terminal import lines_text, table
from mdtree.render.verdict_words import meaning
from mdtree.rows.atomic import atomic_file
from mdtree.rows.file_kinds import PAGE
from mdtree.version import __version__

if TYPE_CHECKING:
    from mdtree.diagnosis import Compared, Comparison, Verdict

__all__ = [
    "MOST_PAIRS",
    "comparison_page",
    "comparison_text",
    "comparisons_markdown",
    "comparisons_table",
    "write_comparison_page",
]

MOST_PAIRS = 50  # comparisons that the page shows in full; the others get one line each
_MOST_LINES = 5000  # of its overview
# columns of our own numbers, in which nothing starts a heading, a list or a link
_NUMBERS = (*COLUMNS[1:-1], "did it help?", "promised", "gained", "clear differences")


def comparisons_table(compared: Sequence[Comparison]) -> str:
    """Write several comparisons: one sentence, and a table with a line for each pair of groups."""
    lines = table(SUMMARY, [summary(each) for each in compared])
    return f"{lines_text(iter([_in_short(headline_of_all(compared))]))}\n{lines}"


def comparison_text(compared: Comparison) -> str:
    """Write one comparison: what was changed, what was promised, and what came of it."""
    parts = [lines_text(_above(compared))]
    if compared.differences:
        parts.append(table(COLUMNS, [cells(each) for each in compared.differences]))
    parts.append(lines_text(_below(compared)))
    return "\n".join(part for part in parts if part)


def _above(compared: Comparison) -> Iterator[str]:
    yield _in_short(headline(compared))
    yield f"before: {side_name(compared, 'before')}"
    yield f"after:  {side_name(compared, 'after')}"
    facts = changed(compared)
    yield "changed:" if facts else "changed: no fact that the rows know"
    yield from (f"  {fact}" for fact in facts)
    yield from (f"note: {remark}" for remark in remarks(compared))
    yield f"verdict before: {verdict_line(compared.verdict_before)}"
    yield f"verdict after:  {verdict_line(compared.verdict_after)}"
    promise, *others = promised(compared)
    yield f"promised: {promise}"
    yield from (f"  {other}" for other in others)
    yield f"gained:   {real(compared)}"


def _in_short(sentence: str) -> str:
    return f"in short: {sentence}"


def _below(compared: Comparison) -> Iterator[str]:
    if compared.differences:
        yield clear_ones(compared)
    tests = how_tested(compared)
    if tests is not None:
        yield f"  {tests}"
    yield from (f"  {text}" for text in untested(compared))


def comparisons_markdown(
    compared: Sequence[Comparison], *, most: int, failures: Mapping[str, str] | None = None
) -> str:
    """Write comparisons as Markdown: a table of several, and each in full if they are few.

    Args:
        compared: The comparisons.
        most: How many are written out in full; more become a table alone.
        failures: The groups that could not be compared, with the reason.

    """
    parts = ["## Before and after, by mdtree"]
    if len(compared) > 1:
        parts.append(f"**{as_text(headline_of_all(compared))}**")
        parts.append(_table(SUMMARY, [summary(each) for each in compared]))
    if len(compared) <= most:
        parts += ["\n\n".join(_card(each)) for each in compared]
    else:
        parts.append(
            "To see one of them in full, add `--group-before NAME` and `--group-after NAME`."
        )
    if failures:
        lines = [f"- {as_code(group)}: {as_text(reason)}" for group, reason in failures.items()]
        parts += ["### Not compared", "\n".join(lines)]
    parts.append(f"<sub>mdtree {__version__}</sub>")
    return "\n\n".join(parts)


def _card(compared: Comparison) -> Iterator[str]:
    yield f"### {as_code(typeset(title(compared)))}"
    yield f"**{as_text(typeset(headline(compared)))}**"
    facts = changed(compared)
    if facts:
        yield "**Changed**"
        yield "\n".join(f"- {as_text(typeset(fact))}" for fact in facts)
    else:
        yield "**Changed:** no fact that the rows know"
    notes = [f"> **Note:** {as_text(sentence(remark))}" for remark in remarks(compared)]
    if notes:
        yield "\n>\n".join(notes)
    promise, *others = promised(compared)
    lines = [
        f"**Verdict before:** {as_text(verdict_line(compared.verdict_before))}",
        f"**Verdict after:** {as_text(verdict_line(compared.verdict_after))}",
        f"**Promised:** {as_text(typeset(promise))}",
        *(f"**Promised:** {as_text(typeset(other))}" for other in others),
        f"**Gained:** {as_text(real(compared))}",
    ]
    yield "\n".join(f"- {line}" for line in lines)
    if compared.differences:
        yield _table(COLUMNS, [cells(each) for each in compared.differences])
        told = [clear_ones(compared), how_tested(compared), *untested(compared)]
    else:
        told = [*untested(compared)]
    if told:
        yield markdown_list(text for text in told if text)


def _table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Write a table whose first column holds names."""
    return markdown_table(
        header,
        [
            (as_code(first), *(_cell(*cell) for cell in zip(header[1:], others, strict=True)))
            for first, *others in lines
        ],
    )


def _cell(name: str, text: str) -> str:
    return escape(text) if name in _NUMBERS else as_text(text)


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
        failures=list(compared.failures.items())[:_MOST_LINES],
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

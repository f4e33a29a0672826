"""Comparisons as Markdown: for pull requests and issues, escaped as verdicts are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

from mdtree.render.comparison_noise import clear_ones, how_tested, untested
from mdtree.render.comparison_words import (
    COLUMNS,
    SUMMARY,
    cells,
    changed,
    headline,
    headline_of_all,
    promised,
    real,
    remarks,
    summary,
    title,
    verdict_line,
)
from mdtree.render.formatting import sentence, typeset
from mdtree.render.markdown import as_code, as_text, markdown_list, markdown_table
from mdtree.version import __version__

if TYPE_CHECKING:
    from mdtree.diagnosis import Comparison

__all__ = ["comparisons_markdown"]

# columns of our own numbers, in which nothing starts a heading, a list or a link
_NUMBERS = (*COLUMNS[1:-1], "did it help?", "promised", "gained", "clear differences")


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

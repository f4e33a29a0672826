"""Comparisons for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
    side_name,
    summary,
    verdict_line,
)
from mdtree.render.terminal import lines_text, table

if TYPE_CHECKING:
    from mdtree.diagnosis import Comparison

__all__ = ["comparison_text", "comparisons_table"]


def comparisons_table(compared: Sequence[Comparison]) -> str:
    """Write several comparisons: one sentence, and a table with a line for each pair of groups."""
    lines = table(SUMMARY, [summary(each) for each in compared])
    return f"{lines_text(iter([_first(headline_of_all(compared))]))}\n{lines}"


def comparison_text(compared: Comparison) -> str:
    """Write one comparison: what was changed, what was promised, and what came of it."""
    parts = [lines_text(_above(compared))]
    if compared.differences:
        parts.append(table(COLUMNS, [cells(each) for each in compared.differences]))
    parts.append(lines_text(_below(compared)))
    return "\n".join(part for part in parts if part)


def _above(compared: Comparison) -> Iterator[str]:
    yield _first(headline(compared))
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


def _first(sentence: str) -> str:
    return f"in short: {sentence}"


def _below(compared: Comparison) -> Iterator[str]:
    if compared.differences:
        yield clear_ones(compared)
    tests = how_tested(compared)
    if tests is not None:
        yield f"  {tests}"
    yield from (f"  {text}" for text in untested(compared))

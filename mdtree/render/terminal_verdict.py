"""Verdicts for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mdtree.messages import shortened
from mdtree.render.formatting import (
    change,
    meaning,
    percent,
    points,
    prediction_set,
    resources,
    support,
    target,
)
from mdtree.render.terminal import printable, table
from mdtree.render.verdict_words import (
    answer,
    basis,
    by_probability,
    caution,
    flips,
    gains_title,
    margin,
)

if TYPE_CHECKING:
    from mdtree.diagnosis import Gain, Verdict

__all__ = ["verdict_text", "verdicts_table"]

_LONGEST = 5000  # characters of a line


def verdicts_table(verdicts: Sequence[Verdict]) -> str:
    """Write several verdicts as a table, one line for each group."""
    lines = [
        [
            verdict.group,
            answer(verdict),
            percent(verdict.probability),
            "yes" if verdict.outlier is not None and verdict.outlier.outside else "",
        ]
        for verdict in verdicts
    ]
    return table(["group", "verdict", "probability", "out of distribution"], lines)


def verdict_text(verdict: Verdict, *, explained: str | None = None) -> str:
    """Write one verdict: what is wrong, how sure, why, and what to do.

    `explained` is the reason for a failure that is shown elsewhere and not repeated here.
    """
    end = "" if explained is None else f": {explained}"
    return "\n".join(printable(shortened(line, _LONGEST)) for line in _lines(verdict, end))


def _lines(verdict: Verdict, end: str) -> Iterator[str]:
    yield f"group: {verdict.group}"
    unlike = caution(verdict)
    if unlike is not None:
        yield f"caution: {unlike}"
    for warning in verdict.basis.warnings:
        yield f"warning: {warning.removesuffix(end)}"
    if verdict.sure:
        yield f"verdict: {verdict.mode} (probability {percent(verdict.probability)})"
        yield f"  {meaning(verdict)}"
    else:
        yield "verdict: unsure"
        yield from (f"  {doubt}" for doubt in verdict.why_unsure)
    yield from _probabilities(verdict)
    yield "why:"
    for number, step in enumerate(verdict.clues, start=1):
        yield f"  {number}. {step.says}{margin(step)}"
    yield from (f"  {text}" for text in support(verdict))
    if verdict.gains:
        yield gains_title(verdict)
        yield from _gains(verdict.gains)
    asked_most = resources(verdict)
    if asked_most is not None:
        yield asked_most
    yield f"next: {verdict.advice}"
    if verdict.missed:
        yield "not known:"
        for missing in verdict.missed:
            reason = missing.reason.removesuffix(end)
            yield f"  {missing.metric}: {reason} ({flips(missing)})"
    yield f"tree: {basis(verdict)}"
    if verdict.basis.accuracy:
        yield f"  accuracy: {verdict.basis.accuracy}"


def _probabilities(verdict: Verdict) -> Iterator[str]:
    yield "  " + ", ".join(f"{name} {share}" for name, share in by_probability(verdict))
    missing_points = target(verdict)
    if missing_points is not None:
        yield f"  {missing_points}"
    answers = prediction_set(verdict)
    if answers is not None:
        yield f"  {answers}"


def _gains(gains: Sequence[Gain]) -> Iterator[str]:
    wide = max(len(gain.remedy) for gain in gains)
    for gain in gains:
        yield f"  {gain.remedy.ljust(wide)}  {points(gain)}  {change(gain)}".rstrip()

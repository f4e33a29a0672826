"""Verdicts for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mdtree.diagnosis.headlines import headline, headline_of_all
from mdtree.render.formatting import change, percent, points
from mdtree.render.screen import MODE_STYLES, screen
from mdtree.render.terminal import lines_text, name_text, table
from mdtree.render.verdict_words import (
    answer,
    basis,
    by_probability,
    caution,
    flips,
    gains_title,
    margin,
    meaning,
    prediction_set,
    resources,
    support,
    target,
)

if TYPE_CHECKING:
    from mdtree.diagnosis import Gain, Trajectory, Verdict

__all__ = ["verdict_text", "verdicts_table"]

_Line = tuple[str, str, str]  # text; how it begins, if that is to be seen; and its style


def verdicts_table(verdicts: Sequence[Verdict], runs: Sequence[Trajectory] = ()) -> str:
    """Write several verdicts: the sentence for all, and a table with one line for each group."""
    lines = [
        [
            verdict.group,
            answer(verdict),
            percent(verdict.probability),
            "yes" if verdict.outlier is not None and verdict.outlier.outside else "",
        ]
        for verdict in verdicts
    ]
    head = lines_text(iter([f"in short: {headline_of_all(verdicts, runs)}"]))
    return f"{head}\n\n{table(['group', 'verdict', 'probability', 'out of distribution'], lines)}"


def verdict_text(
    verdict: Verdict, *, explained: str | None = None, checks: str | None = None
) -> str:
    """Write one verdict: first the card with what is wrong, how sure, and what to do, then why.

    `explained` is the reason for a failure that is shown elsewhere and not repeated here, `checks`
    a line that counts the checks.
    """
    end = "" if explained is None else f": {explained}"
    lines = (*_card(verdict, end, checks), *_evidence(verdict, end))
    return "\n".join(_shown(*line) for line in lines)


def _shown(text: str, begins: str = "", style: str = "bold") -> str:
    """Make a line harmless, fold it, and colour its beginning."""
    folded = lines_text(iter([text]))
    begins = lines_text(iter([begins]))
    if not begins or not folded.startswith(begins):  # it was folded within
        return folded
    return screen().painted(begins, style) + folded.removeprefix(begins)


def _card(verdict: Verdict, end: str, checks: str | None) -> Iterator[_Line]:
    """Yield what the card of the page shows."""
    yield f"group: {name_text(verdict.group)}", "group:", "bold"
    yield f"in short: {headline(verdict)}", "in short:", "bold"
    unlike = caution(verdict)
    if unlike is not None:
        yield f"caution: {unlike}", "caution:", "alarm"
    for warning in verdict.basis.warnings:
        yield f"warning: {warning.removesuffix(end)}", "warning:", "alarm"
    if verdict.sure:
        begins = f"verdict: {verdict.mode}"
        style = MODE_STYLES.get(verdict.mode, "bold")
        yield f"{begins} (probability {percent(verdict.probability)})", begins, style
        yield _plain(f"  {meaning(verdict)}")
    else:
        yield "verdict: unsure", "verdict: unsure", "alarm"
        yield from (_plain(f"  {doubt}") for doubt in verdict.why_unsure)
    yield from map(_plain, _probabilities(verdict))
    yield from (_plain(f"  {text}") for text in support(verdict))
    if verdict.gains:
        yield gains_title(verdict), "", "bold"
        yield from map(_plain, _gains(verdict.gains))
    asked_most = resources(verdict)
    if asked_most is not None:
        yield _plain(asked_most)
    yield f"next: {verdict.advice}", "next:", "green"
    if checks is not None:
        yield checks, "checks:", "bold"


def _evidence(verdict: Verdict, end: str) -> Iterator[_Line]:
    """Yield what the verdict is based on."""
    yield "why:", "why:", "bold"
    for number, step in enumerate(verdict.clues, start=1):
        yield _plain(f"  {number}. {step.says}{margin(step)}")
    if verdict.missed:
        yield "not known:", "not known:", "bold"
        for missing in verdict.missed:
            reason = missing.reason.removesuffix(end)
            yield _plain(f"  {missing.metric}: {reason} ({flips(missing)})")
    if not verdict.asked_tree:
        return
    yield f"tree: {basis(verdict)}", "tree:", "bold"
    if verdict.basis.accuracy:
        yield _plain(f"  accuracy: {verdict.basis.accuracy}")


def _plain(text: str) -> _Line:
    return text, "", "bold"


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

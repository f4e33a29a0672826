"""Verdicts for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mdtree.messages import shortened
from mdtree.render.formatting import (
    change,
    feature_name,
    meaning,
    percent,
    points,
    prediction_set,
    resources,
    scale_of_gains,
    support,
    target,
)
from mdtree.render.terminal import plural, printable, table

if TYPE_CHECKING:
    from mdtree.diagnosis import DecisionStep, Gain, Verdict

__all__ = ["verdict_text", "verdicts_table"]

_LONGEST = 5000  # characters of a line


def verdicts_table(verdicts: Sequence[Verdict]) -> str:
    """Write several verdicts as a table, one line for each group."""
    lines = [
        [
            verdict.group,
            verdict.mode if verdict.sure else f"unsure ({verdict.likely}?)",
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
    outlier = verdict.outlier
    if outlier is not None and outlier.outside:
        names = ", ".join(map(feature_name, outlier.beyond))
        beyond = f"; outside their range: {names}" if names else ""
        yield (
            f"caution: this group is unlike those that the tree was fitted to (distance "
            f"{outlier.distance:.2f}, usually up to {outlier.limit:.2f}{beyond})"
        )
    for warning in verdict.basis.warnings:
        yield f"warning: {warning.removesuffix(end)}"
    if verdict.sure:
        yield f"verdict: {verdict.mode} (probability {percent(verdict.probability)})"
        yield f"  {meaning(verdict)}"
    else:
        yield "verdict: unsure"
        yield from (f"  {doubt}" for doubt in verdict.why_unsure)
    yield from _probabilities(verdict)
    missing_points = target(verdict)
    if missing_points is not None:
        yield f"  {missing_points}"
    yield "why:"
    for number, step in enumerate(verdict.clues, start=1):
        yield f"  {number}. {step.says}{_distance(step)}"
    yield from (f"  {text}" for text in support(verdict))
    if verdict.gains:
        yield f"what each single change gained groups like this one, {scale_of_gains(verdict)}:"
        yield from _gains(verdict.gains)
    asked_most = resources(verdict)
    if asked_most is not None:
        yield asked_most
    yield f"next: {verdict.advice}"
    if verdict.missed:
        yield "not known:"
        for missing in verdict.missed:
            yield (
                f"  {missing.metric}: {missing.reason.removesuffix(end)} ("
                f"{percent(missing.flips)} chance of changing the most probable answer)"
            )
    yield from _basis(verdict)


def _distance(step: DecisionStep) -> str:
    if step.flips_at is None:
        return ""
    if step.is_far:
        return " [far from flipping]"
    return f" [{step.flips_at:.1f} standard errors from flipping]"


def _probabilities(verdict: Verdict) -> Iterator[str]:
    others = sorted(verdict.probabilities.items(), key=lambda item: -item[1])
    yield "  " + ", ".join(f"{name} {percent(share)}" for name, share in others)
    answers = prediction_set(verdict)
    if answers is not None:
        yield f"  {answers}"


def _gains(gains: Sequence[Gain]) -> Iterator[str]:
    wide = max(len(gain.remedy) for gain in gains)
    for gain in gains:
        yield f"  {gain.remedy.ljust(wide)}  {points(gain)}  {change(gain)}".rstrip()


def _basis(verdict: Verdict) -> Iterator[str]:
    basis = verdict.basis
    yield (
        f"tree: {basis.tree} ({basis.method}, {basis.task}, protocol {basis.protocol}, "
        f"{plural(basis.groups, 'group')}): {basis.chosen}"
    )
    if basis.accuracy:
        yield f"  accuracy: {basis.accuracy}"

"""Verdicts for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mdtree.failure_modes import FAILURE_MODES
from mdtree.messages import shortened
from mdtree.render.terminal import plural, printable, table

if TYPE_CHECKING:
    from mdtree.diagnosis import DecisionStep, Gain, Verdict

__all__ = ["verdict_text", "verdicts_table"]

_LONGEST = 5000  # characters of a line


def verdicts_table(verdicts: Sequence[Verdict]) -> str:
    """Lay out several verdicts, one line for each group."""
    lines = [
        [
            verdict.group,
            verdict.mode if verdict.sure else f"unsure ({verdict.likely}?)",
            f"{100 * verdict.probability:.0f} %",
            "yes" if verdict.outlier is not None and verdict.outlier.outside else "",
        ]
        for verdict in verdicts
    ]
    return table(["group", "verdict", "probability", "unlike the training groups"], lines)


def verdict_text(verdict: Verdict, *, told: str | None = None) -> str:
    """Write one verdict: what is wrong, how sure, why, and what to do.

    `told` is the reason of a failure that is told elsewhere, and not repeated here.
    """
    end = "" if told is None else f": {told}"
    return "\n".join(printable(shortened(line, _LONGEST)) for line in _lines(verdict, end))


def _lines(verdict: Verdict, told: str) -> Iterator[str]:
    yield f"group: {verdict.group}"
    outlier = verdict.outlier
    if outlier is not None and outlier.outside:
        beyond = f"; beyond all of them in {', '.join(outlier.beyond)}" if outlier.beyond else ""
        yield (
            f"caution: this group is unlike those that the tree was fitted on (distance "
            f"{outlier.distance:.2f}, usual up to {outlier.limit:.2f}{beyond})"
        )
    for warning in verdict.basis.warnings:
        yield f"warning: {warning.removesuffix(told)}"
    if verdict.sure:
        yield f"verdict: {verdict.mode} (probability {100 * verdict.probability:.0f} %)"
        yield f"  {FAILURE_MODES[verdict.mode]}"
    else:
        yield "verdict: unsure"
        yield from (f"  {doubt}" for doubt in verdict.why_unsure)
    yield from _probabilities(verdict)
    yield "why:"
    for number, step in enumerate(verdict.clues, start=1):
        yield f"  {number}. {step.says}{_distance(step)}"
    if verdict.agreement is not None:
        yield f"  {100 * verdict.agreement:.0f} % of the plausible trees give this answer"
    if verdict.stability is not None:
        yield f"  stable in {100 * verdict.stability:.0f} % of resamples within measurement error"
    if verdict.gains:
        yield "what one change alone gained groups like this one, in points of test accuracy:"
        yield from _gains(verdict.gains)
    yield from _resources(verdict)
    yield f"next: {verdict.advice}"
    if verdict.missed:
        yield "not known:"
        for missing in verdict.missed:
            yield (
                f"  {missing.metric}: {missing.reason.removesuffix(told)} (would change the most "
                f"probable answer with {100 * missing.flips:.0f} %)"
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
    yield "  " + ", ".join(f"{name} {100 * share:.0f} %" for name, share in others)
    for coverage, answers in verdict.answers.items():
        yield f"  {100 * float(coverage):.0f} % sure: {' or '.join(answers)}"


def _resources(verdict: Verdict) -> Iterator[str]:
    """Answer what is asked most, whatever the verdict is."""
    gains = {gain.remedy: gain for gain in verdict.gains}
    data, model = gains.get("add_data"), gains.get("enlarge_model")
    if not verdict.answers or (data is None and model is None):
        return
    if model is None or (data is not None and data.mean >= model.mean):
        first, second = "more data", "a larger network"
        more, less = data, model
    else:
        first, second = "a larger network", "more data"
        more, less = model, data
    yield (
        f"more data or a larger network? {first}: {_points(more, ' points')}; "
        f"{second}: {_points(less)}"
    )


def _points(gain: Gain | None, unit: str = "") -> str:
    if gain is None:
        return f"+0.0{unit}"
    spread = "" if gain.low is None else f" ({gain.low:.1f} to {gain.high:.1f})"
    return f"+{gain.mean:.1f}{unit}{spread}"


def _gains(gains: Sequence[Gain]) -> Iterator[str]:
    wide = max(len(gain.remedy) for gain in gains)
    for gain in gains:
        change = ""
        if gain.fact is not None:
            fact = gain.fact.replace("_", " ")
            values = (
                f"{gain.old:.10g} -> {gain.new:.10g}"
                if gain.old is not None
                else f"x {gain.factor:.2g}"
            )
            change = f"  {fact} {values}"
        yield f"  {gain.remedy.ljust(wide)}  {_points(gain)}{change}"


def _basis(verdict: Verdict) -> Iterator[str]:
    basis = verdict.basis
    yield (
        f"tree: {basis.tree} ({basis.method}, {basis.task}, protocol {basis.protocol}, "
        f"{plural(basis.groups, 'group')}): {basis.chosen}"
    )
    if basis.accuracy:
        yield f"  right for {basis.accuracy}"

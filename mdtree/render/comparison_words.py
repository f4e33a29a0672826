"""Parts of a comparison as people read them, on the terminal and in Markdown alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mdtree.messages import shortened
from mdtree.render.comparison_noise import equals, p_value
from mdtree.render.formatting import COARSE, change, number, percent, plain, points, with_unit
from mdtree.render.verdict_words import answer, caution
from mdtree.rows import QUANTITIES

if TYPE_CHECKING:
    from mdtree.diagnosis import Comparison, Difference, FactChange, Gain, RealGain, Verdict
    from mdtree.rows import Fact

__all__ = [
    "COLUMNS",
    "SUMMARY",
    "cells",
    "changed",
    "fact_cells",
    "headline",
    "headline_of_all",
    "promised",
    "real",
    "remarks",
    "side_name",
    "summary",
    "title",
    "verdict_line",
]

COLUMNS = ("quantity", "before", "after", "difference", "errors", "test", "p", "adjusted p", "")
SUMMARY = (
    *("groups", "did it help?", "verdict before", "verdict after", "promised", "gained"),
    "clear differences",
)
_HELPED = {
    "helped": "yes",
    "worse": "no, worse",
    "in vain": "no",
    "unclear": "not clear",
    "unknown": "not known",
}
_LONGEST = 200  # characters of a fact
_OF_THE_PATH = "MD204"  # the check of the reasons, which a comparison does not show
_TESTS = {"welch": "Welch", "moderated": "moderated", "normal": "normal"}
_TESTED = {
    "welch": "Welch's t-test on the checkpoints",
    "moderated": "moderated t-test on the checkpoints",
    "normal": "normal distribution",
}


def title(compared: Comparison) -> str:
    """Write the names of both groups; of the same name, the files or folders that hold them."""
    if compared.before != compared.after:
        return f"{compared.before} -> {compared.after}"
    if compared.places is None:
        return compared.before
    return f"{compared.places[0]} -> {compared.places[1]} ({compared.before})"


def side_name(compared: Comparison, side: str) -> str:
    """Write the name of one group, `before` or `after`, so that it differs from the other."""
    group = compared.before if side == "before" else compared.after
    if compared.places is None:
        return group
    return f"{compared.places[side != 'before']} ({group})"


def headline(compared: Comparison) -> str:
    """Return whether the change helped, in one sentence of everyday words."""
    from mdtree.diagnosis import comparison_headline

    return comparison_headline(compared)


def headline_of_all(found: Sequence[Comparison]) -> str:
    """Return how many of several changes helped, in one sentence of everyday words."""
    from mdtree.diagnosis import headline_of_comparisons

    return headline_of_comparisons(found)


def changed(compared: Comparison) -> list[str]:
    """Write what was changed between the trainings, one text for each fact."""
    return [_change(each) for each in compared.changes]


def _change(each: FactChange) -> str:
    fact, before, after, follows = fact_cells(each)
    return f"{fact} {before} -> {after}" + (f" ({follows})" if follows else "")


def fact_cells(each: FactChange) -> tuple[str, str, str, str]:
    """Return a changed fact as the cells of a table: its name, before, after, and a remark."""
    follows = f"follows from {each.follows}" if each.follows else ""
    return each.fact, _fact(each.before), _fact(each.after), follows


def _fact(value: Fact | None) -> str:
    if value is None:
        return "not known"
    if isinstance(value, float):
        return f"{value:.10g}"
    return shortened(str(value), _LONGEST)


def verdict_line(verdict: Verdict | None) -> str:
    """Write a verdict in a word, with its probability."""
    if verdict is None:
        return "there is none"
    return f"{answer(verdict)} (probability {percent(verdict.probability)})"


def promised(compared: Comparison) -> Iterator[str]:
    """Yield what the diagnosis of BEFORE expected from the change that was made."""
    promise = compared.promise
    if promise.reason is not None:
        yield f"nothing to hold the real gain to: {promise.reason}"
        yield from (f"{_gain(gain)}, alone" for gain in promise.candidates)
    elif promise.gain is not None:
        yield f"{_gain(promise.gain)}, in points of test accuracy"


def _gain(gain: Gain) -> str:
    advised = change(gain)
    return f"{gain.remedy} {points(gain)}" + (f", by {advised}" if advised else "")


def real(compared: Comparison) -> str:
    """Write what was really gained, and where that lies in the range of the promise."""
    gained = compared.real
    if gained.points is None:
        return f"not known: {gained.reason}"
    text = f"{_signed(gained.points, gained.stderr)} points of test accuracy{_where(compared)}"
    return text + _chance(gained)


def _where(compared: Comparison) -> str:
    promise = compared.promise
    if promise.place is None:
        return ""
    if promise.place == "inside":
        return ", inside the promised range"
    near = {
        True: ", by less than 2 standard errors",
        False: ", by more than 2 standard errors",
        None: "",
    }[promise.is_near]
    return f", {promise.place} the promised range{near}"


def _chance(gained: RealGain) -> str:
    if gained.p is None or gained.test is None:
        return f"; whether that is noise is not known: {gained.reason}"
    return f"; p {equals(gained.p)} if nothing were gained ({_TESTED[gained.test]})"


def remarks(compared: Comparison) -> Iterator[str]:
    """Yield what to know before trusting the numbers."""
    yield from compared.notes
    for side, verdict in (("before", compared.verdict_before), ("after", compared.verdict_after)):
        if verdict is not None:
            unlike = caution(verdict)
            if unlike is not None:
                yield f"{side}: {unlike}"
            if verdict.coarse:
                names = ", ".join(plain(name) for name in verdict.coarse)
                yield f"{side}: {COARSE}, not to the tolerance: {names}"
            shown = [check.message for check in verdict.checks if check.code == _OF_THE_PATH]
            for warning in verdict.basis.warnings:
                if warning not in shown:
                    yield f"{side}: {warning}"


def cells(each: Difference) -> list[str]:
    """Return a difference as the cells of a table."""
    unit = QUANTITIES[each.quantity].unit if each.quantity in QUANTITIES else ""
    return [
        with_unit(each.quantity, f"[{unit}]" if unit else ""),
        number(each.before, each.before_stderr, commas=True),
        number(each.after, each.after_stderr, commas=True),
        _signed(each.difference, each.stderr),
        "" if each.errors is None else f"{each.errors:+.1f}",
        "" if each.test is None else _TESTS[each.test],
        p_value(each.p),
        p_value(each.adjusted),
        _remark(each),
    ]


def _remark(each: Difference) -> str:
    """Write whether a difference is clear, and whether it is the outcome that was asked about."""
    words = ("clear" if each.is_clear else "", "primary" if each.is_primary else "")
    return ", ".join(word for word in words if word)


def _signed(value: float, stderr: float | None) -> str:
    return ("+" if value > 0 else "") + number(value or 0.0, stderr, commas=True)  # never -0


def summary(compared: Comparison) -> list[str]:
    """Return a comparison as one line of a table of many."""
    from mdtree.diagnosis import comparison_outcome

    gain, gained = compared.promise.gain, compared.real
    verdicts = (compared.verdict_before, compared.verdict_after)
    return [
        title(compared),
        _HELPED[comparison_outcome(compared)],
        *("" if verdict is None else answer(verdict) for verdict in verdicts),
        "" if gain is None else points(gain),
        "" if gained.points is None else _signed(gained.points, gained.stderr),
        str(sum(each.is_clear is True for each in compared.differences)),
    ]

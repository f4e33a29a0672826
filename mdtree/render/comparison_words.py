"""Parts of a comparison as people read them, on the terminal and in Markdown alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mdtree.messages import plural, shortened
from mdtree.render.formatting import change, number, percent, points, with_unit
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
    "clear_ones",
    "fact_cells",
    "how_tested",
    "p_value",
    "promised",
    "real",
    "remarks",
    "summary",
    "title",
    "untested",
    "verdict_line",
]

COLUMNS = ("quantity", "before", "after", "difference", "errors", "test", "p", "adjusted p", "")
SUMMARY = ("groups", "verdict before", "verdict after", "promised", "gained", "clear differences")
_SMALLEST = 1e-4  # p-values below it are all the same to people
_LONGEST = 200  # characters of a fact
_OF_THE_PATH = "the tree shown here"  # a warning about the walk, which a comparison does not show
_TESTS = {"welch": "Welch", "normal": "normal"}
_TESTED = {
    "welch": "Welch's t-test on the checkpoints",
    "normal": "normal distribution",
}


def title(compared: Comparison) -> str:
    """Write the names of both groups; one if they are the same."""
    if compared.before == compared.after:
        return compared.before
    return f"{compared.before} -> {compared.after}"


def p_value(p: float | None) -> str:
    """Write a p-value with two digits.

    >>> p_value(0.012345), p_value(0.5), p_value(1e-9), p_value(None)
    ('0.012', '0.50', '< 0.0001', '')
    """
    if p is None:
        return ""
    if p < _SMALLEST:
        return f"< {_SMALLEST:.4f}"
    return f"{p:.2f}" if p >= 0.1 else f"{p:.2g}"  # noqa: PLR2004 - two digits


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
    equals = "" if gained.p < _SMALLEST else "= "
    return f"; p {equals}{p_value(gained.p)} if nothing were gained ({_TESTED[gained.test]})"


def remarks(compared: Comparison) -> Iterator[str]:
    """Yield what to know before trusting the numbers."""
    yield from compared.notes
    for side, verdict in (("before", compared.verdict_before), ("after", compared.verdict_after)):
        if verdict is not None:
            unlike = caution(verdict)
            if unlike is not None:
                yield f"{side}: {unlike}"
            for warning in verdict.basis.warnings:
                if not warning.startswith(_OF_THE_PATH):
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
        "clear" if each.is_clear else "",
    ]


def _signed(value: float, stderr: float | None) -> str:
    return ("+" if value > 0 else "") + number(value, stderr, commas=True)


def clear_ones(compared: Comparison) -> str:
    """Write which differences stand clear of the noise, and how that was decided."""
    from mdtree.diagnosis import LEVEL

    tested = [each for each in compared.differences if each.is_clear is not None]
    evaluated = [each for each in compared.differences if each.test == "normal"]
    if not tested and not evaluated:
        return "no difference can be tested"
    beyond = sum((each.adjusted or 0.0) < LEVEL for each in evaluated)
    rest = (
        f"{beyond} of {plural(len(evaluated), 'difference')} without values of several checkpoints "
        "exceed the noise of the evaluation; whether they exceed that between seeds is not known"
    )
    if not tested:
        return rest
    clear = [each.quantity for each in tested if each.is_clear]
    names = f": {shortened(', '.join(clear), 5 * _LONGEST)}" if clear else ""
    return (
        f"{len(clear)} of {plural(len(tested), 'difference')} "
        f"{'stands' if len(clear) == 1 else 'stand'} clear of the noise between seeds{names} "
        f"(adjusted p below {LEVEL:g}; Holm's adjustment allows for "
        f"{plural(len(tested), 'test')} at once)" + (f"; {rest}" if evaluated else "")
    )


def how_tested(compared: Comparison) -> str | None:
    """Write where the p-values come from."""
    used = dict.fromkeys(each.test for each in compared.differences if each.test is not None)
    says = {
        "welch": "Welch: t-test on the values of the checkpoints",
        "normal": "normal: the error is not over checkpoints, and another seed may differ by more",
    }
    tests = "; ".join(says[test] for test in says if test in used)
    return f"errors: difference / its standard error; {tests}" if tests else None


def untested(compared: Comparison) -> list[str]:
    """Write which quantities have no test, and which are not on both sides, by reason."""
    reasons: dict[str, list[str]] = {}
    for each in compared.differences:
        if each.reason is not None:
            reasons.setdefault(f"not tested, {each.reason}", []).append(each.quantity)
    for lost in compared.missing:
        reasons.setdefault(f"not compared, {lost.reason}", []).append(lost.quantity)
    return [f"{reason}: {_listed(names)}" for reason, names in reasons.items()]


def _listed(names: Sequence[str]) -> str:
    return shortened(", ".join(names), 5 * _LONGEST)


def summary(compared: Comparison) -> list[str]:
    """Return a comparison as one line of a table of many."""
    gain, gained = compared.promise.gain, compared.real
    verdicts = (compared.verdict_before, compared.verdict_after)
    return [
        title(compared),
        *("" if verdict is None else answer(verdict) for verdict in verdicts),
        "" if gain is None else points(gain),
        "" if gained.points is None else _signed(gained.points, gained.stderr),
        str(sum(each.is_clear is True for each in compared.differences)),
    ]

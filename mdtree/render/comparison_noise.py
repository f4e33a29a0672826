"""Which differences of a comparison stand clear of the noise, in words, and their p-values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mdtree.messages import plural, shortened

if TYPE_CHECKING:
    from mdtree.diagnosis import Comparison, Difference

__all__ = ["clear_ones", "equals", "how_tested", "p_value", "untested"]

_SMALLEST = 1e-4  # p-values below it are all the same to people
_MOST_DIGITS = 7  # of a p-value
_LONGEST = 1000  # characters of a list of names


def p_value(p: float | None) -> str:
    """Write a p-value with two digits, or with those that show on which side of 0.05 it lies.

    >>> p_value(0.012345), p_value(0.5), p_value(1e-9), p_value(None), p_value(0.04982)
    ('0.012', '0.50', '< 0.0001', '', '0.0498')
    """
    from mdtree.diagnosis import LEVEL

    if p is None:
        return ""
    if p < _SMALLEST:
        return f"< {_SMALLEST:.4f}"
    if p >= 0.1:  # noqa: PLR2004 - two digits
        return f"{p:.2f}"
    for digits in range(2, _MOST_DIGITS):
        text = f"{p:.{digits}g}"
        if (float(text) < LEVEL) == (p < LEVEL):
            return text
    return f"< {LEVEL:g}"


def equals(p: float) -> str:
    """Write what p equals, or what it is below."""
    text = p_value(p)
    return text if text.startswith("<") else f"= {text}"


def clear_ones(compared: Comparison) -> str:
    """Write which differences stand clear of the noise, the primary outcome first, and why."""
    primary = next((each for each in compared.differences if each.is_primary), None)
    first = [] if primary is None or primary.p is None else [_of_primary(primary, primary.p)]
    others = [each for each in compared.differences if not each.is_primary]
    rest = _of_others(others, "other " if first else "")
    return "; ".join(first + rest) or "no difference can be tested"


def _of_primary(primary: Difference, p: float) -> str:
    """Write whether the outcome that was asked about stands clear of the noise."""
    from mdtree.diagnosis import LEVEL

    level = "below" if p < LEVEL else "not below"
    how = f"p {equals(p)}, {level} {LEVEL:g}; tested by itself, whatever else was measured"
    if primary.is_clear is None:
        verb = "exceeds" if p < LEVEL else "does not exceed"
        says = f"{verb} the noise of the evaluation"
    else:
        verb = "stands" if primary.is_clear else "does not stand"
        says = f"{verb} clear of the noise between seeds"
    return f"primary outcome: {primary.quantity} {says} ({how})"


def _of_others(differences: Sequence[Difference], other: str) -> list[str]:
    """Write how many of the other differences stand clear of the noise."""
    from mdtree.diagnosis import LEVEL

    tested = [each for each in differences if each.is_clear is not None]
    evaluated = [each for each in differences if each.test == "normal"]
    beyond = sum((each.adjusted or 0.0) < LEVEL for each in evaluated)
    rest = (
        f"{beyond} of {plural(len(evaluated), f'{other}difference')} without values of several "
        "checkpoints exceed the noise of the evaluation; whether they exceed that between seeds "
        "is not known"
    )
    last = [rest] if evaluated else []
    if not tested:
        return last
    clear = [each.quantity for each in tested if each.is_clear]
    names = f": {shortened(', '.join(clear), _LONGEST)}" if clear else ""
    counted = (
        f"{len(clear)} of {plural(len(tested), f'{other}difference')} "
        f"{'stands' if len(clear) == 1 else 'stand'} clear of the noise between seeds{names} "
        f"(adjusted p below {LEVEL:g}; Holm's adjustment allows for "
        f"{plural(len(tested), 'test')} at once)"
    )
    return [counted, *last]


def how_tested(compared: Comparison) -> str | None:
    """Write where the p-values come from."""
    used = dict.fromkeys(each.test for each in compared.differences if each.test is not None)
    says = {
        "welch": "Welch: t-test on the values of the checkpoints",
        "moderated": "moderated: t-test on few checkpoints, taken to differ as those of other "
        "networks do",
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
    return shortened(", ".join(names), _LONGEST)

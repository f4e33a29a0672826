"""Numbers, durations, gains, names and questions as people write them, wherever they do."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mdtree.messages import chance, number, percent, short
from mdtree.rows import QUANTITIES, Measured, Row, remaining

if TYPE_CHECKING:
    from mdtree.diagnosis import Gain
    from mdtree.trees import Node

__all__ = [
    "COARSE",
    "TO_TOLERANCE",
    "about",
    "chance",
    "change",
    "duration",
    "estimated_duration",
    "feature_name",
    "feature_number",
    "fixed",
    "is_unconverged",
    "number",
    "percent",
    "plain",
    "points",
    "power_of_ten",
    "question",
    "sentence",
    "short",
    "typeset",
    "with_error",
    "with_unit",
]

COARSE = "as precise as the verdict needs"  # why a quantity is less precise than usual
TO_TOLERANCE = "not to the tolerance; mdtree measure goes on from there"

_SPELT = {"cka": "CKA", "hessian": "Hessian"}
_ROUGH = 0.25  # of a value: a larger error can be seen in its logarithm
_FIXED = 100.0  # larger numbers need no digits behind the point
_MINUTE, _HOUR = 60, 3600  # seconds
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def plain(name: str) -> str:
    """Write an identifier in words.

    >>> plain("data_small"), plain("log_hessian_top"), plain("cka")
    ('data small', 'log Hessian top', 'CKA')
    """
    return " ".join(_SPELT.get(word, word) for word in name.split("_"))


def sentence(text: str) -> str:
    """Write a text as one line with a capital letter and a full stop.

    >>> sentence("cka 0.2 <= 0.3: alike"), sentence("hessian_top was not measured")
    ('CKA 0.2 ≤ 0.3: alike.', 'hessian_top was not measured.')
    """
    line = typeset(" ".join(text.split()))
    first, space, rest = line.partition(" ")
    if "_" not in first:  # a name stays as it is
        first = _SPELT.get(first, f"{first[:1].upper()}{first[1:]}")
    return f"{first}{space}{rest}{'' if line.endswith(('.', '!', '?')) else '.'}"


def typeset(text: str) -> str:
    """Use the signs of print, which a terminal may lack.

    >>> typeset("width 2 -> 8")
    'width 2 → 8'
    """
    return text.replace(" <= ", " ≤ ").replace(" -> ", " → ")


def fixed(value: float, digits: int = 2) -> str:
    """Write a number with this many digits after the point, unless it is too large for them.

    >>> fixed(0.5), fixed(2.0, 3), fixed(1.5e9)
    ('0.50', '2.000', '1.5e+09')
    """
    return f"{value:.{digits}f}" if abs(value) < _FIXED else short(value)


def power_of_ten(power: int) -> str:
    """Write a power of ten.

    >>> power_of_ten(-3)
    '10⁻³'
    """
    return f"10{str(power).translate(_RAISED)}"


def with_unit(text: str, unit: str) -> str:
    """Append the unit, if there is one."""
    return f"{text} {unit}" if unit else text


def with_error(name: str, value: Measured) -> str:
    """Write the value of a quantity with its error and unit."""
    unit = QUANTITIES[name].unit if name in QUANTITIES else ""
    return with_unit(number(value.value, value.stderr, commas=True), unit)


def points(gain: Gain | None, unit: str = "") -> str:
    """Write the gain of a change in points, with its range if known: +5.0 (1.0 to 9.0)."""
    if gain is None:
        return with_unit("+0.0", unit)
    _, spread = gain.range_words
    amount = with_unit(f"{gain.mean:+.1f}", unit)
    return f"{amount} ({spread})" if spread else amount


def change(gain: Gain) -> str:
    """Write which fact a change alters, and how, as far as known."""
    if gain.fact is None:
        return ""
    if gain.old is not None and gain.new is not None:
        return f"{plain(gain.fact)} {gain.old:.10g} -> {gain.new:.10g}"
    return "" if gain.factor is None else f"{plain(gain.fact)} times {short(gain.factor)}"


def is_unconverged(row: Row, name: str) -> bool:
    """Whether the method of a quantity did not come near its tolerance, and not on purpose.

    A curve is trained for a fixed number of steps, so for a curve this is normal.
    """
    value = row.quantities.get(name)
    return (
        name in QUANTITIES
        and QUANTITIES[name].metric == "hessian"
        and isinstance(value, Measured)
        and value.converged is False
        and name not in remaining(row)
        and (value.stderr is None or value.stderr > _ROUGH * abs(value.value))
    )


def question(node: Node) -> str:
    """Write the question of a split, or the answer of a leaf."""
    from mdtree.trees.node import KNOWN, Leaf

    if isinstance(node, Leaf):
        return plain(node.answer)
    name = feature_name(node.feature)
    if node.threshold == KNOWN:
        return f"{name} is known"
    return f"{name} ≤ {feature_number(node.feature, node.threshold)}"


def feature_name(name: str) -> str:
    """Write the name of a feature; people know a quantity without its logarithm."""
    from mdtree.trees import FEATURES

    is_logarithm = name in FEATURES and FEATURES[name].logarithm
    return plain(name.removeprefix("log_") if is_logarithm else name)


def feature_number(name: str, value: float, *, unit: bool = True) -> str:
    """Write a value of a feature; a logarithm as the number itself."""
    from mdtree.trees import FEATURES

    if name not in FEATURES:
        return short(value)
    original = math.exp(min(value, 700.0)) if FEATURES[name].logarithm else value
    return with_unit(short(original), FEATURES[name].unit if unit else "")


def duration(seconds: float) -> str:
    """Write a time as people say it.

    >>> duration(0.2), duration(90), duration(600), duration(9000)
    ('under a second', '90 s', '10 min', '2.5 h')
    """
    if seconds < 1:
        return "under a second"
    if seconds < 2 * _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < 2 * _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    return f"{seconds / _HOUR:.1f} h"


def about(seconds: float) -> str:
    """Write a time that was estimated.

    >>> about(0.2), about(90)
    ('under a second', 'about 90 s')
    """
    text = duration(seconds)
    return text if seconds < 1 else f"about {text}"


def estimated_duration(seconds: float, low: float, high: float) -> str:
    """Write an estimated time, with its range where that can be told from it.

    >>> estimated_duration(720, 610, 890), estimated_duration(100, 90, 150)
    ('about 12 min (10 to 15 min)', 'about 100 s (90 s to 2 min)')
    >>> estimated_duration(30, 29.8, 30.2), estimated_duration(0.1, 0.1, 0.2)
    ('about 30 s', 'under a second')
    """
    text, first, last = (duration(each) for each in (seconds, low, high))
    if first == last:
        return about(seconds)
    if text == first and seconds < 1:
        return f"under a second (up to {last})"
    (number, _, unit), (_, _, other) = (each.rpartition(" ") for each in (first, last))
    return f"{about(seconds)} ({number if unit == other else first} to {last})"

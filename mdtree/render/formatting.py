"""Formatting of the page: numbers as people write them, names and questions as people say them."""

from __future__ import annotations

import math

from mdtree.rows import QUANTITIES, Measured
from mdtree.trees import FEATURES, Leaf, Node
from mdtree.trees.node import KNOWN

__all__ = [
    "feature_name",
    "feature_number",
    "number",
    "plain",
    "question",
    "sentence",
    "share",
    "short",
    "with_error",
    "with_unit",
]

_ROUNDING = 1e-9  # a smaller relative error is one of arithmetic
_SPELT = {"cka": "CKA", "hessian": "Hessian"}
_LONG = 1e3, 1e9  # numbers between them are written in full, with commas


def plain(name: str) -> str:
    """Say a name of ours.

    >>> plain("data_small"), plain("log_hessian_top"), plain("cka")
    ('data small', 'log Hessian top', 'CKA')
    """
    return " ".join(_SPELT.get(word, word) for word in name.split("_"))


def sentence(text: str) -> str:
    """Begin with a capital letter, end with a full stop, and stay on one line.

    >>> sentence("cka 0.2 <= 0.3: alike"), sentence("hessian_top was not measured")
    ('CKA 0.2 ≤ 0.3: alike.', 'hessian_top was not measured.')
    """
    line = " ".join(text.split()).replace(" <= ", " ≤ ").replace(" -> ", " → ")
    first, space, rest = line.partition(" ")
    if "_" not in first:  # a name stays as it is
        first = _SPELT.get(first, f"{first[:1].upper()}{first[1:]}")
    return f"{first}{space}{rest}{'' if line.endswith(('.', '!', '?')) else '.'}"


def question(node: Node) -> str:
    """Say what a tree asks, or answers."""
    if isinstance(node, Leaf):
        return plain(node.answer)
    name = feature_name(node.feature)
    if node.threshold == KNOWN:
        return f"{name} is known"
    return f"{name} ≤ {feature_number(node.feature, node.threshold)}"


def share(value: float) -> str:
    """Write a probability in percent, without claiming certainty.

    >>> share(0.5364), share(0.9996), share(0.002)
    ('54 %', 'over 99 %', 'under 1 %')
    """
    percent = 100 * value
    if 0 < percent < 0.5:  # noqa: PLR2004 - it would be written as 0
        return "under 1 %"
    if 99.5 <= percent < 100:  # noqa: PLR2004 - it would be written as 100
        return "over 99 %"
    return f"{percent:.0f} %"


def short(value: float, *, digits: int = 3) -> str:
    """Write a number in few letters.

    >>> short(7.9919), short(12034.5), short(0.000123), short(-0.0)
    ('7.99', '12,034', '0.000123', '0')
    """
    least, most = _LONG
    if least <= abs(value) < most:
        return f"{value:,.0f}"
    return f"{value + 0.0:.{digits}g}"


def number(value: float, stderr: float | None) -> str:
    """Write a number with its standard error: 12.34 ± 0.56, to two digits of the error."""
    if stderr is None or stderr <= _ROUNDING * max(abs(value), _ROUNDING):
        return short(value)
    digits = max(0, 1 - math.floor(math.log10(stderr)))
    if digits > 6 or max(abs(value), stderr) >= _LONG[1]:  # noqa: PLR2004 - more than eyes count
        return f"{value:.3g} ± {stderr:.2g}"
    return f"{value:,.{digits}f} ± {stderr:,.{digits}f}"


def with_unit(text: str, unit: str) -> str:
    """Put the unit behind a number, where there is one."""
    return f"{text} {unit}" if unit else text


def with_error(name: str, value: Measured) -> str:
    """Write the value of a quantity, with its error and unit."""
    unit = QUANTITIES[name].unit if name in QUANTITIES else ""
    return with_unit(number(value.value, value.stderr), unit)


def feature_name(name: str) -> str:
    """Say a feature; what people know without its logarithm is named without it."""
    is_logarithm = name in FEATURES and FEATURES[name].logarithm
    return plain(name.removeprefix("log_") if is_logarithm else name)


def feature_number(name: str, value: float, *, unit: bool = True) -> str:
    """Write a value of a feature; a logarithm as the number itself."""
    if name not in FEATURES:
        return short(value)
    original = math.exp(min(value, 700.0)) if FEATURES[name].logarithm else value
    return with_unit(short(original), FEATURES[name].unit if unit else "")

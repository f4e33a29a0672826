"""Numbers, gains, names and questions as people write them: for the terminal and for the page."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mdtree.failure_modes import FAILURE_MODES
from mdtree.messages import chance, number, percent, short
from mdtree.rows import QUANTITIES, Measured, Row, remaining

if TYPE_CHECKING:
    from mdtree.diagnosis import Gain, Verdict
    from mdtree.trees import Node

__all__ = [
    "COARSE",
    "TO_TOLERANCE",
    "chance",
    "change",
    "feature_name",
    "feature_number",
    "fixed",
    "is_unconverged",
    "meaning",
    "number",
    "percent",
    "plain",
    "points",
    "prediction_set",
    "question",
    "resources",
    "scale_of_gains",
    "sentence",
    "short",
    "support",
    "target",
    "typeset",
    "with_error",
    "with_unit",
]

COARSE = "as precise as the verdict needs"  # why a quantity is less precise than usual
TO_TOLERANCE = "not to the tolerance; mdtree measure goes on from there"

_SPELT = {"cka": "CKA", "hessian": "Hessian"}
_ROUGH = 0.25  # of a value: a larger error can be seen in its logarithm
_FIXED = 100.0  # larger numbers need no digits behind the point


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
    bound, spread = gain.range_words
    amount = with_unit(f"{bound} {gain.mean:+.1f}".lstrip(), unit)
    return f"{amount} ({spread})" if spread else amount


def resources(verdict: Verdict) -> str | None:
    """Compare more data with a larger network, the most frequent question, for any verdict."""
    if verdict.resources is None:
        return None
    gains = {gain.mode: gain for gain in verdict.gains}
    changes = {"data_small": "more data", "model_small": "a larger network"}
    first, second = sorted(changes, key=lambda mode: mode != verdict.resources)
    return (
        f"more data or a larger network? {changes[first]}: {points(gains.get(first), 'points')}; "
        f"{changes[second]}: {points(gains.get(second))}"
    )


def meaning(verdict: Verdict) -> str:
    """Write what the answer of a sure verdict means; `none` is measured against a target."""
    target = verdict.target
    if verdict.mode != "none" or target is None or target.gap is None:
        return FAILURE_MODES[verdict.mode]
    return "the target is reached" if target.is_reached else "nothing here closes the gap"


def target(verdict: Verdict) -> str | None:
    """Write how far off the target is, if there is one."""
    target = verdict.target
    if target is None:
        return None
    aim = "unknown" if target.accuracy is None else f"{target.accuracy:.10g} %"
    name = f"target: {aim} test accuracy"
    if target.measured is None or target.gap is None or target.noise is None:
        return f"{name}; nothing to compare it with: {target.missing}"
    now = f"measured {target.measured:.1f} %"
    if target.is_reached:
        return f"{name}; {now}: reached{', within the noise' if target.gap else ''}"
    noise = f" (noise: {target.noise:.1f} points)" if target.noise else ""
    return f"{name}; {now}, {target.gap:.1f} points below it{noise}"


def scale_of_gains(verdict: Verdict) -> str:
    """Write what gains are measured in, or against."""
    target = verdict.target
    if target is None or target.gap is None:
        return "in points of test accuracy"
    return f"of the {target.gap:.1f} points to the target"


def prediction_set(verdict: Verdict) -> str | None:
    """Write the prediction set of the largest coverage.

    That of a smaller one may hold a single answer which is improbable: it covers as many groups
    over all, because it covers those with a sure answer more often.
    """
    if not verdict.answers:
        return None
    coverage = max(verdict.answers, key=float)
    answers = " or ".join(verdict.answers[coverage])
    return f"{percent(float(coverage))} prediction set: {answers}"


def change(gain: Gain) -> str:
    """Write which fact a change alters, and how, as far as known."""
    if gain.fact is None:
        return ""
    if gain.old is not None and gain.new is not None:
        return f"{plain(gain.fact)} {gain.old:.10g} -> {gain.new:.10g}"
    return "" if gain.factor is None else f"{plain(gain.fact)} times {short(gain.factor)}"


def support(verdict: Verdict) -> Iterator[str]:
    """Yield the share of plausible trees and of resamples that give the answer, as far as known.

    Then what was measured less precisely than usual.
    """
    if verdict.agreement is not None:
        yield f"{percent(verdict.agreement)} of the plausible trees give this answer"
    if verdict.stability is not None:
        yield f"stable in {percent(verdict.stability)} of resamples within measurement error"
    if verdict.coarse:
        names = ", ".join(name.replace("_", " ") for name in verdict.coarse)
        yield f"{COARSE}: {names} (--full-precision goes on to the tolerance)"


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

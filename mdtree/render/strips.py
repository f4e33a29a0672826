"""Strips: where each measured number lies among the training groups of the tree.

A strip shows ranks, not values: from the smallest of the training groups to the largest, with half
of them left of the middle. So all strips are comparable, however skewed a quantity is.
The shapes that all strips share (#cut, #mark) are drawn once, in templates/shapes.html.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mdtree.diagnosis import DecisionStep
from mdtree.diagnosis.resampling import resampled, standard_errors
from mdtree.messages import number, scaled
from mdtree.render.formatting import (
    feature_name,
    feature_number,
    power_of_ten,
    with_error,
    with_unit,
)
from mdtree.render.svg import Markup, element, percent
from mdtree.rows import QUANTITIES, Measured, Missing, Row
from mdtree.trees import FEATURES, SavedTree, TrainingDistribution
from mdtree.trees.node import KNOWN

__all__ = ["Mark", "absent", "marks", "scales", "strip_of"]

_EDGE = 7.0  # percent of the picture, for values beyond all training groups
_LABELS = (0.0, 0.25, 0.5, 0.75, 1.0)
_FEW = 2  # quantiles that are a range and not a distribution
_PLAIN = 1e-3, 1e6  # labels between them are written in full
_SPARE = (0.25, 0.75)  # labels that narrow screens leave out


@dataclass(frozen=True, kw_only=True)
class Mark:
    """One feature of a group, among the training groups."""

    feature: str
    quantiles: tuple[float, ...]  # of the training groups, or their least and largest value
    value: float | None
    stderr: float  # 0: not known
    thresholds: tuple[float, ...]  # of the decision path
    text: str  # the number, or why there is none

    def level(self, value: float) -> float:
        """Return the share of the training groups that lies below a value."""
        all_of_them = TrainingDistribution(
            quantiles={self.feature: self.quantiles}, names=(), correlation=(), limit=math.inf
        )
        return all_of_them.level(self.feature, value) or 0.0

    @property
    def beyond(self) -> bool:
        """Whether the value lies outside the range of the training groups."""
        return self.value is not None and not self.quantiles[0] <= self.value <= self.quantiles[-1]


def marks(row: Row, saved: SavedTree, steps: Sequence[DecisionStep]) -> Iterator[Mark]:
    """Yield a mark for each feature of the tree, the features of the walk first."""
    values, errors = _values(row, saved)
    thresholds: dict[str, tuple[float, ...]] = {}
    for step in steps:
        cuts = () if step.threshold == KNOWN else (step.threshold,)
        thresholds[step.feature] = (*thresholds.get(step.feature, ()), *cuts)
    for name in dict.fromkeys([*thresholds, *saved.features]):
        quantiles = _quantiles(name, saved)
        if quantiles is not None:
            value = values.get(name)
            stderr = errors.get(name, 0.0)
            yield Mark(
                feature=name,
                quantiles=quantiles,
                value=value,
                stderr=stderr,
                thresholds=thresholds.get(name, ()),
                text=_value_text(name, value, stderr, row),
            )


def scales(saved: SavedTree, name: str) -> Iterator[Markup]:
    """Draw the scale of each feature once, for the strips of all groups."""
    for feature in saved.features:
        quantiles = _quantiles(feature, saved)
        if quantiles is not None:
            parts = (*_bands(quantiles), *_labels(feature, quantiles))
            yield element("g", *parts, id=f"{name}-{feature}", class_="scale")


def absent(found: Sequence[Mark]) -> list[tuple[str, list[str]]]:
    """Return which features have no number: each reason, with the names of its features."""
    reasons: dict[str, list[str]] = {}
    for mark in found:
        if mark.value is None:
            reasons.setdefault(mark.text, []).append(feature_name(mark.feature))
    return list(reasons.items())


def strip_of(mark: Mark, name: str) -> dict[str, Any]:
    """Return what the page shows for a mark with a value; `name` is that of its tree's scales."""
    return {
        "name": feature_name(mark.feature),
        "meaning": FEATURES[mark.feature].meaning.removeprefix("natural logarithm of "),
        "text": mark.text,
        "where": "" if mark.value is None else _where(mark, mark.value),
        "drawing": element(
            "svg",
            element("use", href=f"#{name}-{mark.feature}"),
            *(_cut(mark, threshold) for threshold in mark.thresholds),
            *([] if mark.value is None else _point(mark, mark.value)),
            class_="strip",
            aria_hidden="true",  # the text beside it says the same
        ),
    }


def _values(row: Row, saved: SavedTree) -> tuple[dict[str, float], dict[str, float]]:
    """Return the known features, and the standard errors that the diagnoser uses."""
    line = saved.matrix([row], allow_protocol_mismatch=True)[0]
    draws = resampled(row, saved)
    values = {n: float(v) for n, v in zip(saved.features, line, strict=True) if math.isfinite(v)}
    errors = standard_errors(values, row, saved, draws)
    return values, {
        name: errors[name] for name, value in values.items() if _is_error(errors[name], value)
    }


def _is_error(spread: float, value: float) -> bool:
    """Whether a spread is more than the rounding of arithmetic."""
    return math.isfinite(spread) and spread > 1e-9 * max(abs(value), 1e-3)


def _quantiles(name: str, saved: SavedTree) -> tuple[float, ...] | None:
    """Return the quantiles of a feature from end to end, or its range if the tree has none."""
    quantiles = {} if saved.population is None else saved.population.quantiles
    values, ends = quantiles.get(name), saved.ranges.get(name)
    if values is None or ends is None:
        return values or ends
    low, high = ends  # quantiles are rounded
    return (min(low, values[0]), *values[1:-1], max(high, values[-1]))


def _value_text(name: str, value: float | None, stderr: float, row: Row) -> str:
    feature = FEATURES[name]
    if value is None:
        return next(_reasons(feature.needs, row), "not known")
    measured = row.quantities.get(feature.needs[0])
    if len(feature.needs) == 1 and isinstance(measured, Measured):
        return with_error(feature.needs[0], measured)
    if feature.logarithm:  # an error of a logarithm is a factor
        written = scaled(math.exp(min(value, 700.0)), math.exp(stderr), commas=True)
        return with_unit(written, feature.unit)
    return with_unit(number(value, stderr, commas=True), feature.unit)


def _reasons(needs: Sequence[str], row: Row) -> Iterator[str]:
    for need in needs:
        quantity = row.quantities.get(need)
        if isinstance(quantity, Missing):
            yield f"not measured: {quantity.missing}"
        elif quantity is None and need in QUANTITIES:
            yield "not measured"
        elif isinstance(quantity, Measured) and quantity.value <= 0:
            yield f"{with_error(need, quantity)}, which has no logarithm"


def _where(mark: Mark, value: float) -> str:
    """Describe where a value lies."""
    if mark.beyond:
        return f"{'below' if value < mark.quantiles[0] else 'above'} all training groups"
    level = mark.level(value)
    if len(mark.quantiles) == _FEW:
        return "inside the range of the training groups"
    if min(level, 1 - level) < 0.05:  # noqa: PLR2004 - as the outer band
        return f"in the {'lowest' if level < 0.5 else 'highest'} 5 %"  # noqa: PLR2004
    if min(level, 1 - level) < 0.25:  # noqa: PLR2004 - as the inner band
        return f"in the {'lower' if level < 0.5 else 'upper'} quarter"  # noqa: PLR2004
    return "in the middle half"


def _bands(quantiles: tuple[float, ...]) -> Iterator[Markup]:
    shares = [(0.0, 1.0, "all")]
    if len(quantiles) > _FEW:
        shares += [(0.05, 0.95, "most"), (0.25, 0.75, "half")]
    for low, high, name in shares:
        start, end = _place(low), _place(high)
        place = {"x": percent(start), "width": percent(end - start)}
        yield element("rect", **place, y=-6, height=12, class_=name)


def _labels(feature: str, quantiles: tuple[float, ...]) -> Iterator[Markup]:
    levels = np.linspace(0, 1, len(quantiles))
    for share in _LABELS if len(quantiles) > _FEW else _LABELS[:: len(_LABELS) - 1]:
        value = float(np.interp(share, levels, quantiles))
        kind = "spare" if share in _SPARE else None
        yield element("text", _label(feature, value), x=percent(_place(share)), y=20, class_=kind)


def _label(feature: str, value: float) -> str:
    """Write a number below a strip; a large or a tiny one by its power of ten."""
    number = math.exp(min(value, 700.0)) if FEATURES[feature].logarithm else value
    least, most = _PLAIN
    if number == 0 or least <= abs(number) < most:
        return feature_number(feature, value, unit=False)
    digits, power = f"{number:.1e}".split("e")
    times = digits.removesuffix(".0")
    return f"{times}·{power_of_ten(int(power))}"


def _cut(mark: Mark, threshold: float) -> Markup:
    title = f"the tree asks: at most {feature_number(mark.feature, threshold)}?"
    place = percent(_at(mark, threshold))
    return element("use", element("title", title), href="#cut", x=place)


def _point(mark: Mark, value: float) -> Iterator[Markup]:
    if mark.stderr:
        low, high = (percent(_at(mark, value + sign * mark.stderr)) for sign in (-1, 1))
        yield element("line", x1=low, x2=high)
    yield element("use", href="#mark", x=percent(_at(mark, value)))


def _at(mark: Mark, value: float) -> float:
    """Return the place of a value; a value beyond all training groups stands beside them."""
    if value < mark.quantiles[0]:
        return _EDGE / 3
    if value > mark.quantiles[-1]:
        return 100 - _EDGE / 3
    return _place(mark.level(value))


def _place(level: float) -> float:
    return _EDGE + (100 - 2 * _EDGE) * level

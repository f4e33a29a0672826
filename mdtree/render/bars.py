"""Bars: the probability of each answer, and the gain of each change.

The shapes that all bars share (#needed, #cap) are drawn once, in templates/shapes.html.
"""

from __future__ import annotations

from mdtree.diagnosis import Gain
from mdtree.render.plot import PlotAxis
from mdtree.render.svg import Markup, element, percent

__all__ = ["gain_bar", "probability_bar"]


def probability_bar(value: float, needed: float) -> Markup:
    """Draw a probability, and the confidence that a verdict needs."""
    threshold = element("use", href="#needed", x=percent(100 * needed))
    return _picture(_line(0.0, 100 * value, "thick"), threshold)


def gain_bar(gain: Gain, axis: PlotAxis) -> Markup:
    """Draw a gain, and the interval that held for four in five groups."""
    start, end = (axis.at(value) for value in sorted((0.0, gain.mean)))
    interval = []
    if gain.low is not None and gain.high is not None:
        ends = axis.at(gain.low), axis.at(gain.high)
        caps = (element("use", href="#cap", x=percent(x)) for x in ends)
        interval = [_line(*ends, "whisker"), *caps]
    return _picture(_line(start, end, "thick"), *interval)


def _picture(*parts: Markup) -> Markup:
    """Put parts together; the text beside them says what they show."""
    return element("svg", *parts, class_="bar", aria_hidden="true")


def _line(start: float, end: float, kind: str) -> Markup:
    x1 = percent(start) if start else None
    return element("line", x1=x1, x2=percent(end), y1="50%", y2="50%", class_=kind)

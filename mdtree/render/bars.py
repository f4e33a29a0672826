"""Bars: how probable each answer is, and what each change gains."""

from __future__ import annotations

from mdtree.diagnosis import Gain
from mdtree.render.axis import PlotAxis
from mdtree.render.svg import Markup, element, percent

__all__ = ["gain_bar", "probability_bar"]


def probability_bar(value: float, needed: float) -> Markup:
    """Draw a probability, and the confidence that a verdict needs."""
    x = percent(100 * needed)
    return _picture(
        _line("0%", percent(100 * value), "thick"),
        element("line", x1=x, x2=x, y2="100%", class_="needed"),
    )


def gain_bar(gain: Gain, axis: PlotAxis) -> Markup:
    """Draw a gain, and the interval that held for four of five groups."""
    start, end = (percent(axis.at(value)) for value in sorted((0.0, gain.mean)))
    interval = []
    if gain.low is not None and gain.high is not None:
        low, high = (percent(axis.at(value)) for value in (gain.low, gain.high))
        interval = [
            _line(low, high, "whisker"),
            *(
                element("line", x1=x, x2=x, y1="28%", y2="72%", class_="whisker")
                for x in (low, high)
            ),
        ]
    return _picture(_line(start, end, "thick"), *interval)


def _picture(*parts: Markup) -> Markup:
    """Put parts together; what they show stands beside them in words."""
    return element("svg", *parts, class_="bar", aria_hidden="true")


def _line(start: str, end: str, kind: str) -> Markup:
    return element("line", x1=start, x2=end, y1="50%", y2="50%", class_=kind)

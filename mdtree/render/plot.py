"""Plots: curves and dots on two axes, whose ticks are round numbers.

No plotting library is needed. Places are in percent of the picture, so it fills its column while
letters and strokes keep their size; it takes its colours from the page.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from mdtree.render.formatting import power_of_ten, short
from mdtree.render.svg import Markup, element, path, percent, picture

__all__ = ["Plot", "PlotAxis", "linear", "logarithmic"]

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_TICKS = 5  # at most, besides the first
_LARGEST, _SMALLEST = 1e100, 1e-100  # numbers beyond are drawn there
_FLAT = 0.02  # of a value; a smaller change is not drawn, so that ticks differ
_DECADES = 4  # ticks at most
_MIDDLE = 50.0  # percent
_Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, kw_only=True)
class PlotAxis:
    """One direction of a picture."""

    label: str
    low: float
    high: float
    ticks: tuple[float, ...]
    decades: bool = False  # logarithmic

    def at(self, value: float) -> float:
        """Return the place of a number from 0 to 100; a number outside is put on the edge."""
        clipped = min(max(value, self.low), self.high)
        if self.decades:
            percent = 100 * math.log(clipped / self.low) / math.log(self.high / self.low)
            return min(max(percent, 0.0), 100.0)
        half = self.high / 2 - self.low / 2  # halves do not overflow
        percent = 50 * (clipped / 2 - self.low / 2) / half * 2 if half else 50.0
        return min(max(percent, 0.0), 100.0)  # rounding may end slightly outside

    def written(self, tick: float) -> str:
        """Write a tick."""
        if self.decades and not 0.01 <= tick <= 100:  # noqa: PLR2004 - too many zeros to read
            return power_of_ten(round(math.log10(tick)))
        return short(tick, digits=4)


def linear(
    label: str, values: Iterable[float], *, least: float = 0.0, snug: bool = False
) -> PlotAxis:
    """Return an axis that holds all values and spans at least `least`.

    It begins and ends on a tick or, if `snug`, with the values.
    """
    clipped = [min(max(value, -_LARGEST), _LARGEST) for value in values] or [0.0]
    low, high = min(clipped), max(clipped)
    span = max(high - low, least, _FLAT * max(abs(low), abs(high)), 1e-12)
    step = _step(span)
    first = math.floor(low / step + 1e-9)
    last = max(math.ceil(max(high, low + least) / step - 1e-9), first + 1)
    ticks = tuple(float(f"{count * step:.12g}") for count in range(first, last + 1))
    if snug and low < high:
        inside = tuple(tick for tick in ticks if low <= tick <= high)
        return PlotAxis(label=label, low=low, high=high, ticks=inside)
    return PlotAxis(label=label, low=ticks[0], high=ticks[-1], ticks=ticks)


def _step(span: float) -> float:
    """Choose a round step that gives few ticks."""
    power = 10.0 ** math.floor(math.log10(span / _TICKS))
    return next(step * power for step in _STEPS if step * power * _TICKS >= span * (1 - 1e-9))


def logarithmic(label: str, values: Iterable[float], *, decades: int = 8) -> PlotAxis:
    """Return an axis of at most `decades`, down from the power of ten above all values."""
    clipped = [min(max(value, _SMALLEST), _LARGEST) for value in values if value > 0] or [1.0]
    top = math.ceil(math.log10(max(clipped)) - 1e-9)
    bottom = max(min(math.floor(math.log10(min(clipped))), top - 1), top - decades)
    step = -(-(top - bottom) // _DECADES)
    ticks = tuple(10.0**power for power in range(top, bottom - 1, -step))
    return PlotAxis(label=label, low=10.0**bottom, high=10.0**top, ticks=ticks, decades=True)


@dataclass(frozen=True)
class Plot:
    """The frame of a picture, and what draws into it."""

    x: PlotAxis
    y: PlotAxis

    def drawn(self, marks: Iterable[Markup], description: str) -> Markup:
        """Draw the axes with marks on them."""
        return picture(
            description,
            *self._ticks(),
            *marks,
            element("text", self.y.label, x=0, y=0, dx=-4, dy=-12),
            element("text", self.x.label, x="100%", y="100%", dy=36, class_="end"),
            class_="plot",
        )

    def _ticks(self) -> Iterator[Markup]:
        for tick in self.y.ticks:
            y, words = self._top(tick), self.y.written(tick)
            yield element("line", x2="100%", y1=y, y2=y, class_="grid")
            yield element("text", words, x=0, y=y, dx=-8, dy=4, class_="tick end")
        for tick in self.x.ticks:
            x, words = percent(self.x.at(tick)), self.x.written(tick)
            yield element("text", words, x=x, y="100%", dy=18, class_="tick centred")

    def curve(self, points: _Points, kind: str) -> Markup:
        """Join points by straight lines."""
        way = path((self.x.at(x), 100 - self.y.at(y)) for x, y in points)
        return element(  # a picture inside the picture, because a path cannot have percent
            "svg",
            element("path", d=way, class_=kind),
            viewBox="0 0 100 100",
            preserveAspectRatio="none",
            width="100%",
            height="100%",
            class_="stretched",
        )

    def area(self, points: _Points, kind: str) -> Markup:
        """Fill the area under a curve."""
        return self.curve([(points[0][0], self.y.low), *points, (points[-1][0], self.y.low)], kind)

    def band(self, low: float, high: float, kind: str) -> Markup:
        """Fill the band between two values of y."""
        height = percent(self.y.at(high) - self.y.at(low))
        return element("rect", y=self._top(high), width="100%", height=height, class_=kind)

    def bar(self, x: float, low: float, high: float, kind: str) -> Markup:
        """Draw an error bar."""
        place = percent(self.x.at(x))
        return element(
            "line", x1=place, x2=place, y1=self._top(low), y2=self._top(high), class_=kind
        )

    def upright(self, x: float, kind: str) -> Markup:
        """Draw a line from bottom to top."""
        place = percent(self.x.at(x))
        return element("line", x1=place, x2=place, y1=0, y2="100%", class_=kind)

    def words(self, x: float, texts: Sequence[str], kind: str) -> Iterator[Markup]:
        """Write texts below each other, at the top, on the side of a place that has more room."""
        is_left = self.x.at(x) < _MIDDLE
        for number, text in enumerate(texts, start=1):
            yield element(
                "text",
                text,
                x=percent(self.x.at(x)),
                y=0,
                dx=6 if is_left else -6,
                dy=16 * number - 2,
                class_=kind if is_left else f"{kind} end",
            )

    def dot(self, x: float, y: float, kind: str, title: str, *, radius: float = 3.5) -> Markup:
        """Draw a point with a tooltip."""
        where = {"cx": percent(self.x.at(x)), "cy": self._top(y)}
        return element("circle", element("title", title), **where, r=radius, class_=kind)

    def _top(self, y: float) -> str:
        return percent(100 - self.y.at(y))

"""Plots: curves and dots on two axes.

No plotting library is needed. Places are in percent of the picture, so it fills its column while
letters and strokes keep their size; it takes its colours from the page.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from mdtree.render.axis import PlotAxis
from mdtree.render.svg import Markup, element, path, percent, picture

__all__ = ["Plot"]

_MIDDLE = 50.0  # percent
_Points = Sequence[tuple[float, float]]


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

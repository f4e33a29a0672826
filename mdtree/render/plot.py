"""Plots: curves and dots on two axes.

Drawn by us, without a plotting library: places are percent of the picture, so that it is as wide as
its column while letters and strokes keep their size, and it takes its colours from the page.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mdtree.render.axis import PlotAxis
from mdtree.render.markup import Markup, joined, tag

__all__ = ["Plot"]


@dataclass(frozen=True)
class Plot:
    """The frame of a picture, and what draws into it."""

    x: PlotAxis
    y: PlotAxis

    def drawn(self, marks: Iterable[Markup], description: str) -> Markup:
        """Draw the axes with marks on them; `description` is said to those who do not see it."""
        return tag(
            "svg",
            tag("title", description),
            self._lines(),
            joined(marks),
            tag("text", self.y.label, x=0, y=0, dx=-4, dy=-12, class_="label"),
            tag("text", self.x.label, x="100%", y="100%", dy=36, class_="label end"),
            class_="plot",
            role="img",
            aria_label=description,
        )

    def _lines(self) -> Markup:
        parts = []
        for tick in self.y.ticks:
            y = _percent(100 - self.y.at(tick))
            parts.append(tag("line", x1=0, x2="100%", y1=y, y2=y, class_="grid"))
            words = self.y.written(tick)
            parts.append(tag("text", words, x=0, y=y, dx=-8, dy=4, class_="tick end"))
        for tick in self.x.ticks:
            words = self.x.written(tick)
            x = _percent(self.x.at(tick))
            parts.append(tag("text", words, x=x, y="100%", dy=18, class_="tick centred"))
        return joined(parts)

    def curve(self, points: Sequence[tuple[float, float]], kind: str) -> Markup:
        """Join points by straight lines."""
        return self._stretched(tag("path", d=self._way(points), class_=kind))

    def area(self, points: Sequence[tuple[float, float]], kind: str) -> Markup:
        """Fill what lies under a curve."""
        ends = [(points[0][0], self.y.low), *points, (points[-1][0], self.y.low)]
        return self._stretched(tag("path", d=Markup(f"{self._way(ends)}Z"), class_=kind))

    def band(self, low: float, high: float, kind: str) -> Markup:
        """Fill what lies between two values of y."""
        top, bottom = 100 - self.y.at(high), 100 - self.y.at(low)
        return tag(
            "rect",
            x=0,
            y=_percent(top),
            width="100%",
            height=_percent(bottom - top),
            class_=kind,
        )

    def stem(self, x: float, y: float, kind: str) -> Markup:
        """Draw a line from the bottom up to a point."""
        place = _percent(self.x.at(x))
        return tag(
            "line", x1=place, x2=place, y1="100%", y2=_percent(100 - self.y.at(y)), class_=kind
        )

    def dot(self, x: float, y: float, kind: str, title: str | None = None) -> Markup:
        """Draw a point, which can tell what it is."""
        return tag(
            "circle",
            None if title is None else tag("title", title),
            cx=_percent(self.x.at(x)),
            cy=_percent(100 - self.y.at(y)),
            r=3.5,
            class_=kind,
        )

    def _way(self, points: Sequence[tuple[float, float]]) -> Markup:
        places = [f"{self.x.at(x):.2f} {100 - self.y.at(y):.2f}" for x, y in points]
        return Markup("M" + "L".join(places))

    @staticmethod
    def _stretched(part: Markup) -> Markup:
        """Let a path have percent too."""
        return tag(
            "svg",
            part,
            viewBox="0 0 100 100",
            preserveAspectRatio="none",
            width="100%",
            height="100%",
            class_="stretched",
        )


def _percent(value: float) -> str:
    return f"{round(value, 2) + 0.0:g}%"

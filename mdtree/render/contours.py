"""Contours of numbers on a grid: their levels are round numbers, their lines marching squares.

The border between numbers below a level and those at or above it crosses an edge of a cell where
linear interpolation between its corners meets the level.  Where both diagonals disagree (a saddle),
the mean of the four corners decides which of them is joined.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mdtree.render.plot import linear
from mdtree.trees.arrays import Floats

__all__ = ["Scale", "contours", "regions", "scale"]

_Point = tuple[float, float]
_Edge = tuple[bool, int, int]  # whether it leads along a line of the grid, its line, its column
_WANTED = 7  # levels
_DECADE = 10.0  # of the largest over the smallest loss: from there on levels are logarithmic
_SMALLEST = 1e-90  # a loss below is not drawn in powers of ten
_DEPTH = 1e-6  # of the highest loss: what lies below is drawn there
_FLAT = 0.02  # of a value: within it, levels would not differ as they are written
_STEPS = (1.0, 2.0, 2.5, 5.0)  # times a power of ten, between levels
# the levels of each decade, from many to one
_DECADES = ((1, 1.5, 2, 3, 4, 5, 6, 8), (1, 1.5, 2, 3, 5, 7), (1, 2, 3, 5), (1, 2, 5), (1, 3), (1,))
_INK = 0.85  # of the highest band


def contours(
    xs: Sequence[float], ys: Sequence[float], heights: Floats, level: float
) -> list[list[_Point]]:
    """Return the lines on which the heights have a level; the first point of a loop ends it too.

    Args:
        xs: The places of the columns, in order.
        ys: The places of the lines, in order.
        heights: Finite numbers, a line for each y and a column for each x.
        level: The level.

    Examples:
        >>> contours([0, 1], [0, 1], np.array([[0.0, 4.0], [0.0, 4.0]]), 1.0)
        [[(0.25, 0), (0.25, 1)]]
    """
    neighbours: dict[_Edge, list[_Edge]] = {}
    for first, second in _segments(heights >= level, heights, level):
        neighbours.setdefault(first, []).append(second)
        neighbours.setdefault(second, []).append(first)
    ends = [edge for edge, others in neighbours.items() if len(others) == 1]
    lines = []
    for start in (*ends, *neighbours):  # what has no end is a loop
        line = _followed(start, neighbours)
        if line:
            lines.append([_crossing(xs, ys, heights, level, edge) for edge in line])
    return lines


def regions(
    xs: Sequence[float], ys: Sequence[float], heights: Floats, level: float
) -> list[list[_Point]]:
    """Return the loops around all heights at or above a level; filled by the even-odd rule.

    The grid gets a border without width that lies below the level, so that every line is a loop.
    """
    padded = np.pad(heights, 1, constant_values=min(float(heights.min()), level) - 1)
    return contours([xs[0], *xs, xs[-1]], [ys[0], *ys, ys[-1]], padded, level)


def _segments(inside: np.ndarray, heights: Floats, level: float) -> Iterator[tuple[_Edge, _Edge]]:
    """Yield the pairs of edges that the border joins inside each cell."""
    lines, columns = heights.shape
    for i in range(lines - 1):
        for j in range(columns - 1):
            corners = [(i, j), (i, j + 1), (i + 1, j + 1), (i + 1, j)]
            within = [bool(inside[corner]) for corner in corners]
            edges = [(True, i, j), (False, i, j + 1), (True, i + 1, j), (False, i, j)]
            crossed = [
                edge
                for number, edge in enumerate(edges)
                if within[number] != within[(number + 1) % 4]
            ]
            if len(crossed) == 2:  # noqa: PLR2004 - one line
                yield crossed[0], crossed[1]
            elif crossed:
                middle = sum(float(heights[corner]) / 4 for corner in corners)
                joined = (middle >= level) == within[0]  # the first corner with the third
                first, second, third, fourth = crossed
                yield (first, second) if joined else (fourth, first)
                yield (third, fourth) if joined else (second, third)


def _followed(start: _Edge, neighbours: dict[_Edge, list[_Edge]]) -> list[_Edge]:
    """Follow a line from edge to edge, and take it away; empty if it was followed before."""
    line = [start]
    while neighbours[line[-1]]:
        here = line[-1]
        following = neighbours[here].pop()
        neighbours[following].remove(here)
        line.append(following)
    return line if len(line) > 1 else []


def _crossing(
    xs: Sequence[float], ys: Sequence[float], heights: Floats, level: float, edge: _Edge
) -> _Point:
    """Interpolate along an edge."""
    along, i, j = edge
    start, end = float(heights[i, j]), float(heights[(i, j + 1) if along else (i + 1, j)])
    share = (level - start) / (end - start)
    places = xs[j : j + 2] if along else ys[i : i + 2]
    place = places[0] + share * (places[1] - places[0])
    return (place, ys[i]) if along else (xs[j], place)


@dataclass(frozen=True, kw_only=True)
class Scale:
    """The levels between bands, and how heights are compared with them."""

    levels: tuple[float, ...]
    floor: float | None  # of a logarithmic scale: what lies below is drawn there

    def ink(self, number: int) -> float:
        """Return the opacity of a layer over those below it, so that bands darken evenly."""
        each = _INK / len(self.levels)
        return each / (1 - number * each)

    def height(self, value: float) -> float:
        """Return the height that is interpolated: linear, or logarithmic."""
        return value if self.floor is None else math.log(max(value, self.floor))


def scale(low: float, high: float, *, logarithmic: bool) -> Scale:
    """Choose round levels inside the range, six to eight where the range allows.

    >>> scale(0.0, 90.0, logarithmic=False).levels
    (10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0)
    >>> scale(0.1, 10.0, logarithmic=True).levels
    (0.2, 0.3, 0.5, 1.0, 2.0, 3.0, 5.0)
    """
    if logarithmic and low >= 0 and high > max(_DECADE * low, _SMALLEST):
        floor = max(low, high * _DEPTH)
        choices = [_inside(_round_numbers(floor, high, digits), floor, high) for digits in _DECADES]
        return Scale(levels=_nearest(choices), floor=floor)
    span = high - low
    if not max(_FLAT * max(abs(low), abs(high)), _SMALLEST) < span < math.inf:
        return Scale(levels=_inside(linear("", [low, high]).ticks, low, high), floor=None)
    powers = range(math.floor(math.log10(span)) - 2, math.floor(math.log10(span)) + 1)
    steps = [step * 10.0**power for power in powers for step in _STEPS]
    return Scale(levels=_nearest([_multiples(step, low, high) for step in steps]), floor=None)


def _nearest(choices: Sequence[tuple[float, ...]]) -> tuple[float, ...]:
    """Return the levels whose number is the nearest to the wanted one."""
    return min(choices, key=lambda levels: abs(len(levels) - _WANTED))


def _multiples(step: float, low: float, high: float) -> tuple[float, ...]:
    counts = range(math.floor(low / step), math.ceil(high / step) + 1)
    return _inside((float(f"{count * step:.12g}") for count in counts), low, high)


def _inside(
    levels: Iterator[float] | Sequence[float], low: float, high: float
) -> tuple[float, ...]:
    return tuple(level for level in levels if low < level < high)


def _round_numbers(low: float, high: float, digits: Sequence[float]) -> Iterator[float]:
    for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1):
        yield from (float(f"{digit}e{power}") for digit in digits)

"""Contours of numbers on a grid: marching squares.

The border between numbers below a level and those at or above it crosses an edge of a cell where
linear interpolation between its corners meets the level.  Where both diagonals disagree (a saddle),
the mean of the four corners decides which of them is joined.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mdtree.trees.binning import Floats

__all__ = ["contours", "regions"]

_Point = tuple[float, float]
_Edge = tuple[bool, int, int]  # whether it leads along a line of the grid, its line, its column


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

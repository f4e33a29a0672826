"""The surface: loss or error on a plane in weight space, as bands between contours."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mdtree.messages import shortened
from mdtree.render.contours import Scale, contours, regions, scale
from mdtree.render.formatting import short
from mdtree.render.plot import PlotAxis, linear
from mdtree.render.svg import Figure, Markup, element, path, picture
from mdtree.render.table import lines, name_of, numeric
from mdtree.rows import Row
from mdtree.trees.arrays import Floats

__all__ = ["surface"]

_SIDE = 320  # pixels of the plane
_LEFT, _TOP, _RIGHT, _BOTTOM = 58, 26, 96, 46  # around it: ticks above all, and the legend
_BOX = 22  # pixels of a band in the legend
_MOST_MEMBERS = 12
_MOST_POINTS = 200  # of the trained curve
_LONGEST_LABEL = 22  # characters beside a dot; the whole name is its tooltip
_DISTANCE = "distance in weight space"


@dataclass(frozen=True, kw_only=True)
class _Grid:
    """Numbers on a grid; NaN stands for what is not finite."""

    xs: tuple[float, ...]
    ys: tuple[float, ...]
    values: Floats


def surface(row: Row, column: str, label: str) -> Figure | None:
    """Draw train_loss or train_error on the plane, with the networks that it goes through."""
    grid = _grid(row, column)
    if grid is None:
        return None
    known = grid.values[np.isfinite(grid.values)]
    low, high = float(known.min()), float(known.max())
    levels = scale(low, high, logarithmic=column == "train_loss")
    across = linear(_DISTANCE, [grid.xs[0], grid.xs[-1]], snug=True)
    upwards = linear(_DISTANCE, [grid.ys[0], grid.ys[-1]], snug=True)
    plane = element(
        "g",
        element("rect", width=_SIDE, height=_SIDE, class_="empty"),
        *_bands(grid, levels, label),
        *_curve(row, across, upwards),
        *_networks(row, across, upwards, column, label),
        *_ticks(across, upwards),
        transform=f"translate({_LEFT} {_TOP})",
    )
    description = f"{label} on a plane in weight space, from {low:.4g} to {high:.4g}"
    size = (_LEFT + _SIDE + _RIGHT, _TOP + _SIDE + _BOTTOM)
    drawing = picture(
        description,
        plane,
        _legend(levels, label),
        viewBox=f"0 0 {size[0]} {size[1]}",
        width=size[0],
        height=size[1],
        class_="surface",
    )
    lead = _lead(row, "loss" if column == "train_loss" else "error")
    return Figure(drawing=drawing, size=size, note=_note(grid), lead=lead)


def _lead(row: Row, height: str) -> str:
    """Write what the plane goes through: that depends on how many networks there are."""
    places = [numeric(x, y) for x, y in lines(row, "surface_members", "x", "y", most=_MOST_MEMBERS)]
    known = [place for place in places if place is not None]
    is_curved = len(_curve_places(row)) > 1
    parts = [f"{_plane(len(known), len(set(known)), is_curved=is_curved)}."]
    parts.append(
        f"Distances are those between weights; the stronger the colour, the higher the {height}."
    )
    if len(known) > 1:
        parts.append("Dashed: the straight line between neighbours.")
    if is_curved:
        parts.append("Solid: the trained curve.")
    return " ".join(parts)


def _plane(networks: int, apart: int, *, is_curved: bool) -> str:
    if not networks:
        return "On a plane in weight space"
    if apart == 1:
        dots = "dot" if networks == 1 else "dots, at one place"
        return f"Along two random directions from the network ({dots})"
    if is_curved:
        return f"On the plane through {networks} networks (dots) and the trained curve between them"
    if apart == 2:  # noqa: PLR2004 - a line, which lies in many planes
        return f"On a plane through {networks} networks (dots) and along one random direction"
    return f"On the plane through {networks} networks (dots)"


def _grid(row: Row, column: str) -> _Grid | None:
    """Read a grid; None unless there is a line for each of its points, and a number in one."""
    cells: dict[tuple[float, float], float] = {}
    for x, y, value in lines(row, "surface", "x", "y", column):
        place, number = numeric(x, y), numeric(value)
        if place is not None:
            cells[place[1], place[0]] = math.nan if number is None else number[0]
    xs, ys = sorted({x for _, x in cells}), sorted({y for y, _ in cells})
    if min(len(xs), len(ys)) < 2 or len(xs) * len(ys) != len(cells):  # noqa: PLR2004 - a cell
        return None
    values = np.array([[cells[y, x] for x in xs] for y in ys])
    if not np.isfinite(values).any():
        return None
    return _Grid(xs=tuple(xs), ys=tuple(ys), values=values)


def _bands(grid: _Grid, levels: Scale, label: str) -> Iterator[Markup]:
    """Fill what lies above each level, over what lies above the one before, and draw its line."""
    top = float(np.nanmax(grid.values))
    heights = np.vectorize(levels.height)(np.where(np.isfinite(grid.values), grid.values, top))
    xs, ys = _spread(grid.xs), [_SIDE - place for place in _spread(grid.ys)]
    for number, level in enumerate(levels.levels):
        height = levels.height(level)
        loops = regions(xs, ys, heights, height)
        borders = contours(xs, ys, heights, height)
        yield element(
            "path",
            element("title", f"{label} above {short(level)}"),
            d=_joined(loops, closed=True),
            fill_rule="evenodd",
            fill_opacity=levels.ink(number),
            class_="height",
        )
        if borders:
            yield element("path", d=_joined(borders), class_="level")


def _spread(places: Sequence[float]) -> list[float]:
    axis = PlotAxis(label="", low=places[0], high=places[-1], ticks=())
    return [axis.at(place) * _SIDE / 100 for place in places]


def _joined(loops: Sequence[Sequence[tuple[float, float]]], *, closed: bool = False) -> Markup:
    end = "Z" if closed else ""
    return Markup("".join(path(loop) + end for loop in loops))


def _curve(row: Row, across: PlotAxis, upwards: PlotAxis) -> Iterator[Markup]:
    """Draw the trained curve, if it lies in the plane."""
    spots = [
        (across.at(x) * _SIDE / 100, _SIDE - upwards.at(y) * _SIDE / 100)
        for x, y in _curve_places(row)
    ]
    if len(spots) > 1:
        title = element("title", "the trained curve between the networks")
        yield element("path", title, d=path(spots), class_="curved")


def _curve_places(row: Row) -> list[tuple[float, ...]]:
    cells = lines(row, "surface_curve", "x", "y", most=_MOST_POINTS)
    return [place for x, y in cells if (place := numeric(x, y)) is not None]


def _networks(
    row: Row, across: PlotAxis, upwards: PlotAxis, column: str, label: str
) -> Iterator[Markup]:
    """Draw the networks in the plane, and straight lines between neighbours."""
    known = []
    for member, x, y, value in lines(
        row, "surface_members", "member", "x", "y", column, most=_MOST_MEMBERS
    ):
        place = numeric(x, y)
        if place is not None:
            number = numeric(value)
            known.append((name_of(member), place, None if number is None else number[0]))
    spots = [
        (across.at(x) * _SIDE / 100, _SIDE - upwards.at(y) * _SIDE / 100) for _, (x, y), _ in known
    ]
    for first, second in pairwise(spots):
        yield element("path", d=path([first, second]), class_="straight")
    for order, ((x, y), (name, _, value)) in enumerate(zip(spots, known, strict=True)):
        text = f"{name}: {label} {value:.4g}" if value is not None else name
        yield element("circle", element("title", text), cx=x, cy=y, r=4.5, class_="on")
        is_left, is_above = x < _SIDE / 2, order % 2 == 0  # neighbours write on two lines
        yield element(
            "text",
            shortened(name, _LONGEST_LABEL),
            x=x,
            y=y,
            dy=-10 if is_above else 20,
            class_="label" if is_left else "label end",
        )


def _ticks(across: PlotAxis, upwards: PlotAxis) -> Iterator[Markup]:
    for tick in across.ticks:
        x = across.at(tick) * _SIDE / 100
        yield element("text", across.written(tick), x=x, y=_SIDE + 18, class_="tick centred")
    for tick in upwards.ticks:
        y = _SIDE - upwards.at(tick) * _SIDE / 100
        yield element("text", upwards.written(tick), x=-8, y=y + 4, class_="tick end")
    yield element("text", across.label, x=_SIDE, y=_SIDE + 38, class_="end")
    yield element("text", upwards.label, x=0, y=-10)


def _legend(levels: Scale, label: str) -> Markup:
    """Draw a box for each band, the lowest at the bottom, with the levels between them."""
    count = len(levels.levels)
    bottom = (count + 1) * _BOX
    parts = [element("rect", width=_BOX, height=bottom, class_="empty")]
    for number, level in enumerate(levels.levels):
        high = (count - number) * _BOX
        parts.append(
            element(
                "rect", width=_BOX, height=high, fill_opacity=levels.ink(number), class_="height"
            )
        )  # over the layers before, as in the plane
        parts.append(element("text", f"{level:.4g}", x=_BOX + 6, y=high + 4, class_="tick"))
    parts.append(element("text", label, x=_BOX, y=-10, class_="end legend"))
    return element("g", *parts, transform=f"translate({_LEFT + _SIDE + 24} {_TOP})")


def _note(grid: _Grid) -> str | None:
    lost = int((~np.isfinite(grid.values)).sum())
    if not lost:
        return None
    return f"{lost:,} of {grid.values.size:,} points are not finite; they are drawn as the highest."

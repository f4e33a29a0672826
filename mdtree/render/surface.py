"""The surface: loss or error on a plane in weight space, as bands between contours."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mdtree.messages import shortened
from mdtree.render.axis import PlotAxis, linear
from mdtree.render.contours import contours, regions
from mdtree.render.formatting import short
from mdtree.render.svg import Figure, Markup, element, path, picture
from mdtree.render.table import lines, name_of, numeric
from mdtree.rows import Row
from mdtree.trees.binning import Floats

__all__ = ["surface"]

_SIDE = 320  # pixels of the plane
_LEFT, _TOP, _RIGHT, _BOTTOM = 58, 26, 96, 46  # around it: ticks above all, and the legend
_BOX = 22  # pixels of a band in the legend
_MOST = 9  # levels
_WIDE = 2.0  # of the largest over the smallest loss: from there on levels are logarithmic
_SMALLEST = 1e-90  # a loss below is not drawn in powers of ten
_DEPTH = 1e-6  # of the highest loss: what lies below is drawn there
_ROUND = (1, 2, 5)  # times a power of ten
_INK = 0.85  # of the highest band
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


@dataclass(frozen=True, kw_only=True)
class _Scale:
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


def surface(row: Row, column: str, label: str) -> Figure | None:
    """Draw train_loss or train_error on the plane, with the networks that it goes through."""
    grid = _grid(row, column)
    if grid is None:
        return None
    known = grid.values[np.isfinite(grid.values)]
    low, high = float(known.min()), float(known.max())
    scale = _scale(low, high, logarithmic=column == "train_loss")
    across = linear(_DISTANCE, [grid.xs[0], grid.xs[-1]], snug=True)
    upwards = linear(_DISTANCE, [grid.ys[0], grid.ys[-1]], snug=True)
    plane = element(
        "g",
        element("rect", width=_SIDE, height=_SIDE, class_="empty"),
        *_bands(grid, scale, label),
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
        _legend(scale, label),
        viewBox=f"0 0 {size[0]} {size[1]}",
        width=size[0],
        height=size[1],
        class_="surface",
    )
    return Figure(drawing=drawing, size=size, note=_note(grid))


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


def _scale(low: float, high: float, *, logarithmic: bool) -> _Scale:
    """Choose a few round levels inside the range."""
    if logarithmic and low >= 0 and high > max(_WIDE * low, _SMALLEST):
        floor = max(low, high * _DEPTH)
        levels = [level for level in _round_numbers(floor, high) if floor < level < high]
        step = -(-len(levels) // _MOST)
        return _Scale(levels=tuple(levels[:: max(step, 1)]), floor=floor)
    ticks = linear("", [low, high]).ticks
    return _Scale(levels=tuple(tick for tick in ticks if low < tick < high), floor=None)


def _round_numbers(low: float, high: float) -> Iterator[float]:
    for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1):
        yield from (float(f"{digit}e{power}") for digit in _ROUND)


def _bands(grid: _Grid, scale: _Scale, label: str) -> Iterator[Markup]:
    """Fill what lies above each level, over what lies above the one before, and draw its line."""
    top = float(np.nanmax(grid.values))
    heights = np.vectorize(scale.height)(np.where(np.isfinite(grid.values), grid.values, top))
    xs, ys = _spread(grid.xs), [_SIDE - place for place in _spread(grid.ys)]
    for number, level in enumerate(scale.levels):
        height = scale.height(level)
        loops = regions(xs, ys, heights, height)
        borders = contours(xs, ys, heights, height)
        yield element(
            "path",
            element("title", f"{label} above {short(level)}"),
            d=_joined(loops, closed=True),
            fill_rule="evenodd",
            fill_opacity=scale.ink(number),
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
    places = (numeric(x, y) for x, y in lines(row, "surface_curve", "x", "y", most=_MOST_POINTS))
    spots = [
        (across.at(place[0]) * _SIDE / 100, _SIDE - upwards.at(place[1]) * _SIDE / 100)
        for place in places
        if place is not None
    ]
    if len(spots) > 1:
        title = element("title", "the trained curve between the networks")
        yield element("path", title, d=path(spots), class_="curved")


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


def _legend(scale: _Scale, label: str) -> Markup:
    """Draw a box for each band, the lowest at the bottom, with the levels between them."""
    count = len(scale.levels)
    bottom = (count + 1) * _BOX
    parts = [element("rect", width=_BOX, height=bottom, class_="empty")]
    for number, level in enumerate(scale.levels):
        high = (count - number) * _BOX
        parts.append(
            element(
                "rect", width=_BOX, height=high, fill_opacity=scale.ink(number), class_="height"
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

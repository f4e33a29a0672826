"""Curves: the landscape between two networks, and the spectrum of its curvature."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mdtree.messages import plural
from mdtree.render.formatting import short
from mdtree.render.plot import Plot, PlotAxis, linear, logarithmic
from mdtree.render.spectral_bulk import Bulk, bulk_of
from mdtree.render.svg import Figure, Markup
from mdtree.render.table import beyond, lines, numeric
from mdtree.rows import Row

__all__ = ["density", "profile"]

_Points = list[tuple[float, float]]

_SMOOTH = 60  # a node is spread over this fraction of the range of eigenvalues
_GRID = 241
_DECADES = 6  # of the density
_LEAD = (
    "How the curvature of the loss is distributed: most directions are flat, the few far to the "
    "right are steep. Dots are Ritz values (Lanczos nodes), estimates of eigenvalues; the line is "
    "their smoothed sum. The bulk ends three standard deviations from the mean of all eigenvalues."
)


def profile(row: Row, column: str, label: str) -> Figure | None:
    """Draw train_error or train_loss along the trained curve and the straight line of each pair."""
    curves, straight = _paths(row, "curve", column), _paths(row, "line", column)
    if not curves and not straight:
        return None
    height = [y for path in (*curves, *straight) for _, y in path]
    x = PlotAxis(
        label="position between the two networks", low=0, high=1, ticks=(0, 0.25, 0.5, 0.75, 1)
    )
    plot = Plot(x, linear(label, [0.0, *height], least=1.0 if column == "train_error" else 0.1))
    marks = [plot.curve(path, "straight") for path in straight]
    for path in curves:
        marks.append(plot.curve(path, "curved"))
        marks += [plot.dot(t, value, "on", f"{label} {value:.4g} at {t:g}") for t, value in path]
    worst = max(height)
    drawing = plot.drawn(marks, f"{label} between the networks of the group, at most {worst:.4g}")
    return Figure(drawing=drawing, note=beyond(row, "curve", "line"))


def _paths(row: Row, detail: str, column: str) -> list[_Points]:
    """Return the points of each pair, in order."""
    paths: dict[object, _Points] = {}
    for pair, *cells in lines(row, detail, "pair", "t", column):
        point = numeric(*cells)
        if point is not None:
            paths.setdefault(pair, []).append((point[0], point[1]))
    return [sorted(points) for points in paths.values() if len(points) > 1]


def density(row: Row) -> Figure | None:
    """Draw the spectral density of the Hessian: the Lanczos nodes, and their smooth sum.

    phi(x) = mean over members of  sum_i w_i exp(-(x - lambda_i)^2 / (2 s^2)),  s = range / 60,
    so that the height of an isolated node is its weight.
    """
    members = _nodes(row)
    nodes = [(value, weight / len(members)) for member in members for value, weight in member]
    if not nodes:
        return None
    values = [value for value, _ in nodes]
    low, high = min(values), max(values)
    width = max((high - low) / _SMOOTH, 1e-2 * max(abs(low), abs(high)), 1e-9)
    places = np.linspace(low - 3 * width, high + 3 * width, _GRID)
    heights = _smooth(places, nodes, width)
    y = logarithmic("share of the directions", [weight for _, weight in nodes], decades=_DECADES)
    plot = Plot(linear("eigenvalue of the Hessian", [places[0], places[-1]], snug=True), y)
    points = [
        (float(place), max(float(height), y.low))
        for place, height in zip(places, heights, strict=True)
    ]
    bulk = bulk_of(nodes)
    marks = [plot.area(points, "hill"), plot.curve(points, "curved"), *_edges(plot, nodes, bulk)]
    for value, weight in nodes:
        is_apart = bulk.is_beyond(value)
        title = f"{value:.4g}: share {weight:.2g}{', an outlier' if is_apart else ''}"
        marks.append(plot.dot(value, weight, "apart" if is_apart else "on", title))
    outliers = _outliers(members, bulk)
    description = (
        f"spectral density of the Hessian: eigenvalues from {low:.4g} to {high:.4g}; {outliers}"
    )
    drawing = plot.drawn(marks, description)
    lead = f"{_LEAD} {outliers[:1].upper()}{outliers[1:]}."
    return Figure(drawing=drawing, note=beyond(row, "hessian_density"), lead=lead)


def _edges(plot: Plot, nodes: _Points, bulk: Bulk) -> Iterator[Markup]:
    """Draw the edges of the bulk beyond which there are outliers, and name both sides of one."""
    above = any(value > bulk.high for value, _ in nodes)
    below = any(value < bulk.low for value, _ in nodes)
    if above:
        yield plot.upright(bulk.high, "edge")
    if below:
        yield plot.upright(bulk.low, "edge")
    if above:
        yield from plot.words(bulk.high, ("outliers →", "← bulk"), "label")
    elif below:
        yield from plot.words(bulk.low, ("← outliers", "bulk →"), "label")


def _outliers(members: Sequence[_Points], bulk: Bulk) -> str:
    """Write how many Ritz values stand beyond the edge of the bulk, and where it is."""
    values = [value for nodes in members for value, _ in nodes]
    low, high = max(bulk.low, min(values)), min(bulk.high, max(values))
    where = f"from {short(low)} to {short(high)}"
    apart = [value for value in values if bulk.is_beyond(value)]
    if not apart:
        return f"the bulk reaches {where}, and no Ritz value stands beyond it"
    networks = f" of {plural(len(members), 'network')}" if len(members) > 1 else ""
    count = "1 outlier" if len(apart) == 1 else f"{len(apart)} outliers"
    largest = max(apart, key=abs)
    return f"the bulk reaches {where}; {count}{networks} beyond it, the largest {short(largest)}"


def _nodes(row: Row) -> list[_Points]:
    """Return eigenvalues and weights of each member."""
    nodes: dict[object, _Points] = {}
    for member, *cells in lines(row, "hessian_density", "member", "eigenvalue", "weight"):
        node = numeric(*cells)
        if node is not None and node[1] > 0:
            nodes.setdefault(member, []).append((node[0], node[1]))
    return list(nodes.values())


def _smooth(places: np.ndarray, nodes: Sequence[tuple[float, float]], width: float) -> np.ndarray:
    total = np.zeros_like(places)
    for value, weight in nodes:
        total += weight * np.exp(-(((places - value) / width) ** 2) / 2)
    return total

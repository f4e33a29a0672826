"""Curves: between two networks, over the spectrum of the curvature, and over the layers (alpha)."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mdtree.messages import plural
from mdtree.render.formatting import fixed, short
from mdtree.render.plot import Plot, PlotAxis, linear, logarithmic
from mdtree.render.svg import Figure, Markup
from mdtree.render.table import beyond, lines, name_of, numeric
from mdtree.rows import Row

__all__ = ["Bulk", "bulk_of", "density", "few_layers", "flow", "profile"]

_Points = list[tuple[float, float]]

_SMOOTH = 60  # a node is spread over this fraction of the range of eigenvalues
_GRID = 241
_DECADES = 6  # of the density
_LEAD = (
    "How the curvature of the loss is distributed: most directions are flat, the few far to the "
    "right are steep. Dots are Ritz values (Lanczos nodes), estimates of eigenvalues; the line is "
    "their smoothed sum. The bulk ends three standard deviations from the mean of all eigenvalues."
)
_DEVIATIONS = 3.0  # from the mean to the edge of the bulk
_USUAL = 2.0, 6.0  # alpha of layers in well-trained networks
_MOST = 12.0  # larger alphas are drawn on the upper edge
_INFORMATIVE = ("over-trained", "2 to 6", "under-trained")  # states in which alpha is informative
_LEAST = 2  # layers
_TICKS = 7


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


@dataclass(frozen=True, kw_only=True)
class Bulk:
    """Where most eigenvalues lie; what stands beyond the edge is an outlier.

        edge = mean +- 3 standard deviations   of all eigenvalues, by the weights of the Ritz values

    No eigenvalue of a random matrix lies there: those of a symmetric one end at two standard
    deviations (Wigner's semicircle), those of a covariance with more samples than directions at no
    more than three (Marchenko and Pastur).  So what stands beyond is not noise of that kind.
    """

    low: float
    high: float

    def is_beyond(self, value: float) -> bool:
        """Return whether an eigenvalue is an outlier."""
        return not self.low <= value <= self.high


def bulk_of(nodes: Sequence[tuple[float, float]]) -> Bulk:
    """Return the edges of the bulk of a spectrum.

    >>> bulk_of([(0.0, 0.5), (2.0, 0.5)])
    Bulk(low=-2.0, high=4.0)
    """
    total = math.fsum(weight for _, weight in nodes)
    mean = math.fsum(value * (weight / total) for value, weight in nodes)
    variance = math.fsum((value - mean) ** 2 * (weight / total) for value, weight in nodes)
    reach = _DEVIATIONS * math.sqrt(variance)
    return Bulk(low=mean - reach, high=mean + reach)


def flow(row: Row) -> Figure | None:
    """Draw alpha of every layer and member, and the mean over members as a line."""
    layers = _layers(row)
    if len(layers) < _LEAST:
        return None
    alphas = [alpha for points in layers.values() for alpha, _, _ in points]
    x = PlotAxis(label="layer", low=0.5, high=len(layers) + 0.5, ticks=_layer_ticks(len(layers)))
    label = "alpha" if max(alphas) <= _MOST else f"alpha, {_MOST:g} and more on the upper edge"
    plot = Plot(x, linear(label, [0.0, *(min(alpha, _MOST) for alpha in alphas)], least=8))
    means = [
        (number, statistics.fmean(alpha for alpha, _, _ in points))
        for number, points in enumerate(layers.values(), start=1)
    ]
    marks = [plot.band(*_USUAL, "usual"), plot.curve(means, "curved")]
    for number, (layer, points) in enumerate(layers.items(), start=1):
        for alpha, state, member in points:
            kind = "on" if state in _INFORMATIVE else "hollow"
            title = f"{name_of(layer)}, {name_of(member)}: alpha {fixed(alpha)}, {name_of(state)}"
            marks.append(plot.dot(number, alpha, kind, title))
    description = f"alpha over {len(layers)} layers, from {min(alphas):.3g} to {max(alphas):.3g}"
    return Figure(drawing=plot.drawn(marks, description), note=beyond(row, "spectrum"))


def few_layers(row: Row) -> str:
    """Write that too few layers have an alpha for a flow."""
    known = plural(len(_layers(row)), "layer")
    return f"alpha is known for {known} (embeddings do not count), and a flow needs {_LEAST}"


def _layers(row: Row) -> dict[str, list[tuple[float, str, str]]]:
    """Return (alpha, state, member) of each layer, in order."""
    layers: dict[str, list[tuple[float, str, str]]] = {}
    for member, layer, kind, state, alpha in lines(
        row, "spectrum", "member", "layer", "kind", "state", "alpha"
    ):
        numbers = numeric(alpha)
        if numbers is not None and kind != "embedding":  # means leave embeddings out too
            layers.setdefault(str(layer), []).append((numbers[0], str(state), str(member)))
    return layers


def _layer_ticks(layers: int) -> tuple[float, ...]:
    step = max(1, -(-layers // _TICKS))
    return tuple(float(number) for number in range(1, layers + 1, step))

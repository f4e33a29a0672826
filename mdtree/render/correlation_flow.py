"""Correlation flow: alpha over the layers, from the first to the last."""

from __future__ import annotations

import statistics

from mdtree.messages import plural
from mdtree.render.formatting import fixed
from mdtree.render.plot import Plot, PlotAxis, linear
from mdtree.render.svg import Figure
from mdtree.render.table import beyond, lines, name_of, numeric
from mdtree.rows import Row

__all__ = ["few_layers", "flow"]

_USUAL = 2.0, 6.0  # alpha of layers in well-trained networks
_MOST = 12.0  # larger alphas are drawn on the upper edge
_INFORMATIVE = ("over-trained", "2 to 6", "under-trained")  # states in which alpha is informative
_LEAST = 2  # layers
_TICKS = 7


def flow(row: Row) -> Figure | None:
    """Draw alpha of every layer and member, and the mean over members as a line."""
    layers = _layers(row)
    if len(layers) < _LEAST:
        return None
    alphas = [alpha for points in layers.values() for alpha, _, _ in points]
    x = PlotAxis(label="layer", low=0.5, high=len(layers) + 0.5, ticks=_ticks(len(layers)))
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


def _ticks(layers: int) -> tuple[float, ...]:
    step = max(1, -(-layers // _TICKS))
    return tuple(float(number) for number in range(1, layers + 1, step))

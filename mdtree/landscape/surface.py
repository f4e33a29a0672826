"""A surface of the loss: a plane in weight space, and a grid of points that are measured in it.

    w(x, y) = o + x u + y v,      |u| = |v| = 1,  u . v = 0

so that distances in the plane are distances between weights.  The plane goes through as many of
three networks as there are, or through two and the control point of the curve between them, so that
it holds the whole curve; the other directions are random, with the scale of the weights: each
filter of a direction d is scaled to the norm of the filter of the weights,

    d_f  <-  d_f |w_f| / |d_f|,

and biases and the parameters of normalisation, which have one dimension, do not move.  Filters are
the slices along the first dimension.

BatchNorm statistics are re-estimated at every point, the networks included, as along curves.

Li et al. 2018, arXiv 1712.09913.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

import torch
from torch import Tensor

from mdtree.items import Items
from mdtree.landscape.curves.batchnorm import score_reestimated
from mdtree.landscape.parameters import ParameterLayout
from mdtree.landscape.runner import ModelRunner
from mdtree.network import Weights

__all__ = [
    "MOST_ANCHORS",
    "Plane",
    "SurfacePoint",
    "anchor_points",
    "filter_normalised",
    "grid_points",
    "plane_through",
]

MOST_ANCHORS = 3  # networks that a plane can go through

_PAIR = 2  # networks that a curve joins
_POINTS = 33  # of a curve, where its extent is looked for

_Place = tuple[float, float]

_MATRIX = 2  # dimensions from which a tensor has filters
_PARALLEL = 1e-4  # of its length: what is left of a direction below this is rounding
_PASSES = 2  # of Gram-Schmidt: one leaves the rounding of long vectors


@dataclass(frozen=True, kw_only=True)
class Plane:
    """A plane, and the networks that it goes through."""

    layout: ParameterLayout
    anchors: tuple[Weights, ...]
    origin: Tensor  # (n,) of the first network
    axes: tuple[Tensor, Tensor]  # (n,) each, orthonormal
    places: tuple[_Place, ...]  # of the networks
    random: int  # how many of the directions are random
    reach: float  # norm of the filters of the first network: the length of its random directions
    bend: _Place | None = None  # the control point of the curve from the first to the second

    def curve(self, count: int) -> list[_Place]:
        """Return so many points of the curve, its ends included; none where there is no curve."""
        if self.bend is None:
            return []
        ends = (self.places[0], self.places[1])
        steps = (number / (count - 1) for number in range(count))
        return [_on_curve(t, ends, self.bend) for t in steps]

    def at(self, x: float, y: float) -> dict[str, Tensor]:
        """Return the weights at a place; what is not trained is that of the nearest network."""
        nearest = min(
            range(len(self.places)), key=lambda number: math.dist(self.places[number], (x, y))
        )
        weights = {name: each.detach().clone() for name, each in self.anchors[nearest].items()}
        point = self.origin.clone().add_(self.axes[0], alpha=x).add_(self.axes[1], alpha=y)
        return weights | self.layout.views(point)

    def window(self, margin: float) -> tuple[_Place, float] | None:
        """Return the middle and half the side of a square around the networks and their curve.

        `margin` is a share of their extent.  Around a single network, the square ends where its
        random directions do.  None: there is nothing to scale it by.
        """
        columns = list(zip(*self.places, *self.curve(_POINTS), strict=True))
        middle = (_middle(columns[0]), _middle(columns[1]))
        extent = max(max(column) - min(column) for column in columns)
        half = extent * (0.5 + margin) if extent > 0 else self.reach
        return (middle, half) if 0 < half < math.inf else None


def plane_through(
    layout: ParameterLayout,
    networks: Sequence[Weights],
    sources: Sequence[torch.Generator],
    bend: Tensor | None = None,
) -> Plane | None:
    """Return the plane through the first networks, and along random directions if they are few.

    Args:
        layout: The parameters that span weight space.
        networks: At least one; those behind the third are ignored.
        sources: Two sources of random numbers, one for each direction that may be random.
        bend: The control point of the curve between the first two; the plane goes through it, and
            not through a third network.

    Returns:
        The plane, whose first axis leads from the first network to the second; None if the
        parameters have fewer than two directions, or are not finite.
    """
    anchors = tuple(networks[: MOST_ANCHORS if bend is None else _PAIR])
    vectors = [layout.flatten(weights) for weights in anchors]
    if bend is not None:
        vectors.append(bend)
    origin = vectors[0]
    differences = [vector - origin for vector in vectors[1:]]
    if not all(bool(vector.isfinite().all()) for vector in vectors):
        return None
    drawn = (filter_normalised(layout, anchors[0], source) for source in sources)
    axes = list(_orthonormal(differences))
    given = len(axes)
    axes += islice(_orthonormal(drawn, axes), 2 - given)
    if len(axes) < 2:  # noqa: PLR2004 - a plane
        return None
    places = [(0.0, 0.0)]
    places += [(float(step @ axes[0]), float(step @ axes[1])) for step in differences]
    control = None if bend is None else places.pop()
    return Plane(
        layout=layout,
        anchors=anchors,
        origin=origin,
        axes=(axes[0], axes[1]),
        places=tuple(places),
        random=2 - given,
        reach=_filter_norm(layout, anchors[0]),
        bend=control,
    )


def _on_curve(t: float, ends: tuple[_Place, _Place], bend: _Place) -> _Place:
    """Return a point of the Bezier curve, as in landscape/curves/bezier.py."""
    weights = ((1 - t) ** 2, 2 * t * (1 - t), t**2)
    points = (ends[0], bend, ends[1])
    return (
        sum(weight * point[0] for weight, point in zip(weights, points, strict=True)),
        sum(weight * point[1] for weight, point in zip(weights, points, strict=True)),
    )


def filter_normalised(layout: ParameterLayout, weights: Weights, source: torch.Generator) -> Tensor:
    """Draw a direction whose filters have the norms of the filters of the weights."""
    return layout.joined([_drawn(weights[name], source) for name in layout.shapes])


def _drawn(weight: Tensor, source: torch.Generator) -> Tensor:
    if not _has_filters(weight):
        return torch.zeros_like(weight)
    drawn = torch.randn(weight.shape, generator=source).to(weight)
    wanted, norms = (tensor.detach().flatten(1).norm(dim=1) for tensor in (weight, drawn))
    factors = wanted / norms.clamp_min(torch.finfo(norms.dtype).tiny)
    scaled: Tensor = drawn * factors.view(-1, *[1] * (weight.dim() - 1))
    return scaled


def _has_filters(weight: Tensor) -> bool:
    return weight.dim() >= _MATRIX and weight.numel() > 0


def _filter_norm(layout: ParameterLayout, weights: Weights) -> float:
    filters = [weights[name] for name in layout.shapes if _has_filters(weights[name])]
    return math.hypot(*(float(tensor.detach().norm()) for tensor in filters))


def _orthonormal(directions: Iterable[Tensor], before: Sequence[Tensor] = ()) -> Iterator[Tensor]:
    """Yield what each direction adds to those before it, with length 1 (Gram-Schmidt)."""
    axes = list(before)
    for direction in directions:
        length = float(direction.norm())
        if not 0 < length < math.inf:
            continue
        rest = direction / length
        for _ in range(_PASSES):
            for axis in axes:
                rest = rest - (rest @ axis) * axis
        left = float(rest.norm())
        if left > _PARALLEL:
            axes.append(rest / left)
            yield axes[-1]


def _middle(values: Sequence[float]) -> float:
    return (min(values) + max(values)) / 2


@dataclass(frozen=True, kw_only=True)
class SurfacePoint:
    """A place in the plane, and what was measured there."""

    x: float
    y: float
    loss: float
    error: float | None  # percent; None: the targets are not classes


def grid_points(
    runner: ModelRunner, plane: Plane, items: Items, statistics: Items, *, side: int, margin: float
) -> list[SurfacePoint] | None:
    """Measure a square grid of side x side points around the networks of a plane, row by row.

    Args:
        runner: The network and its loss.
        plane: The plane.
        items: The items on which every point is measured.
        statistics: The items on which BatchNorm statistics are re-estimated at every point.
        side: Points along one side, at least two.
        margin: Around the networks, as a share of their extent.

    Returns:
        The points; None if the plane has no scale.
    """
    window = plane.window(margin)
    if window is None:
        return None
    (x, y), half = window
    steps = [half * (2 * number / (side - 1) - 1) for number in range(side)]
    measured = partial(_measured, runner, items, statistics)
    return [
        measured(plane.at(x + across, y + up), (x + across, y + up))
        for up in steps
        for across in steps
    ]


def anchor_points(
    runner: ModelRunner, plane: Plane, items: Items, statistics: Items
) -> list[SurfacePoint]:
    """Measure the networks of a plane themselves."""
    return [
        _measured(
            runner,
            items,
            statistics,
            {name: tensor.detach().clone() for name, tensor in weights.items()},
            place,
        )
        for weights, place in zip(plane.anchors, plane.places, strict=True)
    ]


def _measured(
    runner: ModelRunner,
    items: Items,
    statistics: Items,
    weights: Mapping[str, Tensor],
    place: tuple[float, float],
) -> SurfacePoint:
    work = partial(score_reestimated, runner, items, statistics)
    scored = runner.network.with_weights(weights, work)
    error = None if scored.wrong is None else scored.error()
    return SurfacePoint(x=place[0], y=place[1], loss=scored.mean_loss(), error=error)

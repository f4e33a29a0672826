"""The grid of a surface: loss and error at the points of a plane, and at its networks.

BatchNorm statistics are re-estimated at every point, the networks included, as along curves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from mdtree.items import Items
from mdtree.landscape.curves.batchnorm import reestimate
from mdtree.landscape.runner import ModelRunner
from mdtree.landscape.score import Score, score
from mdtree.landscape.surface.plane import Plane
from mdtree.network import Run

__all__ = ["SurfacePoint", "anchor_points", "grid_points"]


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
    def work(run: Run) -> Score:
        reestimate(runner, statistics, run)
        return score(runner, items, run)

    scored = runner.network.with_weights(weights, work)
    error = None if scored.wrong is None else scored.error()
    return SurfacePoint(x=place[0], y=place[1], loss=scored.mean_loss(), error=error)

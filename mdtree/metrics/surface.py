"""Surface: loss and error on a plane through the networks, for its picture.

The plane goes through the first two members and the bend of the curve between them, which it holds
(the curve of the metric connectivity: what one of both has trained, the other takes); or along two
random directions from a single member (landscape/surface.py).  Without a curve, it goes
through the first three members, or through two and along a random direction.  A square grid of 15
x 15 points reaches a third of the extent beyond the members and the curve, or to the ends of the
random directions.  Every point is measured on the same 512 unmodified training items, with
BatchNorm statistics that are re-estimated on 256 of them.  Where there is no plane, the detail says
why (`missing`).  Both protocols measure it in the same way.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import partial

from torch import Tensor

from mdtree.landscape import (
    MOST_ANCHORS,
    ComputeCost,
    Plane,
    SurfacePoint,
    anchor_points,
    derive_seed,
    draw,
    generator,
    grid_points,
    plane_through,
    preserved_state,
    trainable_parameters,
)
from mdtree.metrics.base import Metric, MetricInput, MetricResult, Workload
from mdtree.metrics.budgets import SurfaceBudget
from mdtree.metrics.curve import first_curve, training_cost
from mdtree.rows import MISSING_DETAIL, Detail

__all__ = ["SURFACE", "surface_metric"]

_DIGITS = 6  # of a number that is stored
_CURVE_POINTS = 33  # of a drawn curve


def compute(budget: SurfaceBudget, metric_input: MetricInput) -> MetricResult:
    """Measure the grid; there are no quantities, only a plot."""
    runner, seed, train = metric_input.runner, metric_input.seed, metric_input.data.train
    if len(train) < 2:  # noqa: PLR2004 - BatchNorm needs a variance
        return _nothing(f"needs 2 training items, found {len(train)}")
    layout = trainable_parameters(runner.network)
    if not layout.shapes:
        return _nothing("the network has no trainable parameters")
    bend, remark = _bend(budget, metric_input)
    sources = [generator(seed, "surface direction", number) for number in range(2)]
    plane = plane_through(layout, list(metric_input.members.values()), sources, bend)
    if plane is None:
        return _nothing("the trainable parameters do not span a plane of finite numbers")
    items = draw(runner, train, budget.items, generator(seed, "surface items"))
    statistics = draw(runner, items, budget.statistics, generator(seed, "surface statistics"))
    with preserved_state(runner, derive_seed(seed, "surface")):
        grid = grid_points(runner, plane, items, statistics, side=budget.side, margin=budget.margin)
        if grid is None:
            return _nothing("the weights are all zero, so that the plane has no scale")
        anchors = anchor_points(runner, plane, items, statistics)
    span = grid[-1].x - grid[0].x
    members = tuple(metric_input.members)[: len(anchors)]
    return MetricResult(
        {},
        details={
            "surface": _detail(grid, span),
            "surface_members": Detail(
                columns={"member": members, **_detail(anchors, span).columns}
            ),
            **_curve(plane, span),
        },
        notes=(_described(plane, len(metric_input.members)), *remark),
    )


def _bend(budget: SurfaceBudget, metric_input: MetricInput) -> tuple[Tensor | None, Sequence[str]]:
    """Return the control point of the trained curve, or why there is none."""
    if budget.curve is None or len(metric_input.members) < 2:  # noqa: PLR2004 - a pair
        return None, ()
    bend = first_curve(budget.curve, metric_input).path.control_point
    if not bool(bend.isfinite().all()):
        return None, ("surface: the weights of the trained curve are not finite; it is not drawn",)
    return bend, ()


def _curve(plane: Plane, span: float) -> dict[str, Detail]:
    """Return the points of the curve in the plane, if it goes through one."""
    points = plane.curve(_CURVE_POINTS)
    if not points:
        return {}
    digits = _places(span)
    columns: dict[str, tuple[float | str | None, ...]] = {
        "t": tuple(number / (_CURVE_POINTS - 1) for number in range(_CURVE_POINTS)),
        "x": tuple(round(x, digits) + 0.0 for x, _ in points),
        "y": tuple(round(y, digits) + 0.0 for _, y in points),
    }
    return {"surface_curve": Detail(columns=columns)}


def cost(budget: SurfaceBudget, work: Workload) -> ComputeCost:
    """Estimate the cost of the grid, of the members in the plane, and of training their curve."""
    if work.train_items < 2:  # noqa: PLR2004 - see compute
        return ComputeCost()
    items = min(work.train_items, budget.items)
    is_curved = budget.curve is not None and work.pairs > 0
    points = budget.side**2 + min(work.members, 2 if is_curved else MOST_ANCHORS)
    grid = ComputeCost(forward=points * (items + min(items, budget.statistics)))
    if budget.curve is None or not is_curved or work.has_curve:
        return grid
    return grid + training_cost(budget.curve, work)


def _nothing(reason: str) -> MetricResult:
    missing = Detail(columns={MISSING_DETAIL: (reason,)})
    return MetricResult({}, details={"surface": missing}, notes=(f"surface: {reason}",))


def _described(plane: Plane, members: int) -> str:
    """Say what the plane goes through."""
    count = len(plane.anchors)
    if members == 1:
        return "surface: the plane of two filter-normalised random directions from the checkpoint"
    first = f"the first {count} of {members}" if members > count else f"the {count}"
    if plane.bend is not None:
        return f"surface: the plane through {first} checkpoints and the bend of their curve"
    along = ("", " and along a random direction", " and along two random directions")
    return f"surface: the plane through {first} checkpoints{along[plane.random]}"


def _detail(points: Sequence[SurfacePoint], span: float) -> Detail:
    places = _places(span)
    return Detail(
        columns={
            "x": tuple(round(point.x, places) + 0.0 for point in points),
            "y": tuple(round(point.y, places) + 0.0 for point in points),
            "train_loss": _rounded(point.loss for point in points),
            "train_error": _rounded(point.error for point in points),
        }
    )


def _places(span: float) -> int:
    """Return digits behind the point: what is far smaller than the plane differs by machine."""
    return _DIGITS - math.floor(math.log10(span))


def _rounded(values: Iterable[float | None]) -> tuple[float | None, ...]:
    return tuple(
        None if value is None or not math.isfinite(value) else float(f"{value:.{_DIGITS}g}")
        for value in values
    )


def surface_metric(budget: SurfaceBudget) -> Metric:
    """Make the metric of a budget."""
    return Metric(
        name="surface",
        quantities=(),
        compute=partial(compute, budget),
        cost=partial(cost, budget),
        on_request=True,
    )


SURFACE = surface_metric(SurfaceBudget())

"""The profile of a path: error and loss at points along it, and quantities read off it.

With r(t) the error in percent, e = (r(0) + r(1)) / 2 and u the inner point with the largest
|r(t) - e|:

    connectivity = e - r(u)                          below 0: a barrier; above: better than the ends
    peak         = -max over inner t of r(t)
    barrier      = max over inner t of r(t) - max(r(0), r(1))          the same for the loss

Yang et al. 2021, arXiv 2107.11228, for the first; Frankle et al. 2020, arXiv 1912.05671, for the
last.  All points are measured on the same items, so standard errors are of paired differences.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from mdtree.items import Items
from mdtree.landscape.curves.batchnorm import score_reestimated
from mdtree.landscape.curves.bezier import BezierCurve
from mdtree.landscape.runner import ModelRunner
from mdtree.landscape.score import Score

__all__ = ["Point", "Profile", "ProfileValue", "profile"]


@dataclass(frozen=True, kw_only=True)
class ProfileValue:
    """A number read off a profile."""

    value: float
    stderr: float | None


@dataclass(frozen=True, kw_only=True)
class Point:
    """A position t on the path, and the score there."""

    t: float
    score: Score

    @property
    def loss(self) -> float:
        """Mean loss."""
        return self.score.mean_loss()

    @property
    def error(self) -> float | None:
        """Share of wrong items in percent; None if the targets are not classes."""
        return None if self.score.wrong is None else self.score.error()


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Points in order of t; the first and the last are the ends."""

    points: tuple[Point, ...]

    @property
    def has_errors(self) -> bool:
        """Whether the targets are classes, so that items can be wrong."""
        return self.points[0].score.wrong is not None

    @property
    def ends(self) -> tuple[Point, Point]:
        """The first and the last point."""
        return self.points[0], self.points[-1]

    @property
    def inner(self) -> tuple[Point, ...]:
        """The points between the ends."""
        return self.points[1:-1]

    def worst(self) -> Point:
        """Return the inner point farthest from the mean of the ends, in error, then in loss."""

        def difference(point: Point) -> tuple[float, float]:
            error = self._off(point, lambda point: point.error or 0.0)
            return error, self._off(point, lambda point: point.loss)

        return max(self.inner, key=difference)

    def connectivity(self) -> ProfileValue:
        """Compute the error of the ends minus that at the worst point."""
        first, last = self.ends
        return _mean((_wrong(first) + _wrong(last)) / 2 - _wrong(self.worst()), scale=100)

    def peak(self) -> ProfileValue:
        """Compute minus the highest error inside."""
        return _mean(-_wrong(_highest(self.inner, Score.error)), scale=100)

    def barrier(self) -> ProfileValue:
        """Compute the highest error inside minus that of the worse end."""
        highest, worse = (_highest(points, Score.error) for points in (self.inner, self.ends))
        return _mean(_wrong(highest) - _wrong(worse), scale=100)

    def loss_barrier(self) -> ProfileValue:
        """Compute the highest loss inside minus that of the worse end."""
        highest, worse = (_highest(points, Score.mean_loss) for points in (self.inner, self.ends))
        figure = _mean(highest.score.losses - worse.score.losses)
        return figure if highest.score.each else ProfileValue(value=figure.value, stderr=None)

    def _off(self, point: Point, of: Callable[[Point], float]) -> float:
        """Return the distance of a point from the mean of the ends."""
        first, last = self.ends
        return _comparable(abs(of(point) - (of(first) + of(last)) / 2))


def profile(
    runner: ModelRunner,
    path: BezierCurve,
    items: Items,
    statistics: Items,
    *,
    inner: Sequence[float],
    refined: int = 0,
    known: Sequence[Point] = (),
) -> Profile:
    """Measure the ends and inner points of a path, and refine around the worst point.

    Args:
        runner: The network and its loss.
        path: The path.
        items: The items on which every point is measured.
        statistics: The items on which BatchNorm statistics are re-estimated at every point.
        inner: The positions of the inner points.
        refined: How many times a point is added on both sides of the worst.
        known: Points that need not be measured again, such as ends that two paths share.
    """
    points = {point.t: point for point in known}
    for t in (0.0, 1.0, *inner):
        if t not in points:
            points[t] = _at(runner, path, t, items, statistics)
    for _ in range(refined):
        current = Profile(points=tuple(points[t] for t in sorted(points)))
        places = sorted(points)
        worst = places.index(current.worst().t)
        for other in (places[worst - 1], places[worst + 1]):
            t = (places[worst] + other) / 2
            points[t] = _at(runner, path, t, items, statistics)
    return Profile(points=tuple(points[t] for t in sorted(points)))


def _at(runner: ModelRunner, path: BezierCurve, t: float, items: Items, statistics: Items) -> Point:
    work = partial(score_reestimated, runner, items, statistics)
    return Point(t=t, score=runner.network.with_weights(path.at(t), work))


def _highest(points: Sequence[Point], of: Callable[[Score], float]) -> Point:
    return max(points, key=lambda point: _comparable(of(point.score)))


def _comparable(value: float) -> float:
    """Replace NaN by infinity, so that it counts as the worst."""
    return math.inf if math.isnan(value) else value


def _wrong(point: Point) -> Tensor:
    assert point.score.wrong is not None
    return point.score.wrong.double()


def _mean(values: Tensor, *, scale: float = 1.0) -> ProfileValue:
    """Compute the mean over the items and its standard error."""
    count = len(values)
    spread = float(torch.std(values)) if count > 1 else math.nan
    return ProfileValue(
        value=scale * float(values.mean()),
        stderr=scale * spread / math.sqrt(count) if math.isfinite(spread) else None,
    )

"""Pictures of training: quantities over the steps of a run, and what its trainer logged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mdtree.diagnosis import Trajectory
from mdtree.render.formatting import number, plain, with_unit
from mdtree.render.plot import Plot, PlotAxis, linear, logarithmic
from mdtree.render.svg import Figure, Markup
from mdtree.render.table import lines, numeric
from mdtree.render.trajectory_text import shown_steps
from mdtree.rows import HISTORY_DETAIL, QUANTITIES, Measured, Row

__all__ = ["TrainingPicture", "training_pictures"]

_MOST = 200  # steps that are drawn
_WIDE = 100.0  # of the largest over the smallest value: from there on the axis is logarithmic
_LARGEST = 1e100
_RING = 7.0


@dataclass(frozen=True, kw_only=True)
class TrainingPicture:
    """A picture of a trajectory, and what it shows."""

    title: str
    lead: str
    figure: Figure


@dataclass(frozen=True)
class _Curve:
    """A quantity that is drawn, and the column of the history that belongs to it."""

    name: str
    kind: str = "test"  # test | train: its colour
    logged: str | None = None


_BOTH = "Dark: test data; blue: training data. Dashed: what the trainer logged."
_PICTURES = (
    (
        "Error",
        _BOTH,
        (_Curve("test_error", "test", "test_accuracy"), _Curve("train_error", "train")),
    ),
    (
        "Loss",
        _BOTH,
        (_Curve("test_loss", "test", "test_loss"), _Curve("train_loss", "train", "train_loss")),
    ),
    *(
        (plain(name)[:1].upper() + plain(name)[1:], f"{QUANTITIES[name].meaning}.", (_Curve(name),))
        for name in (
            "hessian_top",
            "hessian_trace",
            "alpha",
            "alpha_hat",
            "log_norm",
            "log_spectral_norm",
            "stable_rank",
            "random_like",
            "cka",
            "connectivity",
        )
    ),
)


@dataclass(frozen=True)
class _Point:
    x: float
    value: Measured
    title: str
    is_kept: bool

    @property
    def ends(self) -> tuple[float, float]:
        error = self.value.stderr or 0.0
        return self.value.value - error, self.value.value + error


def training_pictures(trajectory: Trajectory, rows: Sequence[Row]) -> list[TrainingPicture]:
    """Draw the quantities that were measured at two or more steps.

    Args:
        trajectory: The steps of a run.
        rows: Their rows, among others.

    """
    by_group = {row.group: row for row in rows if row.protocol == trajectory.protocol}
    own = [by_group[step.group] for step in trajectory.steps if step.group in by_group]
    history = next((row for row in reversed(own) if HISTORY_DETAIL in (row.details or {})), None)
    drawn = []
    for title, lead, curves in _PICTURES:
        points = {curve: list(_points(trajectory, by_group, curve.name)) for curve in curves}
        if max(map(len, points.values())) > 1:
            logged = {curve: _logged(history, trajectory.axis, curve) for curve in curves}
            figure = _figure(trajectory, points, logged)
            drawn.append(TrainingPicture(title=title, lead=lead, figure=figure))
    return drawn


def _points(trajectory: Trajectory, by_group: Mapping[str, Row], name: str) -> Iterator[_Point]:
    for step in shown_steps(trajectory, _MOST):
        row = by_group.get(step.group)
        value = None if row is None else row.quantities.get(name)
        if isinstance(value, Measured) and abs(value.value) < _LARGEST:
            text = with_unit(number(value.value, value.stderr), QUANTITIES[name].unit)
            title = f"{step.label}: {plain(name)} {text}"
            yield _Point(step.at, value, title, step.group == trajectory.keep)


def _logged(row: Row | None, axis: str, curve: _Curve) -> list[list[tuple[float, float]]]:
    """Return what each run logged, in the order of the steps; accuracies become errors."""
    if row is None or curve.logged is None:
        return []
    runs: dict[object, list[tuple[float, float]]] = {}
    for run, *cells in lines(row, HISTORY_DETAIL, "run", axis, curve.logged):
        point = numeric(*cells)
        if point is not None:
            x, y = point
            runs.setdefault(run, []).append((x, 100 - y if curve.logged == "test_accuracy" else y))
    return [sorted(points) for points in runs.values() if len(points) > 1]


def _figure(
    trajectory: Trajectory,
    points: Mapping[_Curve, Sequence[_Point]],
    logged: Mapping[_Curve, Sequence[Sequence[tuple[float, float]]]],
) -> Figure:
    past = [point for runs in logged.values() for run in runs for point in run]
    known = [point for each in points.values() for point in each]
    heights = [y for _, y in past] + [end for point in known for end in point.ends]
    x = linear(trajectory.axis, [x for x, _ in past] + [point.x for point in known], snug=True)
    plot = Plot(x, _height(next(iter(points)).name, heights))
    marks = [
        plot.curve(run, f"logged {curve.kind}") for curve, runs in logged.items() for run in runs
    ]
    for curve, own in points.items():
        marks += _marks(plot, curve, own)
    names = " and ".join(plain(curve.name) for curve, own in points.items() if own)
    drawing = plot.drawn(marks, f"{names} over the {trajectory.axis}s of {trajectory.run}")
    return Figure(drawing=drawing, note=_left_out(trajectory))


def _marks(plot: Plot, curve: _Curve, points: Sequence[_Point]) -> Iterator[Markup]:
    if points:  # a path without points is an error to a browser
        yield plot.curve(
            [(point.x, point.value.value) for point in points], f"measured {curve.kind}"
        )
    for point in points:
        if point.value.stderr:
            yield plot.bar(point.x, *point.ends, f"error {curve.kind}")
        yield plot.dot(point.x, point.value.value, f"at {curve.kind}", point.title)
        if point.is_kept:
            title = f"to keep: {point.title}"
            yield plot.dot(point.x, point.value.value, "kept", title, radius=_RING)


def _height(name: str, heights: Sequence[float]) -> PlotAxis:
    unit = QUANTITIES[name].unit
    label = with_unit("", unit).strip() if unit else plain(name)
    if min(heights) > 0 and max(heights) > _WIDE * min(heights):
        return logarithmic(label, heights)
    return linear(label, heights)


def _left_out(trajectory: Trajectory) -> str | None:
    shown, known = len(shown_steps(trajectory, _MOST)), len(trajectory.steps)
    return None if shown == known else f"{shown:,} of {known:,} steps are drawn."

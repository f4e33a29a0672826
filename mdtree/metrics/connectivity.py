"""Mode connectivity: paths between two checkpoints that differ only by seed.

standard-1   the control point starts on the straight line and is trained on a fixed budget of
             items, with early stopping by its own loss on a fixed part of them; errors on a fixed
             sample, at points that close in on the worst; every checkpoint with the next one in
             order of names.  The straight line itself is measured too.
paper-1      the control point starts at random and is trained for as many steps as 50 epochs over
             the zoo's full training set have; five points, on the whole training set; the first
             two checkpoints alone.

BatchNorm statistics are re-estimated at every point, the ends included.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

from mdtree.landscape import (
    ComputeCost,
    Profile,
    ProfileValue,
    TrainedCurve,
    derive_seed,
    draw,
    generator,
    preserved_state,
    profile,
    straight_line,
    trainable_parameters,
)
from mdtree.metrics.base import Metric, MetricInput, MetricResult, Workload, needs_two
from mdtree.metrics.budgets import ConnectivityBudget, PaperConnectivity, StandardConnectivity
from mdtree.metrics.curve import curve_items, paper_curve, standard_curve, training_cost
from mdtree.metrics.curve_precision import AskedCurve, PairResult, reach_of_all
from mdtree.metrics.precision import Inquiry, stopped_by
from mdtree.rows import Detail, Measured, Missing, Value, mean_over_members

__all__ = [
    "CONNECTIVITY",
    "connectivity_metric",
]

_QUANTITIES = (
    "connectivity",
    "connectivity_peak",
    "barrier",
    "barrier_loss",
    "linear_barrier",
    "linear_barrier_loss",
)

_INNER = (0.25, 0.5, 0.75)


def compute(budget: ConnectivityBudget, metric_input: MetricInput) -> MetricResult:
    """Measure the quantities of the curve and the line, with their profiles."""
    if len(metric_input.members) < 2:  # noqa: PLR2004 - a pair
        return needs_two(_QUANTITIES, len(metric_input.members))
    if len(metric_input.data.train) < 2:  # noqa: PLR2004 - BatchNorm needs a variance
        missing = Missing(missing=f"needs 2 training items, found {len(metric_input.data.train)}")
        return MetricResult(dict.fromkeys(_QUANTITIES, missing))
    if not trainable_parameters(metric_input.runner.network).shapes:
        missing = Missing(missing="the network has no trainable parameters")
        return MetricResult(dict.fromkeys(_QUANTITIES, missing))
    if metric_input.protocol == "paper-1":
        pair_results = list(_paper(budget.paper, metric_input))
    else:
        pair_results = list(_standard(budget.standard, metric_input))
    stopped = stopped_by((result.converged, result.told) for result in pair_results)
    of_curve = [name for name, reading in _READ.items() if not reading.of_line]
    return MetricResult(
        {name: _combined(read, pair_results) for name, read in _READ.items()},
        details=_details(pair_results),
        stopped=dict.fromkeys(of_curve, stopped),
        open=reach_of_all(pair_results) if stopped == "verdict" else {},
    )


def cost(budget: ConnectivityBudget, work: Workload) -> ComputeCost:
    """Estimate the cost of the steps, the checks, and the points of curve and line."""
    if work.protocol == "paper-1":
        points = 2 + len(_INNER)
        measured = ComputeCost(forward=points * 2 * work.train_items)
        return (training_cost(budget, work) + measured) * min(work.pairs, 1)
    standard = budget.standard
    items = min(work.train_items, standard.items)
    points = 2 + 2 * (len(_INNER) + 2 * standard.refined)
    measured = ComputeCost(forward=points * (items + min(items, standard.statistics)))
    return (training_cost(budget, work) + measured) * work.pairs


def _standard(budget: StandardConnectivity, metric_input: MetricInput) -> Iterator[PairResult]:
    runner, seed = metric_input.runner, metric_input.seed
    layout = trainable_parameters(runner.network)
    # The quantities are training errors along the path.  Items that the control point was not
    # trained on would add spurious barriers, and checks on them would stop training too early
    # where data are few.
    chosen = curve_items(budget, metric_input)
    sample = draw(runner, chosen.items, budget.items, generator(seed, "path sample"))
    statistics = draw(runner, sample, budget.statistics, generator(seed, "path statistics"))
    along = partial(
        profile, runner, items=sample, statistics=statistics, inner=_INNER, refined=budget.refined
    )
    pairs = list(pairwise(metric_input.members.items()))
    inquiry = Inquiry(enough=metric_input.enough, parts=len(pairs))
    asked = [
        AskedCurve(f"{a} - {c}", straight_line(layout, start, end), inquiry, along)
        for (a, start), (c, end) in pairs
    ]
    if inquiry.asks:
        for place, each in enumerate(asked):
            with preserved_state(runner, derive_seed(seed, "path", place)):
                each.measure_line()
    for place, each in enumerate(asked):
        if inquiry.is_settled:
            trained = TrainedCurve(path=each.line, steps=0, converged=False, told=True)
            yield each.result(trained)
            continue
        with preserved_state(runner, derive_seed(seed, "path", place)):
            enough = each.is_enough if inquiry.asks else None
            trained = standard_curve(budget, metric_input, place, each.line, chosen, enough=enough)
            yield each.result(trained)


def _paper(budget: PaperConnectivity, metric_input: MetricInput) -> Iterator[PairResult]:
    runner, train = metric_input.runner, metric_input.data.train
    (a, start), (c, end) = list(metric_input.members.items())[:2]
    line = straight_line(trainable_parameters(runner.network), start, end)
    with preserved_state(runner, derive_seed(metric_input.seed, "path", 0)):
        trained = paper_curve(budget, metric_input, line)
        curve = profile(runner, trained.path, train, train, inner=_INNER)
    yield PairResult(
        pair=f"{a} - {c}", curve=curve, line=None, steps=trained.steps, converged=trained.converged
    )


@dataclass(frozen=True)
class _Reading:
    """How a quantity is read off a profile."""

    read: Callable[[Profile], ProfileValue]
    of_line: bool = False
    of_errors: bool = True


_READ: dict[str, _Reading] = {
    "connectivity": _Reading(Profile.connectivity),
    "connectivity_peak": _Reading(Profile.peak),
    "barrier": _Reading(Profile.barrier),
    "barrier_loss": _Reading(Profile.loss_barrier, of_errors=False),
    "linear_barrier": _Reading(Profile.barrier, of_line=True),
    "linear_barrier_loss": _Reading(Profile.loss_barrier, of_line=True, of_errors=False),
}


def _combined(reading: _Reading, pair_results: Sequence[PairResult]) -> Value:
    profiles = [result.line if reading.of_line else result.curve for result in pair_results]
    known = [profile for profile in profiles if profile is not None]
    if not known:
        return Missing(missing="not part of protocol paper-1")
    if reading.of_errors and not all(profile.has_errors for profile in known):
        return Missing(missing="the targets are not class numbers")
    figures = [reading.read(profile) for profile in known]
    mean = mean_over_members([f.value for f in figures], single_stderr=figures[0].stderr)
    if not isinstance(mean, Measured):
        return Missing(missing="the loss or the error is not finite on the path")
    if reading.of_line:
        return replace(mean, members=None)
    return replace(
        mean,
        members=None,  # values are of pairs, and listed in the details
        iterations=sum(result.steps for result in pair_results),
        converged=all(result.converged for result in pair_results),
    )


def _details(pair_results: Sequence[PairResult]) -> dict[str, Detail]:
    details = {"curve": _detail([(result.pair, result.curve) for result in pair_results])}
    lines = [(result.pair, result.line) for result in pair_results if result.line is not None]
    if lines:
        details["line"] = _detail(lines)
    return details


def _detail(profiles: Sequence[tuple[str, Profile]]) -> Detail:
    points = [(pair, point) for pair, profile in profiles for point in profile.points]
    return Detail(
        columns={
            "pair": tuple(pair for pair, _ in points),
            "t": tuple(point.t for _, point in points),
            "train_error": tuple(_finite(point.error) for _, point in points),
            "train_loss": tuple(_finite(point.loss) for _, point in points),
        }
    )


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value


def connectivity_metric(budget: ConnectivityBudget) -> Metric:
    """Make the metric of a budget."""
    return Metric(
        name="connectivity",
        quantities=_QUANTITIES,
        compute=partial(compute, budget),
        cost=partial(cost, budget),
    )


CONNECTIVITY = connectivity_metric(ConnectivityBudget())

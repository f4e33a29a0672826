"""Curvature of the training loss: the largest eigenvalue of its Hessian, the trace, the density.

standard-1   one fixed sample of 1,024 training items for all members; Lanczos until the largest
             eigenvalue is known to 1 %, if asked for alone after fewer steps where none can be
             hidden; the trace inside the space of Lanczos plus random probes outside of it, until
             its standard error is within 5 %; both less precise on demand.
paper-1      PyHessian on one batch of 200 training items, another for each member; its power
             iteration and its probes, with its limits and tolerances.

Mean loss without weight decay, stored BatchNorm statistics, trainable parameters.  Trees use
natural logarithms, so a value that is not positive counts as missing there.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from torch import Tensor

from mdtree.landscape import (
    ComputeCost,
    DoubleBackwardResult,
    Hessian,
    LanczosResult,
    LossError,
    NoSecondDerivativeError,
    derive_seed,
    double_backward,
    draw,
    generator,
    preserved_state,
    published_hessian,
    trainable_parameters,
    within_memory,
)
from mdtree.metrics.base import Metric, MetricInput, MetricResult, Workload
from mdtree.metrics.budgets import HessianBudget, PaperHessian, StandardHessian
from mdtree.metrics.hessian_precision import HessianParts, MemberHessian, Source, advanced
from mdtree.metrics.precision import stopped_by
from mdtree.models import Weights
from mdtree.rows import Detail, Measured, Missing, Value, mean_over_members

__all__ = ["HESSIAN", "hessian_metric"]

# Usual numbers on trained networks, to estimate the cost.
_USUAL_STEPS = 10
_USUAL_PROBES = 12
_USUAL_PAPER_PRODUCTS = 45
_DOUBT = 5  # standard errors between the mean of some items and that of all
_AGREE = 0.02  # of the eigenvalue, whose own tolerance is 0.01
_QUANTITIES = ("hessian_top", "hessian_trace")


@dataclass(frozen=True, kw_only=True)
class _Number:
    """A number of one member, with its standard error and convergence."""

    value: float
    stderr: float | None
    iterations: int
    converged: bool
    is_early: bool = False  # more work would change it


@dataclass(frozen=True, kw_only=True)
class _Curvature:
    """The curvature at one member."""

    top: _Number
    trace: _Number | None  # None: it was not asked for
    density: tuple[tuple[float, float], ...] = ()  # (eigenvalue, weight)


def compute(budget: HessianBudget, metric_input: MetricInput) -> MetricResult:
    """Measure hessian_top and hessian_trace, and the spectral density for its plot."""
    if trainable_parameters(metric_input.runner.network).size == 0:
        missing = Missing(missing="the network has no trainable parameters")
        return MetricResult(dict.fromkeys(_QUANTITIES, missing))
    budget = budget.times(metric_input.hessian_limit)
    notes: list[str] = []
    if metric_input.hessian_limit > 1:
        notes.append(
            f"Hessian: up to {metric_input.hessian_limit} times the steps and probes of the "
            "protocol"
        )
    parts = HessianParts(metric_input)
    curvatures: dict[str, _Curvature] = {}
    for place, name in parts.turns():
        try:
            derived: DoubleBackwardResult[_Curvature] = double_backward(
                partial(_measured, budget, metric_input, name, place, parts)
            )
        except (LossError, NoSecondDerivativeError) as error:
            reason = Missing(missing=f"{name}: {error}")
            return MetricResult(dict.fromkeys(_QUANTITIES, reason))
        curvatures[name] = derived.result
        notes += derived.notes
    return _result({name: curvatures[name] for name in metric_input.members}, notes, parts)


def _result(
    curvatures: dict[str, _Curvature], notes: Sequence[str], parts: HessianParts
) -> MetricResult:
    numbers = {"hessian_top": [member.top for member in curvatures.values()]}
    traces = [member.trace for member in curvatures.values() if member.trace is not None]
    if traces:
        numbers["hessian_trace"] = traces
    stopped = {
        name: stopped_by((number.converged, number.is_early) for number in of_members)
        for name, of_members in numbers.items()
    }
    means = parts.inquiry.means() if "verdict" in stopped.values() else {}
    return MetricResult(
        {name: _combined(of_members) for name, of_members in numbers.items()},
        details=_density(curvatures),
        notes=tuple(dict.fromkeys(notes)),
        stopped=stopped,
        open={name: means[name] for name, rule in stopped.items() if rule == "verdict"},
    )


def cost(budget: HessianBudget, work: Workload) -> ComputeCost:
    """Estimate the cost of the products that usually suffice."""
    if work.protocol == "paper-1":
        items = min(work.train_items, budget.paper.items)
        per_member = ComputeCost(gradient=2 * items, product=items * _USUAL_PAPER_PRODUCTS)
    else:
        items = min(work.train_items, budget.standard.items)
        probes = _USUAL_PROBES if work.wants("hessian_trace") else 0
        graphs = 1 + _USUAL_STEPS + probes / 4  # at most: what is kept is computed once
        per_member = ComputeCost(
            gradient=items * graphs, product=items * (1 + _USUAL_STEPS + probes)
        )
    return per_member * work.members


def _measured(
    budget: HessianBudget, metric_input: MetricInput, name: str, place: int, parts: HessianParts
) -> _Curvature:
    """Measure one member; each attempt with other kernels starts with the same random numbers."""
    weights = metric_input.members[name]
    with preserved_state(metric_input.runner, derive_seed(metric_input.seed, "hessian", place)):
        if metric_input.protocol == "paper-1":
            parts.ended.add(name)
            return _paper(budget.paper, metric_input, weights, place)
        return _standard(budget.standard, metric_input, name, place, parts)


def _standard(
    budget: StandardHessian, metric_input: MetricInput, name: str, place: int, parts: HessianParts
) -> _Curvature:
    """Measure a member on the same items as all others, so that only the weights differ."""
    runner, weights = metric_input.runner, metric_input.members[name]
    sample = draw(
        runner, metric_input.data.train, budget.items, generator(metric_input.seed, "hessian")
    )
    largest = min(budget.batch_size, runner.batch_size, len(sample))
    source = Source(seed=metric_input.seed, place=place)

    def work(batch_size: int) -> _Curvature:
        # where memory has run out, nothing is kept
        hessian = Hessian(runner, weights, sample, batch_size, keep=batch_size == largest)
        member = parts.known(name, hessian)
        is_enough = False
        while not is_enough:
            member = advanced(
                budget,
                hessian,
                source,
                member,
                whole=not parts.inquiry.asks or (parts.is_full and not parts.is_alone),
                wants_trace=metric_input.wants("hessian_trace"),
            )
            is_enough = parts.inquiry.is_enough_with(name, member.running(budget))
            if member.ended or not parts.is_alone:
                break
        assert member is not None
        parts.keep(name, member)
        alone = len(metric_input.members) == 1
        stderr = _spread(budget, hessian, member.ritz) if alone else None
        return _curvature(member, stderr)

    return within_memory(work, largest)


def _curvature(member: MemberHessian, stderr: float | None) -> _Curvature:
    ritz, trace = member.ritz, member.trace
    return _Curvature(
        top=_Number(
            value=ritz.top,
            stderr=stderr,
            iterations=ritz.steps,
            converged=ritz.converged,
            is_early=not member.top_ended,
        ),
        trace=None
        if trace is None
        else _Number(
            value=trace.value,
            stderr=trace.stderr,
            iterations=trace.probes,
            converged=trace.converged and member.trace_ended,
            is_early=not member.trace_ended,
        ),
        density=tuple(zip(ritz.nodes.tolist(), ritz.weights.tolist(), strict=True)),
    )


def _spread(budget: StandardHessian, hessian: Hessian, ritz: LanczosResult) -> float | None:
    """Give the standard error over the items, from each one's curvature along the top vector."""
    vector = ritz.top_vector()
    curvatures = hessian.by_item(vector, budget.spread_items)
    if curvatures is not None and len(curvatures) > 1:
        each = curvatures.double()
        mean, sd = float(each.mean()), float(each.std())
        # forward derivatives that miss a part of the curvature would not have its mean
        if abs(mean - ritz.top) <= _DOUBT * sd / math.sqrt(len(each)) + _AGREE * abs(ritz.top):
            return sd / math.sqrt(len(hessian.items))
    return _spread_of_parts(hessian, vector, budget.part)


def _spread_of_parts(hessian: Hessian, top: Tensor, part_items: int) -> float | None:
    """Give the standard error over the items, from the curvature of parts of them along `top`.

    For shares s_b and curvatures c_b with mean c: sqrt(sum_b s_b^2 (c_b - c)^2 / (1 - sum_b s_b^2))
    """
    parts = hessian.parts(top.unsqueeze(0), min(part_items, hessian.batch_size))
    curvatures = [(share, float(part[0] @ top)) for share, part in parts]
    if len(curvatures) == 1:
        return None
    mean = sum(share * curvature for share, curvature in curvatures)
    squares = sum((share * (curvature - mean)) ** 2 for share, curvature in curvatures)
    return math.sqrt(squares / (1 - sum(share**2 for share, _ in curvatures)))


def _paper(
    budget: PaperHessian, metric_input: MetricInput, weights: Weights, place: int
) -> _Curvature:
    runner = metric_input.runner
    source = generator(metric_input.seed, "hessian items", place)
    sample = draw(runner, metric_input.data.train, budget.items, source)
    result = published_hessian(runner, weights, sample, iterations=budget.iterations)
    probes = len(result.forms)
    stderr = statistics.stdev(result.forms) / math.sqrt(probes) if probes > 1 else None
    return _Curvature(
        top=_Number(
            value=result.top,
            stderr=None,
            iterations=result.top_iterations,
            converged=result.top_iterations < budget.iterations,
        ),
        trace=_Number(
            value=result.trace,
            stderr=stderr,
            iterations=probes,
            converged=probes < budget.iterations,
        ),
    )


def _combined(members: Sequence[_Number]) -> Value:
    mean = mean_over_members([m.value for m in members], single_stderr=members[0].stderr)
    if not isinstance(mean, Measured):
        return mean
    iterations = sum(member.iterations for member in members)
    return replace(mean, iterations=iterations, converged=all(m.converged for m in members))


def _density(curvatures: dict[str, _Curvature]) -> dict[str, Detail]:
    """List nodes and weights of the Gauss quadrature of each member's spectral density."""
    lines = [
        (name, value, weight)
        for name, curvature in curvatures.items()
        for value, weight in curvature.density
    ]
    if not lines:
        return {}
    members, values, weights = zip(*lines, strict=True)
    return {
        "hessian_density": Detail(
            columns={"member": members, "eigenvalue": values, "weight": weights}
        )
    }


def hessian_metric(budget: HessianBudget) -> Metric:
    """Make the metric of a budget."""
    return Metric(
        name="hessian",
        quantities=_QUANTITIES,
        compute=partial(compute, budget),
        cost=partial(cost, budget),
    )


HESSIAN = hessian_metric(HessianBudget())

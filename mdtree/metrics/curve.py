"""The curve between two checkpoints, as connectivity measures it and the surface shows it.

It is trained once for a group: what one metric has trained is kept for the other, if both are
measured (`MetricInput.curves`).  Alone or together, it is the same curve: its random numbers depend
on the seed and the pair only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import torch

from mdtree.datasets import Items
from mdtree.landscape import (
    BezierCurve,
    ComputeCost,
    ConvergenceCheck,
    CurveTraining,
    TrainedCurve,
    derive_seed,
    generator,
    preserved_state,
    random_weights,
    straight_line,
    train_curve,
    trainable_parameters,
)
from mdtree.metrics.base import MetricInput, Workload
from mdtree.metrics.budgets import ConnectivityBudget, PaperConnectivity, StandardConnectivity

__all__ = [
    "ASKED_STEPS",
    "CHECKED_AT",
    "CurveItems",
    "curve_items",
    "first_curve",
    "paper_curve",
    "published_rate",
    "standard_curve",
    "training_cost",
]

ASKED_STEPS = (75, 150, 300)  # of 600; a question costs as much as 30 of them
CHECKED_AT = 3  # points of the curve that a check looks at
_STREAM = "curve"  # of random numbers: another word would change all numbers
_LEARNING_RATE = 0.01  # of the published curves


@dataclass(frozen=True)
class CurveItems:
    """The items that control points are trained on, and the check on a part of them."""

    items: Items
    check: ConvergenceCheck | None


def curve_items(budget: StandardConnectivity, metric_input: MetricInput) -> CurveItems:
    """Draw the items that control points are trained on, and a part of them for checks."""
    train = metric_input.data.train
    order = torch.randperm(len(train), generator=generator(metric_input.seed, "path items"))
    order = order[: budget.steps * budget.batch_size]
    count = _check_items(budget, len(order))
    if count == 0:
        return CurveItems(train.take(order), None)
    items = metric_input.runner.here(train.take(order[:count]))
    return CurveItems(
        train.take(order),
        ConvergenceCheck(items=items, every=budget.check_every, patience=budget.patience),
    )


def _check_items(budget: StandardConnectivity, train_items: int) -> int:
    """Return the number of items of a check."""
    return (
        min(budget.check_items, train_items) if train_items > 1 else 0
    )  # BatchNorm needs a variance


def standard_curve(
    budget: StandardConnectivity,
    metric_input: MetricInput,
    place: int,
    line: BezierCurve,
    chosen: CurveItems,
    *,
    enough: Callable[[BezierCurve], bool] | None = None,
) -> TrainedCurve:
    """Train the curve of the pair at a place as standard-1 does, from its straight line.

    `enough` is asked after some of the steps whether the curve need not become better.
    """
    how = CurveTraining(
        steps=budget.steps,
        batch_size=budget.batch_size,
        learning_rate=budget.learning_rate,
        rate=published_rate,
        check=chosen.check,
        asked_after=() if enough is None else ASKED_STEPS,
        enough=enough or (lambda _: False),
    )
    return _kept(metric_input, place, line, chosen.items, how)


def paper_curve(
    budget: PaperConnectivity, metric_input: MetricInput, line: BezierCurve
) -> TrainedCurve:
    """Train the curve of the first pair as paper-1 does, from random weights."""
    how = CurveTraining(
        steps=budget.steps(metric_input.data.full),
        batch_size=budget.batch_size,
        learning_rate=_LEARNING_RATE,
        rate=published_rate,
    )
    return _kept(metric_input, 0, line, metric_input.data.train, how, is_random=True)


def _kept(
    metric_input: MetricInput,
    place: int,
    line: BezierCurve,
    items: Items,
    how: CurveTraining,
    *,
    is_random: bool = False,
) -> TrainedCurve:
    """Train a curve, or take the one that another metric has trained; the first is kept."""
    curves = metric_input.curves
    if curves is not None and place in curves:
        return curves[place]
    source = generator(metric_input.seed, _STREAM, place)
    if is_random:
        control_point = random_weights(line.layout, line.control_point, source)
        line = replace(line, control_point=control_point)
    trained = train_curve(metric_input.runner, line, items, how, source)
    if curves is not None and place == 0 and not trained.told:
        curves[place] = trained
    return trained


def first_curve(budget: ConnectivityBudget, metric_input: MetricInput) -> TrainedCurve:
    """Return the curve between the first two members, under the protocol of the group."""
    (_, start), (_, end) = next(pairwise(metric_input.members.items()))
    line = straight_line(trainable_parameters(metric_input.runner.network), start, end)
    with preserved_state(metric_input.runner, derive_seed(metric_input.seed, "path", 0)):
        if metric_input.protocol == "paper-1":
            return paper_curve(budget.paper, metric_input, line)
        chosen = curve_items(budget.standard, metric_input)
        return standard_curve(budget.standard, metric_input, 0, line, chosen)


def training_cost(budget: ConnectivityBudget, work: Workload) -> ComputeCost:
    """Estimate the cost of training one curve, with its checks."""
    if work.protocol == "paper-1":
        paper = budget.paper
        steps = paper.steps(work.full_items)
        return ComputeCost(gradient=steps * min(paper.batch_size, work.train_items))
    standard = budget.standard
    check = _check_items(standard, work.train_items)
    return ComputeCost(
        gradient=standard.steps * min(standard.batch_size, work.train_items),
        forward=standard.steps / standard.check_every * CHECKED_AT * check,
    )


def published_rate(progress: float) -> float:
    """Return the learning rate schedule: 1 for the first half, then linearly to 0.01 at 0.9."""
    if progress <= 0.5:  # noqa: PLR2004 - half way
        return 1.0
    return 0.01 + 0.99 * max(0.0, (0.9 - progress) / 0.4)

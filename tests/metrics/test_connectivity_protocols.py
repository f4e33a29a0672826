"""What each protocol asks for, and what it costs."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import nn

from mdtree.datasets import Data, TensorItems
from mdtree.landscape import train_curve
from mdtree.metrics import Workload, connectivity, curve
from mdtree.metrics.budgets import ConnectivityBudget, PaperConnectivity, StandardConnectivity
from mdtree.metrics.connectivity import CONNECTIVITY, connectivity_metric
from mdtree.metrics.curve import published_rate
from mdtree.rows import Missing
from mdtree.training.loop import Training, train
from tests.support.valleys import (
    CROSS_ENTROPY,
    copy_of,
    line_of,
    measure,
    measured_values,
    members,
    mlp,
    subject,
)

BUDGET = StandardConnectivity()


def items(count):
    """Give items that are told apart by their first number."""
    x = torch.cat([torch.arange(float(count))[:, None], torch.randn(count, 4)], dim=1)
    return TensorItems((x, torch.arange(count) % 3))


@pytest.fixture
def asked(monkeypatch):
    """Collect what train_curve is called with, and make two steps."""
    calls = []

    def spy(runner, path, rest, how, source):
        calls.append((path, rest, how))
        return train_curve(runner, path, rest, replace(how, steps=2), source)

    monkeypatch.setattr(curve, "train_curve", spy)
    return calls


def places(chosen):
    return set(chosen.all[0][:, 0].tolist())


@pytest.mark.parametrize(("full", "steps"), [(None, 50), (128, 50), (1000, 350), (50_000, 19_500)])
def test_paper_1_trains_for_50_epochs_of_the_full_set_on_the_part_that_is_used(asked, full, steps):
    group, train = subject(mlp(), members(mlp), protocol="paper-1"), items(60)
    CONNECTIVITY.compute(replace(group, data=Data(train, None, available=full)))

    ((_, rest, how),) = asked
    assert how.steps == steps
    assert places(rest) == places(train)
    assert (how.batch_size, how.learning_rate, how.momentum) == (128, 0.01, 0.9)
    assert (how.weight_decay, how.check) == (5e-4, None)
    assert how.rate is published_rate


@pytest.mark.parametrize(
    ("progress", "share"),
    [(0, 1), (0.3, 1), (0.5, 1), (0.6, 0.7525), (0.7, 0.505), (0.9, 0.01), (0.95, 0.01), (1, 0.01)],
)
def test_the_learning_rate_is_kept_then_lowered_evenly_then_kept(progress, share):
    assert published_rate(progress) == pytest.approx(share)


def test_paper_1_starts_at_random_and_takes_the_first_two_members(asked):
    weights = members(mlp, 3)
    result = measure(mlp(), weights, items(60), protocol="paper-1")
    measure(mlp(), weights, items(60), protocol="paper-1", seed=1)

    (path, *_), (other, *_) = asked
    control_point, line = path.control_point, line_of(mlp(), *weights[:2])
    assert not torch.allclose(line.control_point, control_point)
    assert not torch.equal(other.control_point, control_point)
    assert control_point.abs().max() <= 1
    assert (path.layout.views(control_point)["1.bias"] == 0).all()
    assert {"seed-0 - seed-1"} == set(result.details["curve"].columns["pair"])


def test_paper_1_measures_five_points_on_the_whole_training_set(asked):
    result = measure(mlp(), members(mlp), items(1030), protocol="paper-1", batch_size=500)
    columns = result.details["curve"].columns
    assert columns["t"] == (0, 0.25, 0.5, 0.75, 1)
    wrong = [error * 1030 / 100 for error in columns["train_error"]]
    assert wrong == pytest.approx([round(each) for each in wrong])
    for name in ("linear_barrier", "linear_barrier_loss"):
        assert Missing(missing="not part of protocol paper-1") == result.values[name]
    assert "line" not in result.details
    assert (result.values["barrier"].iterations, result.values["barrier"].converged) == (2, True)
    assert asked


def test_standard_1_starts_on_the_line_and_checks_a_part_of_what_it_is_trained_on(asked):
    weights = members(mlp, 3)
    measure(mlp(), weights, items(60))

    for (path, rest, how), pair in zip(asked, pairwise(weights), strict=True):
        assert torch.equal(line_of(mlp(), *pair).control_point, path.control_point)
        assert places(rest) == set(range(60))
        assert len(how.check.items) == min(60, BUDGET.check_items)
        assert places(how.check.items) <= places(rest)
    assert places(asked[0][1]) == places(asked[1][1])


def test_standard_1_measures_training_errors_on_what_the_bend_was_trained_on(asked, monkeypatch):
    measured = []
    original = connectivity.profile

    def watched(*args, **kwargs):
        measured.append(places(kwargs["items"]))
        return original(*args, **kwargs)

    monkeypatch.setattr(connectivity, "profile", watched)
    measure(mlp(), members(mlp), items(60))
    assert measured == [places(asked[0][1])] * 2  # the curve and the line


def test_standard_1_measures_a_sample_and_refines_around_the_worst(asked):
    inner, refined = 3, BUDGET.refined
    count = 2 * BUDGET.items
    result = measure(mlp(), members(mlp), items(count), batch_size=500)
    for name in ("curve", "line"):
        columns = result.details[name].columns
        assert len(columns["t"]) == len(set(columns["t"])) == 2 + inner + 2 * refined
        wrong = [error * BUDGET.items / 100 for error in columns["train_error"]]
        assert wrong == pytest.approx([round(each) for each in wrong])
    assert len(asked[0][2].check.items) == BUDGET.check_items


def plain():
    return nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3))


@pytest.mark.parametrize("make", [mlp, plain])
@pytest.mark.parametrize(
    ("count", "pairs"), [(3, 1), (12, 1), (60, 1), (60, 2), (700, 1), (3000, 1)]
)
@pytest.mark.parametrize("protocol", ["standard-1", "paper-1"])
def test_the_cost_told_before_is_within_a_factor_of_two(make, count, protocol, pairs):
    metric = connectivity_metric(ConnectivityBudget(paper=PaperConnectivity(epochs=20)))
    group = subject(
        make(), members(make, pairs + 1), items(count), protocol=protocol, batch_size=500
    )
    group = replace(group, data=replace(group.data, available=max(count, 1300)))
    work = Workload(
        members=pairs + 1,
        train_items=count,
        test_items=0,
        full_items=group.data.full,
        protocol=protocol,
    )
    estimate = metric.cost(work).passes
    metric.compute(group)
    assert estimate / 2 <= group.runner.meter.total.passes <= estimate * 2


@pytest.mark.parametrize("protocol", ["standard-1", "paper-1"])
def test_one_member_costs_nothing(protocol):
    work = Workload(members=1, train_items=9, test_items=0, full_items=9, protocol=protocol)
    assert CONNECTIVITY.cost(work).passes == 0


def test_training_helps_where_checkpoints_of_two_trainings_meet(monkeypatch):
    """Two trained networks of few units: the trained curve has a lower loss than the line."""

    data = items(300)
    x = data.all[0] / torch.tensor([300.0, 1, 1, 1, 1])
    data = TensorItems((x, (x[:, 1] * x[:, 2] > 0).long()))
    weights = []
    for seed in range(2):
        torch.manual_seed(seed)
        module = plain()
        how = Training(batch_size=30, learning_rate=0.1, epochs=60, seed=seed)
        weights.append(copy_of(train(module, data, CROSS_ENTROPY, how)))
    values = measured_values(measure(plain(), weights, data, batch_size=300))
    assert values["linear_barrier_loss"] > 0.1
    assert values["barrier_loss"] < 0.5 * values["linear_barrier_loss"]

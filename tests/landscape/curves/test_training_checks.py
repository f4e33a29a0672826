from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from mdtree.landscape import ComputeCost, generator, train_curve
from mdtree.landscape.curves import training
from tests.support.valleys import (
    END,
    START,
    FailingLoss,
    Ring,
    around_the_ring,
    convergence_check,
    curve_training,
    line_of,
    mean_loss,
    members,
    numbered_items,
    ring_loss,
    runner_of,
)


@pytest.mark.parametrize("rate", [1e-4, 0.01, 0.1, 1.0, 30.0, 1e6, 1e30])
@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_no_learning_rate_makes_it_worse_than_the_line_where_there_are_checks(rate, decay):
    trained, _ = around_the_ring(learning_rate=rate, weight_decay=decay, check=convergence_check())
    assert mean_loss(trained.path) <= mean_loss(line_of(Ring(), START, END))


def test_a_rate_that_diverges_is_lowered_until_it_helps():
    line = line_of(Ring(), START, END)
    without, _ = around_the_ring(learning_rate=3.0, steps=60)
    assert not mean_loss(without.path) <= mean_loss(line)

    check = convergence_check(patience=8)
    braked, _ = around_the_ring(learning_rate=3.0, steps=60, check=check)
    assert mean_loss(braked.path) < 0.2 * mean_loss(line)


@pytest.mark.parametrize("patience", [0, 2])
def test_where_nothing_can_be_gained_it_stops_after_its_patience(patience):
    check = convergence_check(patience=patience)
    trained, runner = around_the_ring(end=START, weight_decay=0.0, check=check)
    assert trained.converged
    assert 5 * (patience + 1) == trained.steps
    assert torch.allclose(START["w"], trained.path.control_point)
    cost = ComputeCost(gradient=3 * trained.steps, forward=3 * 6 * (patience + 2))
    assert cost == runner.meter.total


def test_where_the_steps_run_out_it_has_not_converged():
    trained, _ = around_the_ring(steps=7, check=convergence_check())
    assert (trained.steps, trained.converged) == (7, False)
    trained, _ = around_the_ring(steps=7)
    assert (trained.steps, trained.converged) == (7, True)  # nothing but the steps was asked for


def test_gains_too_small_to_go_on_for_are_kept_nevertheless():
    check = convergence_check(patience=3, gain=0.99)
    trained, _ = around_the_ring(learning_rate=0.01, control_point=[0.5, 0.5], check=check)
    start = line_of(Ring(), START, END)
    assert trained.steps == 5 * 4
    assert mean_loss(trained.path) < mean_loss(
        replace(start, control_point=torch.tensor([0.5, 0.5]))
    )


def test_losses_below_zero_have_gains_and_losses_too():
    """A decay pulls the control point off the ring: by less than 1 % of a loss of about -100."""

    def lowered(output, batch):
        return ring_loss(output, batch) - 100

    best, _ = around_the_ring(weight_decay=0.0)
    at = best.path.control_point.tolist()
    check = convergence_check(patience=3)
    trained, _ = around_the_ring(loss=lowered, control_point=at, weight_decay=0.5, check=check)
    assert (trained.steps, trained.converged) == (5 * (1 + 3), True)
    assert mean_loss(trained.path) <= mean_loss(best.path)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_once_not_finite_costs_a_check_and_not_the_result(value):
    check = convergence_check(patience=4)
    trained, _ = around_the_ring(loss=FailingLoss(8, value=value, until=8), check=check)
    assert mean_loss(trained.path) < 0.5 * mean_loss(line_of(Ring(), START, END))


def test_a_loss_that_is_never_finite_ends_with_the_line_and_has_not_converged():
    trained, _ = around_the_ring(
        loss=lambda *_: ring_loss(*_) * math.nan, check=convergence_check()
    )
    assert not trained.converged
    assert torch.equal(line_of(Ring(), START, END).control_point, trained.path.control_point)
    assert not torch.isfinite(
        around_the_ring(loss=FailingLoss(8))[0].path.control_point
    ).any()  # no check


class Watched(nn.Module):
    """Tells in which mode it was run, and on how many items."""

    def __init__(self):
        super().__init__()
        self.seen = set()

    def forward(self, x):
        self.seen.add((torch.is_grad_enabled(), self.training, len(x)))
        return x


def test_steps_have_dropout_and_checks_have_not_while_both_have_statistics_of_the_batch():
    """Of 7 items for checks, the last, alone in its batch, has no variance and is left out."""
    watched = Watched()
    module = nn.Sequential(nn.Linear(1, 2), nn.BatchNorm1d(2), watched)
    start, end = members(lambda: nn.Sequential(*module[:2]))
    for weights in (start, end):
        weights["1.running_var"].fill_(torch.nan)  # statistics that are stored are not used
    runner = runner_of(module, ring_loss)
    how = curve_training(steps=4, check=convergence_check(numbered_items(7), every=2))
    trained = train_curve(runner, line_of(module, start, end), numbered_items(8), how, generator(0))

    assert {(True, True, 3), (False, False, 3)} == watched.seen
    assert torch.isfinite(trained.path.control_point).all()
    assert ComputeCost(gradient=4 * 3, forward=3 * 3 * 6) == runner.meter.total


def seen(monkeypatch, *losses):
    """Let checks find these losses, and tell the control points that they were made at."""
    control_points, script = [], iter(losses)

    def scripted(walk, _run, _items):
        control_points.append(walk.control_point.clone())
        return next(script)

    monkeypatch.setattr(training._Walk, "_validate", scripted)
    return control_points


def test_a_loss_that_is_only_somewhat_higher_changes_nothing(monkeypatch):
    plain, _ = around_the_ring(steps=20)
    seen(monkeypatch, 1.0, 0.5, 1.6, 1.9, 0.99)
    trained, _ = around_the_ring(steps=20, check=convergence_check(patience=9))
    assert torch.equal(plain.path.control_point, trained.path.control_point)


@pytest.mark.parametrize("far", [2.01, math.inf, math.nan])
def test_a_loss_above_twice_the_first_goes_back_to_the_best_bend(monkeypatch, far):
    control_points = seen(monkeypatch, 1.0, 0.5, 0.6, far)
    trained, _ = around_the_ring(steps=15, check=convergence_check(patience=9))
    assert torch.equal(control_points[1], trained.path.control_point)


def test_a_bend_that_ends_worse_than_the_line_is_given_up(monkeypatch):
    control_points = seen(monkeypatch, 1.0, 0.9, 1.1)
    trained, _ = around_the_ring(steps=10, check=convergence_check(patience=9))
    assert torch.equal(control_points[1], trained.path.control_point)


def test_patience_counts_from_the_last_gain_and_then_the_best_bend_is_taken(monkeypatch):
    control_points = seen(monkeypatch, 1.0, 0.5, 0.51, 0.4, 0.41, 0.42, 0.43)
    trained, _ = around_the_ring(steps=99, check=convergence_check(patience=2))
    assert (trained.steps, trained.converged) == (30, True)
    assert torch.equal(control_points[3], trained.path.control_point)


def test_after_half_of_the_steps_no_check_stops(monkeypatch):
    seen(monkeypatch, 1.0, *[0.5] * 4)
    trained, _ = around_the_ring(steps=20, check=convergence_check(patience=2))
    assert (trained.steps, trained.converged) == (20, False)

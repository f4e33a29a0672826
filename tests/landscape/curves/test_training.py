from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mdtree.datasets import TensorItems
from mdtree.exceptions import DataError
from mdtree.landscape import ComputeCost, generator, train_curve
from mdtree.landscape.curves import training
from tests.support.valleys import (
    END,
    ON_THE_LINE,
    START,
    FailingLoss,
    Ring,
    around_the_ring,
    convergence_check,
    copy_of,
    curve_training,
    equal_weights,
    line_of,
    mean_loss,
    members,
    numbered_items,
    on_ring,
    ring_loss,
    ring_loss_at,
    runner_of,
)


class Parts(nn.Module):
    """Weights that are trained, frozen, unused, of any number of axes; statistics and a buffer."""

    def __init__(self):
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Linear(4, 3)
        self.frozen = nn.Parameter(torch.randn(5), requires_grad=False)
        self.scale = nn.Parameter(torch.rand(()) + 1)
        self.unused = nn.Parameter(torch.randn(2))
        self.register_buffer("shift", torch.randn(5))
        self.dropout = nn.Dropout(0.3)
        self.double()

    def forward(self, x):
        x = self.dropout(torch.tanh(self.norm(self.first(x * self.frozen + self.shift))))
        return self.last(x) * self.scale


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_steps_are_those_of_sgd_through_the_point_written_out_by_hand(momentum):
    (start, end), x, y = members(Parts), torch.randn(7, 5).double(), torch.arange(7) % 3
    module, decay, steps = Parts(), 0.01, 7
    line = line_of(module, start, end)
    how = curve_training(
        steps=steps, learning_rate=0.2, momentum=momentum, weight_decay=decay, rate=lambda p: 1 - p
    )
    torch.manual_seed(5)
    trained = train_curve(runner_of(module), line, TensorItems((x, y)), how, generator(3))

    rival, source, batches = Parts().train(), generator(3), []
    names = list(line.layout.shapes)
    control_point = {name: ((start[name] + end[name]) / 2).requires_grad_() for name in names}
    optimizer = torch.optim.SGD(control_point.values(), lr=0.2, momentum=momentum)
    torch.manual_seed(5)
    for step in range(steps):
        t = float(torch.rand((), generator=source, dtype=torch.float64))
        if not batches:  # of seven items: two batches of three
            batches = list(torch.randperm(7, generator=source)[:6].split(3))
        chosen = batches.pop(0)
        near = start if t < 0.5 else end
        point = {
            n: (1 - t) ** 2 * start[n] + 2 * t * (1 - t) * control_point[n] + t**2 * end[n]
            for n in names
        }
        output = torch.func.functional_call(rival, copy_of(near) | point, (x[chosen],))
        length = sum(weight.square().sum() for weight in point.values())
        optimizer.param_groups[0]["lr"] = 0.2 * (1 - step / steps)
        optimizer.zero_grad()
        (F.cross_entropy(output, y[chosen]) + decay / 2 * length).backward()
        optimizer.step()

    assert trained.steps == steps
    for name, tensor in line.layout.views(trained.path.control_point).items():
        assert not torch.allclose(tensor, (start[name] + end[name]) / 2)
        assert torch.allclose(control_point[name], tensor, rtol=1e-9, atol=1e-12)


def test_between_two_places_of_a_ring_the_bend_goes_around():
    line = line_of(Ring(), START, END)
    trained, _ = around_the_ring(
        weight_decay=0.0, steps=600, learning_rate=0.05, rate=lambda progress: 1 - progress
    )

    assert pytest.approx(ring_loss_at(line, 0.5), rel=1e-5) == ON_THE_LINE
    assert max(ring_loss_at(trained.path, t / 20) for t in range(21)) < 0.1 * ON_THE_LINE
    middle = 2 * on_ring(85)["w"]  # half a circle around 0 needs a control point twice as far out
    assert torch.allclose(middle, trained.path.control_point, atol=0.3)


def test_the_ends_and_the_path_given_stay_as_they_are():
    line = line_of(Ring(), START, END)
    before = copy_of(START), copy_of(END), line.control_point.clone()
    trained = train_curve(
        runner_of(Ring(), ring_loss), line, numbered_items(7), curve_training(), generator(0)
    )
    assert equal_weights(before[0], trained.path.at(0))
    assert equal_weights(before[1], trained.path.at(1))
    assert torch.equal(before[2], line.control_point)
    assert not trained.path.control_point.requires_grad


@pytest.mark.parametrize("error", [None, KeyboardInterrupt(), DataError("x")])
def test_the_module_is_left_as_it_was_whatever_happens(error):
    make = lambda: nn.Sequential(nn.Linear(1, 2), nn.BatchNorm1d(2), nn.Dropout(0.1))  # noqa: E731
    module, weights = make(), members(make)
    before = copy_of(module.state_dict())
    given = [copy_of(member) for member in weights]
    loss = FailingLoss(4 if error else math.inf, value=error)
    runner, line = runner_of(module, loss), line_of(module, *weights)
    args = (
        runner,
        line,
        numbered_items(7),
        curve_training(steps=9, check=convergence_check()),
        generator(0),
    )
    if error is None:
        train_curve(*args)
    else:
        with pytest.raises(type(error)):
            train_curve(*args)

    assert equal_weights(before, module.state_dict())
    assert all(map(equal_weights, given, weights))
    assert not any(inner.training for inner in module.modules())
    assert all(p.requires_grad and p.grad is None for p in module.parameters())


@pytest.mark.parametrize(("items", "size"), [(1, 1), (2, 2), (3, 3), (4, 3)])
def test_fewer_items_than_a_batch_are_one_batch(items, size):
    _, runner = around_the_ring(items=items, steps=4)
    assert ComputeCost(gradient=4 * size) == runner.meter.total


def test_the_seed_decides_and_the_random_numbers_of_others_only_for_dropout():
    x, y = torch.randn(7, 5).double(), torch.arange(7) % 3
    line = line_of(Parts(), *members(Parts))

    def control_point(seed, dropout):
        torch.manual_seed(dropout)
        how, items = curve_training(steps=4), TensorItems((x, y))
        return train_curve(runner_of(Parts()), line, items, how, generator(seed)).path.control_point

    first = control_point(0, 0)
    assert torch.equal(first, control_point(0, 0))
    assert not torch.equal(first, control_point(1, 0))
    assert not torch.equal(first, control_point(0, 1))


def test_a_loss_to_which_no_weight_matters_leaves_the_bend():
    loss = lambda output, _: output.detach().sum(1)  # noqa: E731
    line = line_of(Ring(), START, END)
    assert torch.equal(
        line.control_point, around_the_ring(loss=loss, weight_decay=0.0)[0].path.control_point
    )


def test_sparse_gradients_count_like_others():
    words = TensorItems((torch.arange(6).reshape(3, 2), torch.arange(3)))
    control_points = []
    for sparse in (False, True):
        make = lambda s=sparse: nn.Sequential(  # noqa: E731
            nn.Embedding(6, 4, sparse=s), nn.Flatten(), nn.Linear(8, 3)
        )
        line = line_of(make(), *members(make))
        runner = runner_of(make())
        control_points.append(
            train_curve(
                runner, line, words, curve_training(steps=3), generator(0)
            ).path.control_point
        )
    assert torch.allclose(*control_points)
    assert not torch.allclose(control_points[0], line.control_point)


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

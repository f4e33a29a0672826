from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mdtree.datasets import TensorItems
from mdtree.exceptions import DataError
from mdtree.landscape import ComputeCost, generator, train_curve
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

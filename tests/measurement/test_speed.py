from __future__ import annotations

import pytest
import torch
from torch import nn

from mdtree.landscape import ComputeCost
from mdtree.measurement.speed import Speed, measure_speed
from tests.support.cases import NETS
from tests.support.exact import FollowedBy, OnceDifferentiable, cross_entropy, items, runner_of


def test_seconds_are_the_sum_over_the_kinds_of_work():
    speed = Speed(forward=1.0, gradient=10.0, product=100.0)
    assert speed.seconds(ComputeCost(forward=2, gradient=3, product=4)) == 432
    assert speed.seconds(ComputeCost()) == 0


@pytest.mark.parametrize("name", ["mlp", "batch norm", "residual", "lstm", "transformer", "bert"])
def test_no_kind_of_work_is_shorter_than_the_one_before(name):
    make, data = NETS[name]
    speed = measure_speed(runner_of(make(), batch_size=37), items(data))
    assert 0 < speed.forward <= speed.gradient <= speed.product


class Timed(nn.Linear):
    """Takes two seconds for each item, by a clock on which nothing else takes time."""

    seconds = 0.0

    def forward(self, x):
        self.seconds += 2 * len(x)
        return super().forward(x)


@pytest.mark.parametrize("batch_size", [1, 4, 30])
def test_the_pace_is_that_of_one_item(batch_size, monkeypatch):
    _, data = NETS["mlp"]
    module = Timed(5, 3)
    for clock in ("perf_counter", "process_time"):
        monkeypatch.setattr(f"time.{clock}", lambda: module.seconds)
    speed = measure_speed(runner_of(module, batch_size=batch_size), items(data))
    assert (speed.forward, speed.gradient) == (2, 2)


@pytest.mark.parametrize(
    ("module", "loss"),
    [
        (FollowedBy(OnceDifferentiable.apply), cross_entropy),
        (nn.Linear(5, 3), lambda output, batch: cross_entropy(output, batch) * torch.nan),
        (nn.Linear(5, 3).requires_grad_(requires_grad=False), cross_entropy),
    ],
)
def test_what_cannot_be_differentiated_twice_has_a_pace_all_the_same(module, loss):
    _, data = NETS["mlp"]
    speed = measure_speed(runner_of(module, loss=loss), items(data))
    assert 0 < speed.forward < speed.gradient <= speed.product


def test_the_network_is_found_as_it_was():
    make, data = NETS["batch norm"]
    module = make()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    state = torch.get_rng_state()
    measure_speed(runner_of(module), items(data))
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    assert all(parameter.grad is None for parameter in module.parameters())
    assert torch.equal(state, torch.get_rng_state())


def test_what_else_the_machine_does_takes_no_time(monkeypatch):
    """The clock on the wall runs a hundred times as fast as that of the processor."""
    _, data = NETS["mlp"]
    module = Timed(5, 3)
    monkeypatch.setattr("time.perf_counter", lambda: 100 * module.seconds)
    monkeypatch.setattr("time.process_time", lambda: module.seconds)
    speed = measure_speed(runner_of(module, batch_size=4), items(data))
    assert (speed.forward, speed.gradient) == (2, 2)

from __future__ import annotations

import pytest
import torch
from torch import nn

from mdtree.landscape import ComputeCost
from mdtree.measurement.speed import Speed, layer_work, measure_speed, suited_threads
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


def some(count, *shape):
    return items((torch.ones(count, *shape), torch.zeros(count, dtype=torch.long)))


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("module", "shape", "per_item"),
    [
        (nn.Linear(5, 3), (5,), 15),
        (nn.Sequential(nn.Linear(5, 3), nn.ReLU(), nn.Linear(3, 2)), (5,), (15 + 3 + 6) / 3),
        (
            nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.Flatten()),
            (1, 4, 4),
            (9 * 2 * 16 + 32) / 2,
        ),
        (nn.Linear(5, 3), (7, 5), 7 * 15),  # one product for each of seven positions
    ],
)
def test_work_is_that_of_a_batch_divided_by_its_layers(module, shape, per_item):
    assert layer_work(runner_of(module), some(10, *shape)) == pytest.approx(10 * per_item)
    assert layer_work(runner_of(module), some(300, *shape)) == pytest.approx(128 * per_item)


def test_a_table_multiplies_nothing():
    ids = items((torch.zeros(4, 6, dtype=torch.long), torch.zeros(4, dtype=torch.long)))
    assert layer_work(runner_of(nn.Embedding(1000, 8)), ids) == 4 * 6 * 8


def test_what_a_layer_holds_beside_other_layers_counts():
    attention = nn.MultiheadAttention(4, 1, batch_first=True)

    class Attends(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = attention

        def forward(self, x):
            return self.attention(x, x, x)[0]

    work = layer_work(runner_of(Attends()), some(2, 3, 4))
    assert work == 2 * 3 * 12 * 4  # the three projections into it


@pytest.mark.usefixtures("two_threads")
def test_a_small_network_gets_one_thread_and_a_large_one_keeps_all():
    with suited_threads(runner_of(nn.Linear(8, 8)), some(128, 8)):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2
    with suited_threads(runner_of(nn.Linear(64, 64)), some(128, 64)):
        assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_threads_are_given_back_after_an_error():
    with (
        pytest.raises(ZeroDivisionError),
        suited_threads(runner_of(nn.Linear(8, 8)), some(128, 8)),
    ):
        raise ZeroDivisionError
    assert torch.get_num_threads() == 2


class Fails(nn.Linear):
    def forward(self, x):
        raise ZeroDivisionError


class Says(nn.Linear):
    def forward(self, x):
        return {"logits": super().forward(x)}


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("module", [Fails(8, 8), Says(8, 8)])
def test_a_network_that_tells_nothing_keeps_all_threads(module):
    assert layer_work(runner_of(module), some(4, 8)) is None
    with suited_threads(runner_of(module), some(4, 8)):
        assert torch.get_num_threads() == 2


def test_counting_leaves_the_network_as_it_was():
    module = nn.Sequential(nn.BatchNorm1d(5), nn.Dropout(0.5), nn.Linear(5, 3))
    runner = runner_of(module, loss=cross_entropy)
    module.train()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    layer_work(runner, some(4, 5))
    assert torch.equal(torch.rand(2), expected)
    assert module.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    assert not any(inner._forward_hooks for inner in module.modules())

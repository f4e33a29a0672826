from __future__ import annotations

import pytest
import torch
from torch import nn

from mdtree.measurement.speed import layer_work, suited_threads
from tests.support.exact import cross_entropy, items, runner_of


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


def test_the_network_is_found_as_it_was():
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

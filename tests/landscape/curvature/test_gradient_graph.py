from __future__ import annotations

import pytest
import torch
from torch import nn

from mdtree.landscape import ComputeCost, Hessian, generator
from mdtree.landscape.curvature import gradient_graph, operator
from mdtree.landscape.curvature.gradient_graph import GradientGraph, room_for_graphs
from mdtree.models import cnn
from tests.support.cases import X, Y
from tests.support.exact import cross_entropy, exact_hessian, items, mlp, runner_of, weights_of

X7, Y7 = X[:7].double(), Y[:7]


def of(module, *, batch_size=3, loss=cross_entropy, keep=True, data=(X7, Y7)):
    module = module.double()
    runner = runner_of(module, loss=loss, dtype=torch.float64)
    return Hessian(runner, weights_of(module), items(data), batch_size, keep=keep)


def whole(hessian):
    return hessian.products(torch.eye(hessian.size, dtype=torch.float64))


@pytest.mark.parametrize("batch_size", [1, 3, 4, 100])  # of seven items
def test_kept_graphs_give_the_same_products_each_time(batch_size):
    hessian = of(mlp(), batch_size=batch_size)
    truth = exact_hessian(hessian.runner, hessian.weights, (X7, Y7))
    for _ in range(3):
        torch.testing.assert_close(whole(hessian), truth)


def test_a_gradient_whose_graph_is_kept_is_computed_once():
    hessian = of(mlp())
    for _ in range(3):
        hessian.products(torch.ones(2, hessian.size).double())
    assert ComputeCost(gradient=7, product=3 * 2 * 7) == hessian.runner.meter.total


def test_without_being_asked_nothing_is_kept():
    hessian = of(mlp(), keep=False)
    for _ in range(3):
        hessian.product(torch.ones(hessian.size).double())
    assert ComputeCost(gradient=21, product=21) == hessian.runner.meter.total


def sizes_of_batches(hessian):
    sizes = []
    inner = hessian.runner.network.module.forward
    hessian.runner.network.module.forward = lambda x: sizes.append(len(x)) or inner(x)
    hessian.product(torch.ones(hessian.size).double())
    return sizes


def test_behind_the_first_batch_the_others_are_joined():
    assert sizes_of_batches(of(mlp())) == [3, 4]


def test_batches_stay_as_they_are_where_only_a_mean_is_known():
    """The mean over the tokens of two batches is not that of their means."""
    hessian = of(mlp(), loss=lambda output, batch: cross_entropy(output, batch).mean())
    assert sizes_of_batches(hessian) == [3, 3, 1]


def test_batches_stay_small_where_their_graphs_are_large(monkeypatch):
    monkeypatch.setattr(operator, "_JOINED", 1)
    assert sizes_of_batches(of(mlp())) == [3, 3, 1]


def test_only_as_many_graphs_are_kept_as_there_is_room_for(monkeypatch):
    monkeypatch.setattr(operator, "_JOINED", 1)
    first = of(mlp())
    first.product(torch.ones(first.size).double())
    held = first._kept[0].bytes(first.weights.values())
    monkeypatch.setattr(operator, "room_for_graphs", lambda device: held + 1)

    hessian = of(mlp())
    truth = exact_hessian(hessian.runner, hessian.weights, (X7, Y7))
    for _ in range(3):
        torch.testing.assert_close(whole(hessian), truth)

    assert [graph.items for graph in hessian._kept] == [3]
    assert hessian.runner.meter.total.gradient == 3 + 3 * 4


class Squared(nn.Module):
    """The loss of x is (w x)^2: its gradient's graph holds x, w x and the like."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.ones(1, dtype=torch.float64))

    def forward(self, x):
        return self.w * x


def test_the_bytes_of_a_graph_grow_with_its_items():
    module = Squared()
    runner = runner_of(module, loss=lambda output, _: output.square().mean(1))

    def held(count):
        x = torch.ones(count, 1000, dtype=torch.float64)
        graph = GradientGraph.of(runner, runner.network.trained, (x, x), [module.w])
        return graph.bytes([module.w, x])

    assert held(4) - held(2) >= 2 * 8 * 1000  # w x at least
    assert held(4) - held(2) == held(6) - held(4)
    assert held(4) < 40 * 4 * 8 * 1000


def test_the_room_is_a_part_of_what_is_free(tmp_path, monkeypatch):
    file = tmp_path / "meminfo"
    monkeypatch.setattr(gradient_graph, "_MEMORY_FILE", file)
    here = torch.device("cpu")

    assert room_for_graphs(here) == 1 << 30  # nothing is told
    file.write_text("MemTotal: 64000 kB\nMemAvailable:    4000 kB\n")
    assert room_for_graphs(here) == 1000 * 1024
    file.write_text("MemAvailable: 64000000 kB\n")
    assert room_for_graphs(here) == 1 << 30
    assert room_for_graphs(torch.device("meta")) == 0


def test_on_a_gpu_the_room_is_a_smaller_part(monkeypatch):
    """Workers share it, as many as the memory that the first group needed allows."""
    free = {"cuda:1": 8 << 30, "cuda": 80 << 30}
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free[str(device)], 1 << 40))

    assert room_for_graphs(torch.device("cuda:1")) == 1 << 29
    assert room_for_graphs(torch.device("cuda")) == 1 << 30


def test_a_network_whose_layers_are_not_what_they_seem_is_left_to_torch(monkeypatch):
    monkeypatch.setattr(operator, "_AGREE", -1.0)  # nothing agrees
    hessian = of(cnn(width=2), data=(torch.randn(7, 1, 8, 8).double(), Y7))
    truth = exact_hessian(hessian.runner, hessian.weights, next(hessian.items.batches(7)))
    vector = hessian.random(generator(0))
    torch.testing.assert_close(hessian.product(vector), truth @ vector)
    assert hessian._is_fast is False


def test_convolutions_are_fast_where_they_agree():
    hessian = of(cnn(width=2), data=(torch.randn(7, 1, 8, 8).double(), Y7))
    truth = exact_hessian(hessian.runner, hessian.weights, next(hessian.items.batches(7)))
    vector = hessian.random(generator(0))
    torch.testing.assert_close(hessian.product(vector), truth @ vector)
    assert hessian._is_fast is True

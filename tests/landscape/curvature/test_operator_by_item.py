from __future__ import annotations

import pytest
import torch
from torch import nn

from mdtree.batch import size
from mdtree.landscape import Hessian, generator
from mdtree.landscape.curvature import operator
from mdtree.landscape.curvature.operator import item_curvatures
from mdtree.models import cnn
from tests.support.cases import IMAGES, X, Y
from tests.support.exact import (
    FollowedBy,
    OnceDifferentiable,
    cnn_with_statistics,
    cross_entropy,
    double,
    exact_product,
    items,
    mlp,
    runner_of,
    weights_of,
    with_statistics,
)

X7, Y7 = X[:7].double(), Y[:7]


def both(module, x, y, **kwargs):
    """Give each item's curvature along a random vector, and the truth from its exact Hessian."""
    module = module.double()
    runner = runner_of(module, **kwargs)
    hessian = Hessian(runner, weights_of(module), items((x, y)), 3)
    vector = hessian.random(generator(0)).double()
    ours = item_curvatures(runner, hessian.weights, hessian.layout.views(vector), (x, y))
    truth = [
        exact_product(runner, hessian.weights, (x[i : i + 1], y[i : i + 1]), vector) @ vector
        for i in range(len(x))
    ]
    return ours, torch.stack(truth)


@pytest.mark.parametrize("make", [mlp, with_statistics, lambda: nn.Linear(5, 3)])
def test_each_items_curvature_is_that_of_its_exact_hessian(make):
    ours, truth = both(make(), X7, Y7)
    torch.testing.assert_close(ours, truth)


def test_so_it_is_behind_convolutions_pooling_and_batchnorm():
    ours, truth = both(cnn_with_statistics(), IMAGES[:7].double(), Y7)
    torch.testing.assert_close(ours, truth)


def test_frozen_parameters_do_not_move():
    module = mlp()
    module[0].weight.requires_grad_(requires_grad=False)
    ours, truth = both(module, X7, Y7)
    torch.testing.assert_close(ours, truth)


def along_ones(module, data, **kwargs):
    runner = runner_of(module, **kwargs)
    weights = weights_of(module)
    direction = {name: torch.ones_like(p) for name, p in module.named_parameters()}
    return item_curvatures(runner, weights, direction, data)


def test_a_mean_over_the_items_has_none():
    def mean(output, batch):
        return cross_entropy(output, batch).mean()

    assert along_ones(mlp(), (X7.float(), Y7), loss=mean) is None


def test_what_has_no_forward_derivative_has_none():
    assert along_ones(FollowedBy(OnceDifferentiable.apply), (X7.float(), Y7)) is None


def test_what_is_not_finite_has_none():
    assert along_ones(FollowedBy(lambda x: x + (0 * x).sqrt()), (X7.float(), Y7)) is None


def test_memory_that_runs_out_is_told():
    def greedy(output, batch):
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        along_ones(mlp(), (X7.float(), Y7), loss=greedy)


@pytest.mark.parametrize(
    ("large", "most", "count"),
    [(0, 99999, 5), (0, 99999, 99), (1 << 40, 99999, 5), (0, 9, 5)],
)
def test_the_first_items_in_uneven_batches_where_graphs_are_large(monkeypatch, large, most, count):
    monkeypatch.setattr(operator, "_LARGE", large)
    monkeypatch.setattr(operator, "_MOST_WEIGHTS", most)
    module = mlp().double()
    hessian = Hessian(runner_of(module), weights_of(module), items((X7, Y7)), 3, keep=True)
    vector = hessian.random(generator(0)).double()
    hessian.product(vector)

    ours = hessian.by_item(vector, count)

    if large or most < hessian.layout.size:
        assert ours is None  # parts are as good, and need nothing to be loaded, and less memory
        return
    whole = along(module, vector)
    torch.testing.assert_close(ours, whole[:count])


def along(module, vector):
    hessian = Hessian(runner_of(module), weights_of(module), items((X7, Y7)), 7)
    views = hessian.layout.views(vector)
    return item_curvatures(hessian.runner, hessian.weights, views, double((X7, Y7)))


def test_the_given_weights_stay_as_they_are():
    module = cnn(width=2, classes=3)
    before = weights_of(module)
    batch = IMAGES[:4], Y[:4]
    assert along_ones(module, batch).shape == (size(batch),)
    for name, tensor in module.state_dict().items():
        assert torch.equal(before[name], tensor)
        assert not tensor.requires_grad

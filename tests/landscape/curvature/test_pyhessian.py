"""The published method: what it measures, what it leaves alone, and what it refuses."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mdtree.landscape import (
    ComputeCost,
    LossError,
    NoSecondDerivativeError,
    double_backward,
)
from tests.support.cases import IMAGES, NETS, X, Y
from tests.support.exact import (
    FollowedBy,
    Greedy,
    Odd,
    OnceDifferentiable,
    cnn_with_statistics,
    linear_loss,
    loss_for,
    mean_square,
    published_estimate,
    runner_of,
    weights_of,
)


def test_used_twice_it_finds_the_same():
    module = cnn_with_statistics()
    runner = runner_of(module)
    first, second = (published_estimate(module, (IMAGES, Y), runner=runner) for _ in range(2))
    assert first == second != published_estimate(module, (IMAGES, Y), runner=runner, seed=2)


def test_nothing_of_it_can_be_seen_outside():
    module = cnn_with_statistics().train()
    module[0].requires_grad_(requires_grad=False)
    module[-1].weight.grad = mark = torch.ones_like(module[-1].weight)
    runner = runner_of(module)
    module.train()
    before, weights = weights_of(module), weights_of(module)
    flags = [p.requires_grad for p in module.parameters()]

    published_estimate(module, (IMAGES, Y), runner=runner, weights=weights)

    assert all(part.training for part in module.modules())
    assert flags == [p.requires_grad for p in module.parameters()]
    assert mark is module[-1].weight.grad
    assert torch.equal(torch.ones_like(mark), mark)
    assert all(p.grad is None for p in list(module.parameters())[:-2])
    for tensors in (module.state_dict(), weights):
        assert all(torch.equal(before[name], tensor) for name, tensor in tensors.items())
        assert not any(tensor.requires_grad for tensor in weights.values())


def test_a_network_without_curvature_has_none():
    module = Odd()
    module.used.requires_grad_(requires_grad=False)
    estimate = published_estimate(module, (X, Y), loss=linear_loss)
    assert (estimate.top, estimate.trace) == (0, 0)


def test_a_dead_network_has_no_curvature():
    module = nn.Sequential(nn.Linear(5, 4), nn.ReLU())
    nn.init.constant_(module[0].bias, -100)
    estimate = published_estimate(module, (X, torch.zeros(37, 4)), loss=mean_square)
    assert (estimate.top, estimate.trace) == (0, 0)


@pytest.mark.parametrize("net", NETS)
def test_it_runs_on_any_network(net):
    make, data = NETS[net]
    derived = double_backward(lambda: published_estimate(make(), data, loss=loss_for(data)))
    assert derived.result.top > 0
    assert (derived.notes != ()) == (net in ("transformer", "bert"))


def test_several_batches_are_taken_where_memory_runs_out():
    module = Greedy(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 3)).eval()
    module.most = 20
    plain = nn.Sequential(*module)
    whole, parts = runner_of(plain), runner_of(module)

    one = published_estimate(plain, (X, Y), runner=whole)
    several = published_estimate(module, (X, Y), runner=parts)  # 19 and 18

    assert one.top == pytest.approx(several.top, rel=1e-4)
    assert one.top_iterations == several.top_iterations
    assert one.forms == pytest.approx(several.forms, rel=1e-3)
    products = one.top_iterations + len(one.forms)
    assert ComputeCost(gradient=2 * 37, product=products * 37) == whole.meter.total
    assert ComputeCost(gradient=(1 + products) * 37, product=products * 37) == parts.meter.total


@pytest.mark.parametrize(
    ("function", "error", "words"),
    [
        (lambda x: x * torch.nan, LossError, "the loss is not finite: nan"),
        (lambda x: x + (0 * x).sqrt(), LossError, "derivatives of the loss are not finite"),
        (lambda x: x.detach(), LossError, "does not depend on any trainable parameter"),
        (OnceDifferentiable.apply, NoSecondDerivativeError, "no second derivative"),
    ],
)
def test_what_has_no_second_derivative_is_told_and_leaves_nothing(function, error, words):
    module = FollowedBy(function)
    with pytest.raises(error, match=words):
        published_estimate(module, (X, Y))
    assert module.weight.grad is None

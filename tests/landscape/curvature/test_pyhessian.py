from __future__ import annotations

import copy
import itertools
import statistics
import warnings

import pytest
import torch
import torch.nn.functional as F
from pyhessian import hessian as PyHessian
from torch import nn

from mdtree.landscape import (
    ComputeCost,
    LossError,
    NoSecondDerivativeError,
    double_backward,
    published_hessian,
)
from mdtree.models import cnn
from tests.support.exact import (
    FollowedBy,
    Greedy,
    OnceDifferentiable,
    cross_entropy,
    items,
    loss_for,
    mean_square,
    runner_of,
    weights_of,
)
from tests.support.networks import NETS, X, Y

IMAGES = torch.randn(37, 1, 8, 8, generator=torch.Generator().manual_seed(2))


def bare(module, data, criterion=F.cross_entropy, *, seed=1, **kwargs):
    """Give what PyHessian finds by itself: the eigenvalue, then the probes of the trace."""
    torch.manual_seed(seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Using backward.. with create_graph=True", UserWarning)
        rival = PyHessian(copy.deepcopy(module), criterion, data=data, cuda=False)
    (top,), _ = rival.eigenvalues()
    forms = rival.trace(**kwargs)
    rival.model.zero_grad()
    return top, tuple(forms)


def ours(module, data, *, seed=1, loss=cross_entropy, runner=None, weights=None):
    runner = runner or runner_of(module, loss=loss)
    torch.manual_seed(seed)
    return published_hessian(runner, weights or weights_of(module), items(data))


def trained():
    module = cnn(width=2, classes=3)
    module.train()(IMAGES * 2)
    return module


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_is_bare_pyhessian_bit_by_bit(dtype):
    module, data = trained().to(dtype), (IMAGES.to(dtype), Y)
    estimate = ours(module, data)
    assert bare(module, data) == (estimate.top, estimate.forms)
    assert statistics.fmean(estimate.forms) == estimate.trace


def test_it_measures_the_weights_it_is_given_and_not_those_of_the_module():
    module, other = trained(), trained()
    estimate = ours(module, (IMAGES, Y), weights=weights_of(other))
    assert bare(other, (IMAGES, Y)) == (estimate.top, estimate.forms)


def test_used_twice_it_finds_the_same():
    module = trained()
    runner = runner_of(module)
    first, second = (ours(module, (IMAGES, Y), runner=runner) for _ in range(2))
    assert first == second != ours(module, (IMAGES, Y), runner=runner, seed=2)


def test_nothing_of_it_can_be_seen_outside():
    module = trained().train()
    module[0].requires_grad_(requires_grad=False)
    module[-1].weight.grad = mark = torch.ones_like(module[-1].weight)
    runner = runner_of(module)
    module.train()
    before, weights = weights_of(module), weights_of(module)
    flags = [p.requires_grad for p in module.parameters()]

    ours(module, (IMAGES, Y), runner=runner, weights=weights)

    assert all(part.training for part in module.modules())
    assert flags == [p.requires_grad for p in module.parameters()]
    assert mark is module[-1].weight.grad
    assert torch.equal(torch.ones_like(mark), mark)
    assert all(p.grad is None for p in list(module.parameters())[:-2])
    for tensors in (module.state_dict(), weights):
        assert all(torch.equal(before[name], tensor) for name, tensor in tensors.items())
        assert not any(tensor.requires_grad for tensor in weights.values())


def concave(output, _batch):
    return -output.square().mean(1)


def test_a_negative_trace_goes_on_to_where_a_positive_one_would_end():
    module = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3))

    def criterion(output, _targets):
        return -output.square().mean()

    top, ended = bare(module, (X, Y), criterion)
    _, probes = bare(module, (X, Y), criterion, tol=-1e30)
    assert (len(ended), len(probes)) == (2, 100)

    estimate = ours(module, (X, Y), loss=concave)

    means = [statistics.fmean(probes[:count]) for count in range(1, 101)]
    small = [abs(b - a) / (abs(a) + 1e-6) < 1e-3 for a, b in itertools.pairwise(means)]
    count = small.index(True) + 2
    assert 2 < count < 100
    assert top == pytest.approx(estimate.top)
    assert probes[:count] == pytest.approx(estimate.forms)
    assert estimate.trace < 0


class Odd(nn.Module):
    """Parameters that PyHessian stumbles over: unused, frozen, and of constant gradient."""

    def __init__(self):
        super().__init__()
        self.unused = nn.Parameter(torch.ones(2))
        self.used = nn.Linear(5, 2)
        self.frozen = nn.Linear(2, 2).requires_grad_(requires_grad=False)
        self.linear = nn.Parameter(torch.ones(5, 2))

    def forward(self, x):
        return self.frozen(self.used(x).tanh()) + x @ self.linear


def linear_loss(output, _batch):
    return -output.sum(1)


def test_parameters_without_curvature_change_nothing():
    module = Odd()
    alone = nn.Sequential(copy.deepcopy(module.used), nn.Tanh(), copy.deepcopy(module.frozen))
    with pytest.raises((AssertionError, RuntimeError)):
        bare(module, (X, Y), lambda output, _: -output.sum(1).mean())
    top, probes = bare(alone, (X, Y), lambda output, _: -output.sum(1).mean(), tol=-1e30)

    estimate = ours(module, (X, Y), loss=linear_loss)

    assert top == pytest.approx(estimate.top)
    assert probes[: len(estimate.forms)] == pytest.approx(estimate.forms)


def test_a_network_without_curvature_has_none():
    module = Odd()
    module.used.requires_grad_(requires_grad=False)
    estimate = ours(module, (X, Y), loss=linear_loss)
    assert (estimate.top, estimate.trace) == (0, 0)


def test_a_dead_network_has_no_curvature():
    module = nn.Sequential(nn.Linear(5, 4), nn.ReLU())
    nn.init.constant_(module[0].bias, -100)
    estimate = ours(module, (X, torch.zeros(37, 4)), loss=mean_square)
    assert (estimate.top, estimate.trace) == (0, 0)


@pytest.mark.parametrize("net", NETS)
def test_it_runs_on_any_network(net):
    make, data = NETS[net]
    derived = double_backward(lambda: ours(make(), data, loss=loss_for(data)))
    assert derived.result.top > 0
    assert (derived.notes != ()) == (net in ("transformer", "bert"))


def test_several_batches_are_taken_where_memory_runs_out():
    module = Greedy(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 3)).eval()
    module.most = 20
    plain = nn.Sequential(*module)
    whole, parts = runner_of(plain), runner_of(module)

    one = ours(plain, (X, Y), runner=whole)
    several = ours(module, (X, Y), runner=parts)  # 19 and 18

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
        ours(module, (X, Y))
    assert module.weight.grad is None

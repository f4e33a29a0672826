from __future__ import annotations

import contextlib

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mdtree.batch import size
from mdtree.exceptions import DataError
from mdtree.landscape import (
    ComputeCost,
    Hessian,
    LossError,
    NoSecondDerivativeError,
    double_backward,
    estimate_trace,
    generator,
    lanczos,
)
from mdtree.models import cnn
from tests.support.cases import NETS, X, Y
from tests.support.exact import (
    FollowedBy,
    OnceDifferentiable,
    double,
    exact_hessian,
    exact_product,
    items,
    loss_for,
    mean_square,
    runner_of,
    weights_of,
    with_statistics,
)

X7, Y7 = X[:7], Y[:7]


def of(module, data, *, batch_size=4, dtype=torch.float64, weights=None, **kwargs):
    """Give the Hessian at a module's own weights, and the exact one as a function."""
    weights = weights_of(module) if weights is None else weights
    if dtype is torch.float64:
        module, weights, data = module.double(), double(weights), double(data)
    runner = runner_of(module, dtype=dtype, **kwargs)
    return Hessian(runner, weights, items(data), batch_size)


def dense(hessian):
    return hessian.products(
        torch.eye(hessian.size, dtype=next(iter(hessian.leaves.values())).dtype)
    )


def exact(hessian):
    return exact_hessian(hessian.runner, hessian.weights, hessian.items.all)


def mlp():
    return nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("net", NETS)
def test_products_are_exact_for_any_network(net, dtype):
    make, data = NETS[net]
    hessian = of(make(), data, batch_size=16, dtype=dtype, loss=loss_for(data))
    vectors = torch.stack([hessian.random(generator(seed)) for seed in range(2)])

    outcome = double_backward(lambda: hessian.products(vectors))

    assert dtype == outcome.result.dtype
    assert (outcome.notes != ()) == (net in ("transformer", "bert"))
    accuracy = {"rtol": 1e-9, "atol": 1e-9} if dtype is torch.float64 else {"rtol": 0, "atol": 2e-3}
    for vector, product in zip(vectors, outcome.result, strict=True):
        truth = exact_product(hessian.runner, hessian.weights, data, vector)
        scale = truth.abs().max() + 1e-30
        torch.testing.assert_close(product.double() / scale, truth / scale, **accuracy)


@pytest.mark.parametrize("make", [mlp, with_statistics])
def test_the_spectrum_and_the_trace_are_exact(make):
    hessian = of(make(), (X, Y), batch_size=16)
    truth = exact(hessian)
    eigenvalues = torch.linalg.eigvalsh(truth)
    start = hessian.random(generator(0))

    quick = lanczos(hessian.product, start, steps=hessian.size, tolerance=1e-7)
    full = lanczos(hessian.product, start, steps=hessian.size, tolerance=0)
    trace = estimate_trace(
        hessian.products,
        quick.basis,
        float(quick.diagonal.sum()),
        source=generator(1),
        tolerance=0.05,
        least=8,
        budget=400,
    )

    assert float(eigenvalues[-1]) == pytest.approx(quick.top, rel=1e-6)
    assert float(eigenvalues[-1]) == pytest.approx(full.top, rel=1e-10)
    assert float(eigenvalues[0]) == pytest.approx(full.values[0], rel=1e-6)
    assert float(truth.trace()) == pytest.approx(trace.value, abs=3 * trace.stderr)
    assert 0 < trace.stderr <= 0.05 * abs(trace.value)
    assert pytest.approx(1) == full.weights.sum()
    unit, moment = start / start.norm(), start / start.norm()
    for power in range(1, 6):
        moment = truth @ moment
        assert float(unit @ moment) == pytest.approx(full.weights @ full.values**power)


@pytest.mark.parametrize("batch_size", [1, 3, 4, 100])  # of seven items: 3, 3, 1 and 4, 3
@pytest.mark.parametrize("each", [True, False])
def test_micro_batches_of_unequal_size_make_one_batch(batch_size, each):
    def means_only(output, batch):
        return F.cross_entropy(output, batch[1])

    loss = {} if each else {"loss": means_only}
    hessian = of(mlp(), (X7, Y7), batch_size=batch_size, **loss)
    torch.testing.assert_close(dense(hessian), exact(hessian))


def test_several_vectors_at_once_are_what_each_is_alone():
    hessian = of(cnn(width=2), (torch.randn(7, 1, 8, 8), Y7))
    vectors = torch.randn(5, hessian.size, dtype=torch.float64)
    alone = torch.stack([hessian.product(vector) for vector in vectors])
    torch.testing.assert_close(hessian.products(vectors), alone)
    assert (0, hessian.size) == hessian.products(vectors[:0]).shape


class Odd(nn.Module):
    """Parameters of every kind that has no row, or a zero one."""

    def __init__(self):
        super().__init__()
        self.unused = nn.Parameter(torch.ones(2))
        self.used = nn.Linear(5, 2)
        self.frozen = nn.Linear(2, 2).requires_grad_(requires_grad=False)
        self.linear = nn.Parameter(torch.ones(5, 1))  # the gradient is constant

    def forward(self, x):
        return torch.cat([self.frozen(self.used(x).tanh()), x @ self.linear], 1)


def odd_loss(output, _batch):
    return output[:, :2].square().sum(1) + output[:, 2]


def test_parameters_that_are_unused_or_linear_have_zero_rows_and_frozen_ones_none():
    hessian = of(Odd(), (X7, Y7), loss=odd_loss)
    truth = exact(hessian)

    assert 2 + 12 + 5 == hessian.size == len(truth)
    torch.testing.assert_close(dense(hessian), truth)
    zero = truth.abs().sum(1) == 0
    assert zero.tolist() == [True] * 2 + [True] * 5 + [False] * 12


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(5, 5), nn.Linear(5, 5, bias=False)
        self.last.weight = self.first.weight

    def forward(self, x):
        return self.last(self.first(x).tanh())


def test_a_tensor_under_two_names_is_one_parameter():
    hessian = of(Tied(), (X7, Y7))
    assert hessian.size == 30
    torch.testing.assert_close(dense(hessian), exact(hessian))


@pytest.mark.parametrize("kind", ["transposed", "expanded", "inference", "requires grad"])
def test_weights_may_be_any_kind_of_tensor(kind):
    module = with_statistics().double()
    weights = weights_of(module)
    mode = torch.inference_mode() if kind == "inference" else contextlib.nullcontext()
    with mode:
        make = {
            "transposed": lambda t: t.t().contiguous().t() if t.dim() == 2 else t,
            "expanded": lambda t: t.flatten()[0].expand(t.shape),
            "inference": torch.clone,
            "requires grad": lambda t: nn.Parameter(t) if t.is_floating_point() else t,
        }[kind]
        weights = {name: make(tensor) for name, tensor in weights.items()}

    hessian = of(module, (X7, Y7), weights=weights)
    torch.testing.assert_close(dense(hessian), exact(hessian))


def test_a_network_that_writes_to_its_buffers_leaves_the_given_ones_alone():
    class Counting(nn.Linear):
        def __init__(self):
            super().__init__(5, 3)
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, x):
            self.calls += 1
            return super().forward(x)

    module = Counting()
    weights = weights_of(module)
    of(module, (X7, Y7), dtype=None, weights=weights).product(torch.ones(18))
    assert 0 == weights["calls"] == module.calls


def test_a_dead_network_has_a_zero_hessian():
    module = nn.Sequential(nn.Linear(5, 4), nn.ReLU())
    nn.init.constant_(module[0].bias, -100)
    hessian = of(module, (X7, torch.ones(7, 4)), loss=mean_square)

    assert torch.equal(torch.zeros(24, 24).double(), dense(hessian))
    ritz = lanczos(hessian.product, hessian.random(generator(0)), steps=9, tolerance=0.01)
    assert (ritz.top, ritz.error, ritz.converged) == (0, 0, True)


@pytest.mark.parametrize(
    ("function", "error", "words"),
    [
        (lambda x: x * torch.nan, LossError, "loss is not finite: nan"),
        (lambda x: (x + 10).exp().exp(), LossError, "loss is not finite: (nan|inf)"),
        (lambda x: x + (0 * x).sqrt(), LossError, "derivatives of the loss are not finite"),
        (
            lambda x: x.detach(),
            LossError,
            "not depend on any trainable parameter: .* torch.no_grad",
        ),
        (
            OnceDifferentiable.apply,
            NoSecondDerivativeError,
            "no second derivative: .* once differentiable",
        ),
        (lambda x: x[:, :2], DataError, "the loss fails on the output"),
        (lambda x: x[:2], DataError, "one output for each of 4 items"),
    ],
)
def test_what_cannot_be_differentiated_twice_is_told(function, error, words):
    hessian = of(FollowedBy(function), (X7, torch.full((7,), 2)))
    with pytest.raises(error, match=words):
        double_backward(lambda: hessian.product(torch.ones(18).double()))


def test_a_linear_loss_has_a_zero_hessian():
    hessian = of(nn.Linear(5, 3), (X7, Y7), loss=lambda output, _: output.sum(1))
    assert not dense(hessian).any()


def test_what_was_computed_is_counted():
    hessian = of(mlp(), (X7, Y7), batch_size=3)
    hessian.products(torch.ones(5, hessian.size).double())
    assert ComputeCost(gradient=7, product=35) == hessian.runner.meter.total


def test_parts_are_the_hessians_of_their_items():
    hessian = of(mlp(), (X7, Y7))
    vector = hessian.random(generator(0))

    parts = list(hessian.parts(vector.unsqueeze(0), 3))

    assert [share for share, _ in parts] == [3 / 7, 3 / 7, 1 / 7]
    for (_, part), batch in zip(parts, hessian.items.batches(3), strict=True):
        assert size(batch) in (3, 1)
        truth = exact_product(hessian.runner, hessian.weights, batch, vector)
        torch.testing.assert_close(part[0], truth)

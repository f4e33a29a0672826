from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from mdtree.exceptions import DataError
from mdtree.metrics.hessian import HESSIAN
from mdtree.models import cnn
from mdtree.rows import Measured, Missing
from tests.support.cases import NETS, X, Y, group
from tests.support.exact import (
    BOTH_PROTOCOLS,
    FollowedBy,
    Greedy,
    OnceDifferentiable,
    exact_hessian,
    measure,
    mlp,
    runner_of,
    subject,
    top_and_trace,
    weights_of,
)


@BOTH_PROTOCOLS
def test_everything_is_found_as_it_was(protocol):
    module, members = group(lambda: cnn(width=2, classes=3), 2)
    data = NETS["cnn"][1]
    given = subject(module, members, data, protocol)
    module.train()
    module[1].eval()
    module[-1].bias.requires_grad_(requires_grad=False)
    module[0].weight.grad = mark = torch.ones_like(module[0].weight)
    modes = [part.training for part in module.modules()]
    flags = [p.requires_grad for p in module.parameters()]
    own, copies = weights_of(module), [dict(member) for member in members]
    before = [{name: tensor.clone() for name, tensor in member.items()} for member in members]
    state = torch.random.get_rng_state()

    good = HESSIAN.compute(given)
    broken = {**members[1], "0.weight": torch.full_like(members[1]["0.weight"], math.nan)}
    bad = HESSIAN.compute(replace(given, members={"a": members[0], "b": broken}))

    assert isinstance(good.values["hessian_top"], Measured)
    assert isinstance(bad.values["hessian_top"], Missing)
    assert modes == [part.training for part in module.modules()]
    assert flags == [p.requires_grad for p in module.parameters()]
    assert mark is module[0].weight.grad
    assert torch.equal(torch.ones_like(mark), mark)
    assert all(p.grad is None for p in list(module.parameters())[1:])
    assert all(torch.equal(own[name], t) for name, t in module.state_dict().items())
    for member, copied, old in zip(members, copies, before, strict=True):
        assert all(member[name] is copied[name] for name in copied)
        assert all(torch.equal(member[name], old[name]) for name in old)
    assert torch.equal(state, torch.random.get_rng_state())


@BOTH_PROTOCOLS
@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda x: x * math.nan, "seed-0: the loss is not finite: nan"),
        (lambda x: x + (0 * x).sqrt(), "seed-0: the second derivatives of the loss are not finite"),
        (
            OnceDifferentiable.apply,
            "seed-0: the network or the loss has no second derivative: an operation is",
        ),
        (torch.detach, "seed-0: the loss does not depend on any trainable parameter"),
    ],
)
def test_what_has_no_second_derivative_is_missing_and_says_whose(function, words, protocol):
    module = FollowedBy(function)
    result = measure(module, [weights_of(module)], (X, Y), protocol)
    for value in top_and_trace(result):
        assert isinstance(value, Missing)
        assert value.missing.startswith(words)


@BOTH_PROTOCOLS
@pytest.mark.parametrize("scale", [1e20, 1e30, 1e37])
def test_inputs_that_are_far_too_large_are_told(scale, protocol):
    """Products with the Hessian are as large as the inputs, and their squares are infinite."""
    module = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3))
    result = measure(module, [weights_of(module)], (scale * X.float(), Y), protocol)
    for value in top_and_trace(result):
        assert isinstance(value, Missing)
        assert value.missing == (
            "seed-0: the second derivatives of the loss are too large for float32: look for "
            "inputs or weights that are far too large"
        )


@BOTH_PROTOCOLS
def test_large_inputs_that_can_be_squared_are_measured(protocol):
    module = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3))
    for value in top_and_trace(
        measure(module, [weights_of(module)], (1e10 * X.float(), Y), protocol)
    ):
        assert isinstance(value, Measured)


@BOTH_PROTOCOLS
def test_the_member_that_is_broken_is_named(protocol):
    module, members = group(mlp, 3)
    members[1]["2.bias"][0] = math.nan
    for value in top_and_trace(measure(module, members, (X, Y), protocol)):
        assert Missing(missing="seed-1: the loss is not finite: nan") == value


@BOTH_PROTOCOLS
@pytest.mark.parametrize(
    "module", [nn.Flatten(), nn.Linear(5, 3).requires_grad_(requires_grad=False)]
)
def test_without_a_parameter_to_train_there_is_no_hessian(module, protocol):
    words = "the network has no trainable parameters"
    for value in top_and_trace(measure(module, [weights_of(module)], (X, Y), protocol)):
        assert Missing(missing=words) == value


@BOTH_PROTOCOLS
def test_a_dead_network_is_flat(protocol):
    module = nn.Sequential(nn.Linear(5, 3), nn.ReLU())
    nn.init.constant_(module[0].bias, -100)
    data = X, torch.ones(37, 3)
    for value in top_and_trace(measure(module, [weights_of(module)], data, protocol)):
        assert (value.value, value.converged) == (0, True)


@BOTH_PROTOCOLS
@pytest.mark.parametrize("count", [1, 2, 37])
def test_few_items_are_enough(count, protocol):
    module, members = group(mlp, 1)
    top, trace = top_and_trace(measure(module, members, (X[:count], Y[:count]), protocol))
    truth = exact_hessian(runner_of(module), members[0], (X[:count], Y[:count]))
    assert float(torch.linalg.eigvalsh(truth)[-1]) == pytest.approx(top.value, rel=0.02)
    assert trace.value > 0
    if count == 1:
        assert None is top.stderr


@BOTH_PROTOCOLS
def test_batches_are_halved_where_memory_runs_out(protocol):
    plain, members = group(mlp, 1)
    few = X[:5], Y[:5]
    truth = top_and_trace(measure(plain, members, few, protocol))
    greedy = Greedy(*plain)
    for ours, whole in zip(
        top_and_trace(measure(greedy, members, few, protocol)), truth, strict=True
    ):
        assert whole.value == pytest.approx(ours.value, rel=2e-3)
        assert whole.iterations == ours.iterations

    greedy.most = 0
    with pytest.raises(DataError, match="out of memory even with one item at a time"):
        measure(greedy, members, few, protocol)


@BOTH_PROTOCOLS
def test_an_interrupt_passes_and_leaves_the_network_as_it_was(protocol):
    calls = []

    def interrupted(x):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return x

    module = FollowedBy(interrupted)
    given = subject(module, [weights_of(module)], (X, Y), protocol)
    module.train()
    own, state = weights_of(module), torch.random.get_rng_state()
    with pytest.raises(KeyboardInterrupt):
        HESSIAN.compute(given)
    assert module.training
    assert [nn.Parameter] * 2 == [type(p) for p in module.parameters()]
    assert all(torch.equal(own[name], tensor) for name, tensor in module.state_dict().items())
    assert torch.equal(state, torch.random.get_rng_state())

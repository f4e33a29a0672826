from __future__ import annotations

import pytest
import torch
from torch import nn

from mdtree.training.loop import FusedSgd


def steps_of(optimizer_of, gradients):
    """Step through gradients, each a list with one for each parameter or None."""
    torch.manual_seed(0)
    parameters = [nn.Parameter(torch.randn(37, 5)), nn.Parameter(torch.randn(3))]
    zero, step = optimizer_of(parameters)
    for number, each in enumerate(gradients):
        zero()
        assert all(parameter.grad is None for parameter in parameters)
        for parameter, gradient in zip(parameters, each, strict=True):
            parameter.grad = None if gradient is None else gradient.clone()
        step(0.1 / (number + 1))
    return parameters


def ours(momentum, decay):
    def made(parameters):
        optimizer = FusedSgd(parameters, momentum=momentum, weight_decay=decay)
        return optimizer.zero_grad, optimizer.step

    return made


def torchs(momentum, decay):
    def made(parameters):
        optimizer = torch.optim.SGD(
            parameters, lr=1.0, momentum=momentum, weight_decay=decay, fused=True
        )

        def step(rate):
            optimizer.param_groups[0]["lr"] = rate
            optimizer.step()

        return optimizer.zero_grad, step

    return made


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("decay", [0.0, 0.01])
def test_steps_are_those_of_torch_to_the_last_bit(momentum, decay):
    torch.manual_seed(1)
    gradients = [[torch.randn(37, 5), torch.randn(3)] for _ in range(4)]
    one, other = (steps_of(kind(momentum, decay), gradients) for kind in (ours, torchs))
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_parameter_without_a_gradient_stays_and_begins_when_it_has_one():
    one = torch.ones(3)
    first, second = steps_of(
        ours(0.5, 0.0), [[torch.zeros(37, 5), None], [torch.zeros(37, 5), one]]
    )
    start = steps_of(ours(0.5, 0.0), [])
    assert torch.equal(first, start[0])
    assert torch.allclose(second, start[1] - 0.05 * one)


def test_no_gradient_at_all_is_no_step():
    start, after = steps_of(ours(0.9, 0.1), []), steps_of(ours(0.9, 0.1), [[None, None]])
    assert all(torch.equal(a, b) for a, b in zip(start, after, strict=True))

"""Connectivity of what is hardly a group, hardly a network or hardly data."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from torch import nn

from mdtree.datasets import TensorItems
from mdtree.exceptions import DataError, MismatchError
from mdtree.landscape import ComputeCost
from mdtree.rows import Measured, Missing
from tests.support import valleys
from tests.support.valleys import (
    CROSS_ENTROPY,
    END,
    ITEMS,
    START,
    FailingLoss,
    Ring,
    X,
    copy_of,
    few_steps,
    measured_values,
    members,
    mlp,
    numbered_items,
    ring_loss,
    subject,
)

PROTOCOLS = pytest.mark.parametrize("protocol", ["standard-1", "paper-1"])


SHORT = few_steps(steps=8, epochs=4)
measure = partial(valleys.measure, metric=SHORT)


def few(count):
    return TensorItems((X[:count], torch.arange(count) % 3))


def frozen(module):
    return module.requires_grad_(requires_grad=False)


@PROTOCOLS
@pytest.mark.parametrize(
    ("module", "count", "items", "reason"),
    [
        (mlp(), 1, ITEMS, "needs 2 checkpoints, found 1"),
        (mlp(), 2, few(1), "needs 2 training items, found 1"),
        (mlp(), 2, few(0), "needs 2 training items, found 0"),
        (frozen(mlp()), 2, ITEMS, "the network has no trainable parameters"),
        (nn.Flatten(), 2, ITEMS, "the network has no trainable parameters"),
    ],
)
def test_what_cannot_be_joined_says_why_and_costs_nothing(module, count, items, reason, protocol):
    asked = subject(module, [copy_of(module.state_dict())] * count, items, protocol=protocol)
    result = SHORT.compute(asked)
    assert dict.fromkeys(SHORT.quantities, Missing(missing=reason)) == result.values
    assert not result.details
    assert ComputeCost() == asked.runner.meter.total


@PROTOCOLS
@pytest.mark.parametrize("batch_size", [1, 4])
@pytest.mark.parametrize("count", [2, 3, 5, 9, 10, 11, 16])
def test_few_items_and_batches_of_one_do_with_statistics_that_need_two(count, batch_size, protocol):
    result = measure(mlp(), members(mlp), few(count), batch_size=batch_size, protocol=protocol)
    wanted = len(SHORT.quantities) - 2 * (protocol == "paper-1")
    assert len(measured_values(result)) == wanted


def broken(weights, value):
    return {**weights, "4.bias": torch.full((3,), value)}


@PROTOCOLS
@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("place", [0, 1])
def test_an_end_that_is_not_finite_is_missing_with_its_reason(value, place, protocol):
    weights = members(mlp)
    weights[place] = broken(weights[place], value)
    result = measure(mlp(), weights, protocol=protocol)
    reason = "the loss or the error is not finite on the path"
    for name in ("connectivity", "connectivity_peak", "barrier", "barrier_loss"):
        assert Missing(missing=reason) == result.values[name]
    assert "linear_barrier_loss" not in measured_values(
        result
    )  # while an infinite output has a class
    assert None in result.details["curve"].columns["train_loss"]  # JSON has no NaN


def test_one_broken_pair_of_several_is_not_passed_over():
    weights = [*members(mlp, 2), broken(members(mlp, 3)[2], math.nan)]
    result = measure(mlp(), weights)
    assert not measured_values(result)
    assert len(set(result.details["curve"].columns["pair"])) == 2


@PROTOCOLS
def test_steps_without_a_finite_loss_end_in_numbers_or_in_a_reason(protocol):
    loss = FailingLoss(3)  # NaN from the third step on
    result = measure(Ring(), [START, END], numbered_items(20), loss=loss, protocol=protocol)
    value = result.values["barrier_loss"]
    if protocol == "standard-1":
        assert isinstance(value, Measured)
        assert value.value <= measured_values(result)["linear_barrier_loss"] + 1e-6
    else:
        assert Missing(missing="the loss or the error is not finite on the path") == value


def test_a_loss_of_means_has_no_standard_error_of_its_own():
    def mean(output, batch):
        return CROSS_ENTROPY(output, batch).mean()

    weights = members(mlp)
    result, each = measure(mlp(), weights, loss=mean), measure(mlp(), weights)
    assert result.values["barrier_loss"].stderr is None
    assert result.values["barrier"] == each.values["barrier"]
    assert measured_values(each) == pytest.approx(measured_values(result), rel=1e-5, abs=1e-6)


def less(weights):
    return {name: tensor for name, tensor in weights.items() if name != "1.running_mean"}


def more(weights):
    return {**weights, "1.extra": torch.ones(1)}


def other(weights):
    return {**weights, "1.running_mean": torch.zeros(9)}


@PROTOCOLS
@pytest.mark.parametrize("change", [less, more, other])
def test_members_with_other_tensors_are_refused(change, protocol):
    first, second = members(mlp)
    with pytest.raises(MismatchError, match=r"these differ: 1\.(running_mean|extra)$"):
        measure(mlp(), [first, change(second)], protocol=protocol)


@PROTOCOLS
def test_outputs_that_do_not_fit_are_told(protocol):
    narrow = nn.Linear(5, 2)
    with pytest.raises(DataError):
        measure(narrow, members(lambda: nn.Linear(5, 2)), protocol=protocol)


class Partly(nn.Module):
    """Frozen weights, shared weights, and buffers of two kinds, other for each seed."""

    def __init__(self):
        super().__init__()
        self.features = nn.Parameter(torch.randn(5, 8), requires_grad=False)
        self.one, self.two, self.last = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 3)
        self.two.weight = self.one.weight
        self.register_buffer("shift", torch.randn(8))
        self.register_buffer("order", torch.randperm(8))

    def forward(self, x):
        x = torch.tanh(x @ self.features + self.shift)[:, self.order]
        return self.last(torch.relu(self.two(torch.relu(self.one(x)))))


@PROTOCOLS
def test_frozen_and_shared_weights_and_buffers_are_fine(protocol):
    weights = [
        {name: tensor for name, tensor in each.items() if name != "two.weight"}
        for each in members(Partly)
    ]
    given = [copy_of(each) for each in weights]
    result = measure(Partly(), weights, protocol=protocol)
    assert len(measured_values(result)) == (6 if protocol == "standard-1" else 4)
    for before, after in zip(given, weights, strict=True):
        assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_loss_that_knows_no_gradient_leaves_the_line():
    result = measure(
        Ring(), [START, END], numbered_items(20), loss=lambda *args: ring_loss(*args).detach()
    )
    values = measured_values(result)
    assert values["barrier_loss"] == pytest.approx(values["linear_barrier_loss"], rel=0.05)

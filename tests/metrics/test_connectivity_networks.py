"""Connectivity of networks of every kind."""

from __future__ import annotations

import math

import pytest
import torch

from mdtree.datasets import Data, TensorItems
from mdtree.losses import build_loss
from mdtree.metrics import MetricInput, connectivity
from mdtree.metrics.connectivity import CONNECTIVITY
from mdtree.recipes import LossSpec, Trust
from mdtree.rows import Missing
from tests.support.cases import NETS, group
from tests.support.valleys import CROSS_ENTROPY, copy_of, equal_weights, runner_of

MSE = build_loss(LossSpec(factory="mse"), Trust())
REGRESSIONS = ("regression", "one number")


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("protocol", ["standard-1", "paper-1"])
def test_every_network_has_numbers_and_is_left_as_it_was(name, protocol, monkeypatch):
    monkeypatch.setattr(connectivity, "_STEPS", 8)
    monkeypatch.setattr(connectivity, "_CHECK_EVERY", 4)
    monkeypatch.setattr(connectivity, "_PAPER_EPOCHS", 4)
    make, data = NETS[name]
    module, weights = group(make, 2)
    before, state = [copy_of(each) for each in weights], copy_of(module.state_dict())
    loss = MSE if name in REGRESSIONS else CROSS_ENTROPY
    subject = MetricInput(
        runner=runner_of(module, loss, batch_size=12),  # of 37 items the last is alone
        members={f"seed-{place}": each for place, each in enumerate(weights)},
        data=Data(TensorItems(data), None),
        protocol=protocol,
        seed=0,
    )
    result = CONNECTIVITY.compute(subject)

    for quantity, value in result.values.items():
        if "linear" in quantity and protocol == "paper-1":
            assert Missing(missing="not part of protocol paper-1") == value
        elif "loss" not in quantity and name in REGRESSIONS:
            assert Missing(missing="the targets are no class numbers") == value
        else:
            assert math.isfinite(value.value)
            assert value.stderr >= 0
    assert all(map(equal_weights, before, weights))
    assert equal_weights(state, module.state_dict())
    assert all(p.requires_grad and p.grad is None for p in module.parameters())
    losses = result.details["curve"].columns["train_loss"]
    assert len(set(losses)) > 3  # the weights that were given are those that ran
    assert torch.is_grad_enabled()

from __future__ import annotations

import contextlib
import copy

import pytest
import torch
from torch import nn

from mdtree.datasets import TensorItems
from mdtree.exceptions import DataError
from mdtree.landscape import ComputeCost, has_statistics, reestimate
from tests.support.valleys import copy_of, equal_weights, runner_of

X = torch.randn(7, 5, generator=torch.Generator().manual_seed(0)) * 3 + 2
IMAGES = torch.randn(7, 2, 4, 4, generator=torch.Generator().manual_seed(1)) + 1


def one_layer(**kwargs):
    """Give a network whose statistics were collected on something else."""
    module = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4, **kwargs))
    module.train()(torch.randn(50, 5) - 9)
    return module


def run_reestimate(module, x=X, *, batch_size=3, weights=None):
    """Give the weights and buffers that are held afterwards, and the setup."""
    runner = runner_of(module, batch_size=batch_size)
    state = copy_of(module.state_dict() if weights is None else weights)
    items = TensorItems((x, torch.zeros(len(x)).long()))
    runner.network.with_weights(state, lambda run: reestimate(runner, items, run))
    return state, runner


@pytest.mark.parametrize("batch_size", [3, 4])
def test_it_is_one_pass_by_hand_weighted_by_the_size_of_the_batches(batch_size):
    module = one_layer()
    state, runner = run_reestimate(module, batch_size=batch_size)

    parts = [part for part in module[0](X).split(batch_size) if len(part) > 1]
    seen = sum(len(part) for part in parts)
    mean = sum(len(part) * part.mean(0) for part in parts) / seen
    var = sum(len(part) * part.var(0, unbiased=True) for part in parts) / seen
    assert torch.allclose(mean, state["1.running_mean"], atol=1e-6)
    assert torch.allclose(var, state["1.running_var"], rtol=1e-5)
    assert ComputeCost(forward=seen) == runner.meter.total
    assert seen == {3: 6, 4: 7}[batch_size]  # of 3, 3, 1 and of 4, 3


def test_later_layers_see_what_earlier_ones_make_of_the_batch():
    module = nn.Sequential(
        nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2)
    )
    state, _ = run_reestimate(module, IMAGES, batch_size=7)

    rival = copy.deepcopy(module).train()
    for layer in (rival[1], rival[4]):
        layer.momentum = 1.0
    rival(IMAGES)
    for name in ("1.running_mean", "1.running_var", "4.running_mean", "4.running_var"):
        assert torch.allclose(rival.state_dict()[name], state[name], atol=1e-6)


def test_batches_of_one_size_give_the_cumulative_average_of_torch():
    module = one_layer(momentum=None)
    state, _ = run_reestimate(module, X[:6], batch_size=3)

    rival = copy.deepcopy(module).train()
    rival[1].reset_running_stats()
    for part in X[:6].split(3):
        rival(part)
    assert torch.allclose(rival[1].running_mean, state["1.running_mean"], atol=1e-6)
    assert torch.allclose(rival[1].running_var, state["1.running_var"], rtol=1e-5)
    assert int(state["1.num_batches_tracked"]) == 2


@pytest.mark.parametrize("stored", [0.0, 1e9, torch.nan, torch.inf])
def test_nothing_is_left_of_what_was_stored(stored):
    module = one_layer()
    clean, _ = run_reestimate(module)
    odd = module.state_dict() | {"1.running_mean": torch.full((4,), stored)}
    assert equal_weights(clean, run_reestimate(module, weights=odd)[0])


@pytest.mark.parametrize("batch_size", [1, 2])
def test_one_item_at_a_time_has_no_variance_so_two_are_taken(batch_size):
    state, runner = run_reestimate(one_layer(), batch_size=batch_size)
    pairs = run_reestimate(one_layer(), X[:6], batch_size=2)[1]
    assert ComputeCost(forward=6) == runner.meter.total == pairs.meter.total
    assert (state["1.running_var"] > 0).all()


def test_dropout_stays_off():
    layers = nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Linear(4, 4), nn.BatchNorm1d(4)
    with_it = run_reestimate(nn.Sequential(nn.Dropout(0.9), *layers))[0]
    assert equal_weights(with_it, run_reestimate(nn.Sequential(nn.Identity(), *layers))[0])


@pytest.mark.parametrize("width", [5, 2])
def test_modes_and_momenta_are_found_as_they_were_whether_it_works_or_not(width):
    module = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4, momentum=0.3), nn.Dropout())
    module.append(nn.BatchNorm1d(4, momentum=None))
    runner = runner_of(module)
    module[2:].train()
    modes = [inner.training for inner in module.modules()]
    items = TensorItems((X[:, :width], torch.zeros(7).long()))

    with contextlib.nullcontext() if width == 5 else pytest.raises(DataError):
        runner.network.with_weights(
            copy_of(module.state_dict()), lambda run: reestimate(runner, items, run)
        )
    assert modes == [inner.training for inner in module.modules()]
    assert [module[1].momentum, module[3].momentum] == [0.3, None]


def test_the_module_itself_and_its_gradients_are_untouched():
    module = one_layer()
    before = copy_of(module.state_dict())
    state, _ = run_reestimate(module)
    assert equal_weights(before, module.state_dict())
    assert all(parameter.grad is None for parameter in module.parameters())
    assert not any(tensor.requires_grad for tensor in state.values())


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (nn.BatchNorm1d(4), True),
        (nn.InstanceNorm1d(4, track_running_stats=True), True),
        (nn.InstanceNorm1d(4), False),
        (nn.BatchNorm1d(4, track_running_stats=False), False),
        (nn.LayerNorm(4), False),
        (nn.GroupNorm(2, 4), False),
    ],
)
def test_only_layers_with_stored_statistics_cost_a_pass(layer, expected):
    module = nn.Sequential(nn.Linear(5, 4), nn.Unflatten(1, (4, 1)), nn.Flatten(), layer)
    if isinstance(layer, nn.InstanceNorm1d):
        module = nn.Sequential(nn.Linear(5, 8), nn.Unflatten(1, (4, 2)), layer)
    assert expected == has_statistics(module)
    before = copy_of(module.state_dict())
    state, runner = run_reestimate(module, batch_size=4)
    assert ComputeCost(forward=7 if expected else 0) == runner.meter.total
    assert expected != equal_weights(before, state)

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats
from torch import nn

from mdtree.landscape import generator, random_weights, trainable_parameters
from mdtree.models import Network, resnet18
from tests.support.cases import NETS


def drawn(module, seed=0, dtype=torch.float32):
    layout = trainable_parameters(Network(module))
    like = torch.zeros(layout.size, dtype=dtype)
    return layout.views(random_weights(layout, like, generator(seed)))


def is_even(values, low, high):
    """Hold numbers to the even distribution between two bounds."""
    assert low <= values.min()
    assert values.max() <= high
    even = stats.uniform(low, high - low).cdf
    return stats.kstest(values.flatten().numpy(), even).pvalue > 0.01


@pytest.mark.parametrize(
    ("module", "fan_in"),
    [
        (nn.Linear(16, 300), 16),
        (nn.Conv2d(4, 90, 3), 36),
        (nn.Conv2d(8, 88, 3, groups=4), 18),
        (nn.Conv1d(5, 90, 7, bias=False), 35),
    ],
)
def test_convolutions_and_linear_layers_are_even_up_to_one_by_the_root_of_fan_in(module, fan_in):
    bound = 1 / math.sqrt(fan_in)
    for tensor in drawn(module).values():
        assert is_even(tensor, -bound, bound)
    for parameter in module.parameters():  # as torch draws them itself
        assert is_even(parameter.detach(), -bound, bound)


@pytest.mark.parametrize("layer", [nn.BatchNorm2d(200), nn.LayerNorm(200), nn.GroupNorm(4, 200)])
@pytest.mark.parametrize("inside", [True, False])
def test_normalisation_has_even_scales_and_no_shift(layer, inside):
    weights = drawn(nn.Sequential(layer) if inside else layer)
    prefix = "0." if inside else ""
    assert is_even(weights[prefix + "weight"], 0, 1)
    assert (weights[prefix + "bias"] == 0).all()


def test_each_tensor_is_drawn_anew_and_a_seed_gives_one_vector():
    module = nn.Sequential(nn.Linear(5, 5), nn.Linear(5, 5))
    before = torch.random.get_rng_state()
    first, again, other = drawn(module), drawn(module), drawn(module, seed=1)
    assert torch.equal(before, torch.random.get_rng_state())
    assert not torch.equal(first["0.weight"], first["1.weight"])
    for name in first:
        assert torch.equal(first[name], again[name])
        assert not torch.equal(first[name], other[name])


def test_the_precision_is_that_of_the_weights():
    assert drawn(nn.Linear(3, 2), dtype=torch.float64)["weight"].dtype == torch.float64


def test_frozen_weights_are_left_out():
    module = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2))
    module[0].requires_grad_(requires_grad=False)
    assert drawn(module).keys() == {"1.weight", "1.bias"}


@pytest.mark.parametrize("name", NETS)
def test_every_network_gets_weights_that_are_small_and_not_all_zero(name):
    for tensor in drawn(NETS[name][0]()).values():
        assert tensor.abs().max() <= 1
        assert tensor.dim() < 2 or tensor.std() > 0


def test_the_length_is_that_of_the_published_resnet_at_the_start():
    """E |b|^2 = sum of k^2 / 3 over convolutions and the last layer, 1 / 3 for each scale."""
    module = resnet18(width=4)
    total = sum(float(tensor.square().sum()) for tensor in drawn(module).values())
    rows = sum(p.shape[0] for n, p in module.named_parameters() if p.dim() > 1)
    scales = sum(len(m.weight) for m in module.modules() if isinstance(m, nn.BatchNorm2d))
    assert total == pytest.approx((rows + scales) / 3, rel=0.15)

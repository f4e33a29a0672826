from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from scipy import stats
from torch import nn

from mdtree.exceptions import MismatchError
from mdtree.landscape import (
    BezierCurve,
    generator,
    random_weights,
    straight_line,
    trainable_parameters,
)
from mdtree.models import Network, resnet18
from tests.support.cases import NETS
from tests.support.valleys import copy_of, equal_weights

T = pytest.mark.parametrize("t", [0.0, 0.1, 0.25, 0.5, 0.75, 0.999, 1.0])


class Mixed(nn.Module):
    """All that a network can have: trained, frozen, and buffers of two kinds."""

    def __init__(self):
        super().__init__()
        self.trained = nn.Parameter(torch.randn(2, 3))
        self.frozen = nn.Parameter(torch.randn(4), requires_grad=False)
        self.more = nn.Parameter(torch.randn(()))
        self.register_buffer("features", torch.randn(3))
        self.register_buffer("count", torch.randint(0, 1000, ()))


def ends(make=Mixed, **kwargs):
    modules = [make(**kwargs) for _ in range(2)]
    return trainable_parameters(Network(modules[0])), *(copy_of(m.state_dict()) for m in modules)


def curve(make=Mixed, control_point=None, **kwargs):
    path = straight_line(*ends(make, **kwargs))
    return replace(
        path,
        control_point=torch.randn_like(path.control_point)
        if control_point is None
        else control_point,
    )


def test_the_middle_is_a_quarter_of_each_end_and_half_of_the_bend():
    layout = trainable_parameters(Network(nn.Linear(3, 1, bias=False)))
    a, b, c = torch.tensor([[4.0, 0, 8]]), torch.tensor([2.0, 6, 0]), torch.tensor([[0.0, 8, 4]])
    path = BezierCurve(layout=layout, start={"weight": a}, end={"weight": c}, control_point=b)

    assert path.at(0.5)["weight"].tolist() == [[2, 5, 3]]
    assert path.at(0.25)["weight"].tolist() == [[9 / 4 + 3 / 4, 9 / 4 + 1 / 2, 9 / 2 + 1 / 4]]


@T
def test_a_point_is_that_of_the_formula(t):
    path = curve()
    control_point = path.layout.views(path.control_point)
    for name in ("trained", "more"):
        a, b, c = path.start[name], control_point[name], path.end[name]
        expected = (1 - t) ** 2 * a + 2 * t * (1 - t) * b + t**2 * c
        assert torch.allclose(expected, path.at(t)[name], atol=1e-6)


@T
def test_a_straight_line_is_even_in_t(t):
    path = straight_line(*ends())
    for name in ("trained", "more"):
        expected = (1 - t) * path.start[name] + t * path.end[name]
        assert torch.allclose(expected, path.at(t)[name], atol=1e-6)


@T
def test_a_line_between_equal_ends_stays_where_it_is(t):
    layout, weights, _ = ends()
    point = straight_line(layout, weights, weights).at(t)
    assert all(torch.allclose(weights[name], point[name], atol=1e-6) for name in weights)


@pytest.mark.parametrize(
    "control_point", [None, torch.full((7,), torch.nan), torch.full((7,), 1e38)]
)
def test_the_ends_are_the_checkpoints_to_the_last_bit(control_point):
    path = curve(control_point=control_point)
    assert equal_weights(path.start, path.at(0))
    assert equal_weights(path.end, path.at(1.0))


@T
def test_points_are_fresh_and_the_checkpoints_stay_as_they_are(t):
    path = curve()
    before = copy_of(path.start), copy_of(path.end), path.control_point.clone()
    for tensor in path.at(t).values():
        tensor.fill_(7)

    assert equal_weights(before[0], path.start)
    assert equal_weights(before[1], path.end)
    assert torch.equal(before[2], path.control_point)


@pytest.mark.parametrize(("t", "end"), [(0.01, "start"), (0.49, "start"), (0.5, "end"), (1, "end")])
def test_what_is_not_trained_is_that_of_the_nearer_end(t, end):
    path = curve()
    nearer, point = getattr(path, end), path.at(t)
    for name in ("frozen", "features", "count"):
        assert torch.equal(nearer[name], point[name])
        assert nearer[name].dtype == point[name].dtype


def test_float64_is_kept():
    path = curve(nn.Linear, in_features=3, out_features=2, dtype=torch.float64)
    assert {torch.float64} == {tensor.dtype for tensor in path.at(0.3).values()}


def test_a_shared_weight_is_one_weight():
    module = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False))
    module[1].weight = module[0].weight
    layout = trainable_parameters(Network(module))
    start, end = ({"0.weight": torch.randn(3, 3)} for _ in range(2))

    point = straight_line(layout, start, end).at(0.5)
    assert point.keys() == {"0.weight"}
    batch = torch.randn(2, 3), torch.zeros(2)
    weight = (start["0.weight"] + end["0.weight"]) / 2
    said = Network(module).with_weights(point, lambda run: run(batch))
    assert torch.allclose(batch[0] @ weight.T @ weight.T, said, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (lambda w: w.pop("features"), "features"),
        (lambda w: w.update(extra=torch.ones(1)), "extra"),
        (lambda w: w.update(trained=w["trained"].T), "trained"),
        (lambda w: (w.pop("count"), w.update(features=torch.ones(9))), "count, features"),
    ],
    ids=["less", "more", "as many numbers in another shape", "two"],
)
@pytest.mark.parametrize("first", [True, False])
def test_ends_of_two_networks_are_refused(change, names, first):
    layout, start, end = ends()
    change(start if first else end)
    with pytest.raises(MismatchError, match=f"these differ: {names}$"):
        straight_line(layout, start, end)


# random weights


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

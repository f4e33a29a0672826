from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from mdtree.exceptions import MismatchError
from mdtree.landscape import BezierCurve, straight_line, trainable_parameters
from mdtree.models import Network
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

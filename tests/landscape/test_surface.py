"""Planes: distances in them are distances between weights, and random directions have scale."""

from __future__ import annotations

import math
from itertools import combinations

import pytest
import torch
from torch import nn

from mdtree.landscape import (
    filter_normalised,
    generator,
    plane_through,
    trainable_parameters,
)
from mdtree.models import Network
from tests.support.cases import NETS, group

NET_NAMES = ["mlp", "cnn", "batch norm", "lstm", "transformer", "words"]


def sources(seed=0):
    return [generator(seed, "direction", number) for number in range(2)]


def plane_of(make, count, seed=0):
    module, members = group(make, count)
    layout = trainable_parameters(Network(module))
    doubles = [
        {n: t.double() if t.is_floating_point() else t for n, t in m.items()} for m in members
    ]
    return plane_through(layout, doubles, sources(seed)), doubles


def vector(weights):
    return torch.cat([weights[name].reshape(-1) for name in weights])


def linear(*rows):
    """Give the weights of linear networks without bias, and their layout."""
    module = nn.Linear(len(rows[0]), 1, bias=False).double()
    layout = trainable_parameters(Network(module))
    return layout, [{"weight": torch.tensor([row], dtype=torch.float64)} for row in rows]


@pytest.mark.parametrize("name", NET_NAMES)
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_the_axes_are_orthonormal(name, count):
    plane, _ = plane_of(NETS[name][0], count)
    u, v = plane.axes
    assert (float(u @ u), float(v @ v)) == pytest.approx((1, 1))
    assert float(u @ v) == pytest.approx(0, abs=1e-12)
    assert plane.random == max(0, 3 - count)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_distances_in_the_plane_are_those_of_the_weights(count):
    plane, members = plane_of(NETS["mlp"][0], count)
    assert len(plane.places) == min(count, 3)
    for a, b in combinations(range(len(plane.places)), 2):
        distance = float((vector(members[a]) - vector(members[b])).norm())
        assert math.dist(plane.places[a], plane.places[b]) == pytest.approx(distance)
    first, second = (vector(plane.at(x, y)) for x, y in ((1.0, -2.0), (4.0, 2.0)))
    assert float((first - second).norm()) == pytest.approx(5)


def test_at_their_places_are_the_networks():
    plane, members = plane_of(NETS["batch norm"][0], 3)
    for place, member in zip(plane.places, members, strict=True):
        weights = plane.at(*place)
        assert weights.keys() == member.keys()
        for name, tensor in weights.items():
            torch.testing.assert_close(tensor, member[name])


def test_three_networks_by_hand():
    layout, members = linear([1.0, 1.0, 0.0], [4.0, 1.0, 0.0], [5.0, 3.0, 0.0])
    plane = plane_through(layout, members, sources())
    assert [axis.tolist() for axis in plane.axes] == [[1, 0, 0], [0, 1, 0]]
    assert plane.places == ((0, 0), (3, 0), (4, 2))
    assert plane.at(2, -1)["weight"].tolist() == [[3, 0, 0]]
    (middle, half) = plane.window(1 / 4)
    assert (middle, half) == ((2, 1), 3)  # 4 wide and 2 high: the square around them, and a quarter


def test_around_one_network_the_square_ends_where_its_directions_do():
    layout, members = linear([3.0, 4.0])
    plane = plane_through(layout, members, sources())
    assert plane.places == ((0, 0),)
    assert plane.window(1 / 3) == ((0, 0), pytest.approx(5))


def test_networks_on_one_line_leave_the_second_direction_to_chance():
    layout, members = linear([0.0, 1.0, 0.0], [0.0, 3.0, 0.0], [0.0, 2.0, 0.0])
    plane = plane_through(layout, members, sources())
    assert plane.random == 1
    assert plane.places == ((0, 0), (2, 0), (1, 0))


def test_equal_networks_are_one_place():
    layout, members = linear([3.0, 4.0], [3.0, 4.0])
    plane = plane_through(layout, members, sources())
    assert (plane.random, plane.places) == (2, ((0, 0), (0, 0)))
    assert plane.window(1 / 3) == ((0, 0), pytest.approx(5))


@pytest.mark.parametrize(
    "rows",
    [
        [[0.0, 0.0]],  # random directions have no length
        [[2.0]],  # there is only one direction
        [[math.inf, 1.0]],
        [[1.0, 1.0], [math.nan, 1.0]],
    ],
)
def test_what_spans_no_plane(rows):
    layout, members = linear(*rows)
    plane = plane_through(layout, members, sources())
    assert plane is None or plane.window(1 / 3) is None


def test_filters_of_a_direction_have_the_norms_of_those_of_the_weights():
    module, (weights,) = group(NETS["batch norm"][0], 1)
    layout = trainable_parameters(Network(module))
    drawn = layout.views(filter_normalised(layout, weights, generator(0, "x")))
    dimensions = {tensor.dim() for tensor in drawn.values()}
    assert dimensions == {1, 2, 4}
    for name, direction in drawn.items():
        if direction.dim() == 1:  # biases, and scale and shift of a normalisation
            assert not direction.any()
            continue
        for own, of_weights in zip(direction, weights[name], strict=True):
            assert float(own.norm()) == pytest.approx(float(of_weights.norm()), rel=1e-5)


def test_filters_by_hand():
    """The filters (3, 4) and (0, 0): the direction has the lengths 5 and 0."""
    layout = trainable_parameters(Network(nn.Linear(2, 2)))
    weights = {"weight": torch.tensor([[3.0, 4.0], [0.0, 0.0]]), "bias": torch.ones(2)}
    a, b, c, d, *biases = filter_normalised(layout, weights, generator(1, "y")).tolist()
    assert math.hypot(a, b) == pytest.approx(5)
    assert (c, d, *biases) == (0, 0, 0, 0)
    expected = torch.randn((2, 2), generator=generator(1, "y"))[0]
    assert a / b == pytest.approx(float(expected[0] / expected[1]), rel=1e-5)


def test_a_seed_gives_the_same_plane_twice_and_another_one_another():
    (first, _), (second, _), (other, _) = (plane_of(NETS["cnn"][0], 1, seed) for seed in (0, 0, 1))
    assert all(map(torch.equal, first.axes, second.axes))
    assert not torch.equal(first.axes[0], other.axes[0])


def test_what_is_not_trained_is_that_of_the_nearest_network():
    module = nn.Linear(2, 1)
    module.bias.requires_grad_(requires_grad=False)
    layout = trainable_parameters(Network(module))
    members = [
        {"weight": torch.tensor([[float(place), 1.0]]), "bias": torch.tensor([float(place)])}
        for place in (0, 4)
    ]
    plane = plane_through(layout, members, sources())
    biases = [float(plane.at(x, 0.5)["bias"]) for x in (-1, 1.9, 2.1, 9)]
    assert biases == [0, 0, 4, 4]

"""The surface: numbers on the grid are those of a formula, and nothing else changes."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from mdtree.landscape import generator, plane_through, trainable_parameters
from mdtree.measurement.group import quantities_of
from mdtree.metrics import METRICS, Workload, curve
from mdtree.metrics.budgets import (
    ConnectivityBudget,
    PaperConnectivity,
    StandardConnectivity,
    SurfaceBudget,
)
from mdtree.metrics.connectivity import connectivity_metric
from mdtree.metrics.surface import SURFACE, surface_metric
from mdtree.rows import Detail
from tests.support.cases import IMAGES, NETS, X, Y, group
from tests.support.exact import loss_at, subject

SMALL = surface_metric(SurfaceBudget(side=4, curve=None))
SHORT = ConnectivityBudget(
    standard=StandardConnectivity(steps=8, check_every=4), paper=PaperConnectivity(epochs=2)
)
CURVED = surface_metric(SurfaceBudget(side=4, curve=SHORT))


def lines(detail: Detail):
    names = ("x", "y", "train_loss", "train_error")
    return list(zip(*(detail.columns[name] for name in names), strict=True))


def doubled(members):
    return [
        {name: t.double() if t.is_floating_point() else t for name, t in weights.items()}
        for weights in members
    ]


def linear_case(*rows):
    """Give y = w x on items whose mean loss is a quadratic form of w, and that form."""
    module = nn.Linear(2, 1, bias=False).double()
    members = [{"weight": torch.tensor([row], dtype=torch.float64)} for row in rows]
    x = torch.tensor([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]], dtype=torch.float64)
    y = torch.tensor([[1.0], [0.0], [3.0]], dtype=torch.float64)

    def loss(first, second):
        return ((first - 1) ** 2 + (2 * second) ** 2 + (first + second - 3) ** 2) / 3

    return subject(module, members, (x, y)), loss


def test_a_quadratic_loss_is_that_of_the_formula():
    made, loss = linear_case([1.0, 1.0], [4.0, 1.0], [1.0, 5.0])
    result = SMALL.compute(made)
    grid = lines(result.details["surface"])
    assert len(grid) == 16
    for x, y, value, error in grid:
        assert value == pytest.approx(loss(1 + x, 1 + y), rel=1e-5)
        assert error is None  # targets are no classes
    # 3 wide and 4 high: a square of 4 + 2 * 4/3 around the middle
    assert sorted({x for x, *_ in grid}) == pytest.approx(
        [1.5 + s * 20 / 9 for s in (-1.5, -0.5, 0.5, 1.5)]
    )
    assert sorted({y for _, y, *_ in grid}) == pytest.approx(
        [2 + s * 20 / 9 for s in (-1.5, -0.5, 0.5, 1.5)]
    )
    assert [(x, y) for x, y, *_ in lines(result.details["surface_members"])] == [
        (0, 0),
        (3, 0),
        (0, 4),
    ]
    assert [v for *_, v, _ in lines(result.details["surface_members"])] == pytest.approx(
        [loss(1, 1), loss(4, 1), loss(1, 5)], rel=1e-5
    )


@pytest.mark.parametrize("count", [1, 2])
def test_random_directions_leave_distances_as_they_are(count):
    """The plane is all of weight space here, turned or mirrored by chance."""
    made, loss = linear_case([1.0, 1.0], [4.0, 1.0])
    made = type(made)(**{**vars(made), "members": dict(list(made.members.items())[:count])})
    grid = lines(SMALL.compute(made).details["surface"])
    (low, *_), (high, *_) = grid[0], grid[-1]
    half, middle = (high - low) / 2, (low + high) / 2
    if count == 1:
        assert half == pytest.approx(math.sqrt(2), rel=1e-5)
        # the mean of d'Ad over a square is trace(A) times that of a side, however it is turned
        spread = sum((half * t) ** 2 for t in (-1, -1 / 3, 1 / 3, 1)) / 4
        expected = loss(1, 1) + (1 + 4 + 2) / 3 * spread
        assert sum(value for _, _, value, _ in grid) / 16 == pytest.approx(expected, rel=1e-4)
    else:
        assert middle == pytest.approx(1.5)
        assert half == pytest.approx(2.5)
        for x, y, value, _ in grid:
            assert value == pytest.approx(loss(1 + x, 1 + y), rel=1e-5) or value == pytest.approx(
                loss(1 + x, 1 - y), rel=1e-5
            )


@pytest.mark.parametrize("name", ["mlp", "cnn", "transformer", "words"])
def test_losses_of_members_are_those_of_the_network(name):
    make, data = NETS[name]
    module, members = group(make, 3)
    made = subject(module.double(), doubled(members), _double(data))
    result = SMALL.compute(made)
    places = result.details["surface_members"]
    assert places.columns["member"] == ("seed-0", "seed-1", "seed-2")
    for weights, loss, error in zip(
        made.members.values(),
        *(places.columns[n] for n in ("train_loss", "train_error")),
        strict=True,
    ):
        function, vector = loss_at(made.runner, weights, _double(data))
        assert loss == pytest.approx(float(function(vector)), rel=1e-5)
        assert 0 <= error <= 100
    first, second = (torch.cat([m[n].reshape(-1) for n in m]) for m in doubled(members)[:2])
    assert places.columns["x"][1] == pytest.approx(float((first - second).norm()), rel=1e-5)
    assert places.columns["y"][:2] == (0, 0)


def _double(data):
    x, y = data
    return (x.double() if x.is_floating_point() else x), y


def test_statistics_of_batch_norm_are_re_estimated_at_every_point():
    """With one batch they are those of the batch, so that the stored ones do not matter."""
    module, members = group(NETS["batch norm"][0], 2)
    results = []
    for value in (0.5, 90.0):
        changed = [
            {n: torch.full_like(t, value) if "running_" in n else t for n, t in m.items()}
            for m in members
        ]
        results.append(SMALL.compute(subject(module, changed, (IMAGES, Y), batch_size=64)))
    assert results[0] == results[1]


def test_it_is_the_same_twice_and_another_seed_takes_another_direction():
    args = (*group(NETS["cnn"][0], 1), (IMAGES, Y))
    first, second, other = (SMALL.compute(subject(*args, seed=seed)) for seed in (0, 0, 1))
    assert first == second
    assert first.details["surface"] != other.details["surface"]


@pytest.mark.parametrize("members", [1, 2, 3, 4])
@pytest.mark.parametrize("items", [2, 37, 600])
def test_the_cost_is_what_the_meter_counts(members, items):
    data = torch.randn(items, 5), torch.arange(items) % 3
    norm = lambda: nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))  # noqa: E731
    measured = subject(*group(norm, members), data, batch_size=64)
    work = Workload(
        members=members, train_items=items, test_items=9, full_items=items, protocol="standard-1"
    )
    SMALL.compute(measured)
    expected = (16 + min(members, 3)) * (min(items, 512) + min(items, 256))
    assert expected == SMALL.cost(work).forward == measured.runner.meter.total.passes


def test_the_usual_grid_has_15_by_15_points():
    work = Workload(members=2, train_items=1000, test_items=9, full_items=1000, protocol="paper-1")
    grid = (225 + 2) * (512 + 256)
    steps = 50 * (1000 // 128)
    assert SURFACE.cost(work).forward == grid
    assert SURFACE.cost(work).gradient == steps * 128
    assert SURFACE.cost(replace(work, has_curve=True)).passes == grid
    assert SURFACE.cost(replace(work, members=1)).passes == grid - 512 - 256
    assert SURFACE.cost(Workload(**{**vars(work), "train_items": 1})).passes == 0


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (1, "the plane of two filter-normalised random directions from the checkpoint"),
        (2, "the plane through the 2 checkpoints and along a random direction"),
        (3, "the plane through the 3 checkpoints"),
        (5, "the plane through the first 3 of 5 checkpoints"),
    ],
)
def test_a_note_says_what_the_plane_goes_through(count, words):
    result = SMALL.compute(subject(*group(NETS["mlp"][0], count), (X, Y)))
    assert result.notes == (f"surface: {words}",)


class Scaled(nn.Module):
    """Has one parameter, which is no filter."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))

    def forward(self, x):
        return x[:, :3] * self.scale


@pytest.mark.parametrize(
    ("make", "items", "reason"),
    [
        (NETS["mlp"][0], 1, "needs 2 training items, found 1"),
        (nn.Identity, 37, "the network has no trainable parameters"),
        (Scaled, 37, "do not span a plane"),
    ],
)
def test_what_has_no_surface_is_noted(make, items, reason):
    result = SMALL.compute(subject(*group(make, 1), (X[:items], Y[:items])))
    ((name, detail),) = result.details.items()
    assert (result.values, name, list(detail.columns)) == ({}, "surface", ["missing"])
    assert result.notes == (f"surface: {detail.columns['missing'][0]}",)
    assert reason in result.notes[0]


def test_losses_that_are_not_finite_are_left_empty():
    def broken(output, _batch):
        return torch.full((len(output),), math.inf)

    result = SMALL.compute(subject(*group(NETS["mlp"][0], 2), (X, Y), loss=broken))
    assert set(result.details["surface"].columns["train_loss"]) == {None}
    assert None not in result.details["surface"].columns["train_error"]


def test_everything_is_found_as_it_was():
    module, members = group(NETS["group and layer norm"][0], 2)  # which drops out, in training
    made = subject(module, members, (IMAGES, Y))
    module.train()
    before = [
        {n: t.clone() for n, t in weights.items()} for weights in (module.state_dict(), *members)
    ]
    random = torch.random.get_rng_state()
    SMALL.compute(made)
    assert all(part.training for part in module.modules())
    assert torch.equal(random, torch.random.get_rng_state())
    for old, new in zip(before, (module.state_dict(), *members), strict=True):
        assert all(torch.equal(old[name], new[name]) for name in old)


def test_it_is_made_on_request_only_and_measures_no_quantity():
    assert METRICS["surface"] is SURFACE
    assert SURFACE.on_request
    assert SURFACE.quantities == ()


PROTOCOLS = ["standard-1", "paper-1"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_plane_holds_the_whole_trained_curve(protocol, monkeypatch):
    """Every point of the curve is the point of the plane at the place that is drawn."""
    trained = []
    real = curve.train_curve
    monkeypatch.setattr(
        curve, "train_curve", lambda *given: trained.append(real(*given)) or trained[-1]
    )
    module, members = group(NETS["mlp"][0], 3)
    made = subject(module.double(), doubled(members), _double((X, Y)), protocol)
    result = CURVED.compute(made)
    (path,) = (each.path for each in trained)
    layout = trainable_parameters(made.runner.network)
    sources = [generator(0, "surface direction", number) for number in range(2)]
    plane = plane_through(layout, list(made.members.values()), sources, path.control_point)
    assert (len(plane.anchors), plane.random) == (2, 0)
    columns = result.details["surface_curve"].columns
    assert columns["t"][0] == columns["x"][0] == columns["y"][0] == 0
    for t, x, y in zip(*(columns[name] for name in ("t", "x", "y")), strict=True):
        torch.testing.assert_close(
            layout.flatten(plane.at(x, y)), layout.flatten(path.at(t)), rtol=0, atol=1e-4
        )
    grid = lines(result.details["surface"])
    assert min(x for x, *_ in grid) <= min(columns["x"]) <= max(columns["x"]) <= grid[-1][0]
    assert min(y for _, y, *_ in grid) <= min(columns["y"]) <= max(columns["y"]) <= grid[-1][1]
    assert result.details["surface_members"].columns["member"] == ("seed-0", "seed-1")
    assert result.notes == (
        "surface: the plane through the first 2 of 3 checkpoints and the bend of their curve",
    )


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("names", [("connectivity", "surface"), ("surface", "connectivity")])
def test_a_curve_is_trained_once_and_both_metrics_give_what_they_give_alone(
    protocol, names, monkeypatch
):
    monkeypatch.setitem(METRICS, "surface", CURVED)
    monkeypatch.setitem(METRICS, "connectivity", connectivity_metric(SHORT))
    module, members = group(NETS["mlp"][0], 2)

    def made():
        return subject(module, members, (X, Y), protocol)

    alone = [METRICS[name].compute(made()) for name in names]
    calls = []
    real = curve.train_curve
    monkeypatch.setattr(curve, "train_curve", lambda *given: calls.append(given) or real(*given))
    both = quantities_of(names, made())
    assert len(calls) == 1
    assert both.values == {**alone[0].values, **alone[1].values}
    assert both.details == {**alone[0].details, **alone[1].details}
    assert [*both.notes] == [*alone[0].notes, *alone[1].notes]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("members", [1, 2, 3])
def test_the_cost_of_the_curve_is_announced(protocol, members):
    measured = subject(*group(NETS["mlp"][0], members), (X, Y), protocol)
    count = len(measured.data.train)
    work = Workload(
        members=members, train_items=count, test_items=9, full_items=count, protocol=protocol
    )
    CURVED.compute(measured)
    spent, announced = measured.runner.meter.total, CURVED.cost(work)
    assert spent.gradient == announced.gradient
    assert (spent.gradient > 0) == (members > 1)
    assert spent.forward <= announced.forward * 1.5


def test_a_curve_without_a_bend_leaves_a_random_direction():
    """After no step the control point is the middle of the line, which has no other direction."""
    budget = ConnectivityBudget(standard=StandardConnectivity(steps=0))
    straight = surface_metric(SurfaceBudget(side=3, curve=budget))
    result = straight.compute(subject(*group(NETS["mlp"][0], 2), (X, Y)))
    assert set(result.details["surface_curve"].columns["y"]) == {0.0}
    assert len(result.details["surface"].columns["x"]) == 9


def test_a_curve_that_is_not_finite_is_left_out(monkeypatch):
    real = curve.train_curve

    def broken(*given):
        trained = real(*given)
        path = replace(trained.path, control_point=trained.path.control_point * math.nan)
        return replace(trained, path=path)

    monkeypatch.setattr(curve, "train_curve", broken)
    result = CURVED.compute(subject(*group(NETS["mlp"][0], 2), (X, Y)))
    assert "surface_curve" not in result.details
    assert len(result.details["surface"].columns["x"]) == 16
    assert "trained curve are not finite" in result.notes[-1]

"""The surface: numbers on the grid are those of a formula, and nothing else changes."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from mdtree.metrics import METRICS, Workload
from mdtree.metrics.budgets import SurfaceBudget
from mdtree.metrics.surface import SURFACE, surface_metric
from mdtree.rows import Detail
from tests.support.cases import IMAGES, NETS, X, Y, group
from tests.support.exact import loss_at, subject

SMALL = surface_metric(SurfaceBudget(side=4))


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
    assert SURFACE.cost(work).passes == (225 + 2) * (512 + 256)
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
    assert (result.values, result.details) == ({}, {})
    assert len(result.notes) == 1
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

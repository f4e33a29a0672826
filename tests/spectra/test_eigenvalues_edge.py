from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mdtree.checkpoints import in_memory_tensors
from mdtree.spectra import Rules, State, analyse, find_matrices
from mdtree.spectra import eigenvalues as eigenvalues_module
from mdtree.spectra.eigenvalues import Edge, edge_of, huge_entries, trap_score


def layer(tensor, name="conv.weight", **rules):
    (matrix,), _ = find_matrices(in_memory_tensors({name: tensor}))
    return analyse(matrix, Rules(**rules))


def top(matrix):
    return float(np.linalg.norm(np.asarray(matrix, dtype=np.float64), 2)) ** 2


@pytest.mark.parametrize("sizes", [(100, 60), (60, 100), (80, 80)], ids=str)
def test_the_largest_eigenvalue_of_random_matrices_varies_about_the_edge(sizes):
    """As Tracy and Widom's law for real matrices: mean -1.21 scales, deviation 1.27."""
    random = np.random.default_rng(0)
    edge = edge_of(sizes, 0.25)

    scores = [edge.score(top(0.5 * random.standard_normal(sizes))) for _ in range(300)]

    assert pytest.approx(-1.2065, abs=0.3) == np.mean(scores)
    assert pytest.approx(1.268, abs=0.2) == np.std(scores)


@pytest.mark.parametrize("sizes", [(400, 100), (100, 400), (200, 200)], ids=str)
def test_the_bulk_ends_at_the_edge(sizes):
    """s^2 (sqrt N + sqrt M)^2: 9 for 4 : 1 and 4 for a square, in units of the shorter side."""
    values = np.linalg.svd(np.random.default_rng(1).uniform(-1, 1, sizes), compute_uv=False) ** 2

    edge = edge_of(sizes, 1 / 3)

    assert {400: 9 * 100 / 3, 200: 4 * 200 / 3}[max(sizes)] == pytest.approx(edge.value)
    assert values.max() == pytest.approx(edge.value, rel=0.05)
    assert edge.spikes(values) == 0


def test_the_edge_by_hand():
    """16 x 9: 2 (4 + 3)^2 = 98; 2 (4 + 3) (1/4 + 1/3)^(1/3) = 14 (7/12)^(1/3)."""
    edge = edge_of((16, 9), 2)

    assert pytest.approx(98) == edge.value
    assert pytest.approx(14 * (7 / 12) ** (1 / 3)) == edge.scale
    assert vars(edge) == pytest.approx(vars(edge_of((9, 16), 2)))


def test_what_is_more_than_three_and_a_half_scales_above_the_edge_is_a_spike():
    edge = Edge(value=10, scale=2)

    assert edge.spikes(np.array([1, 9, 12, 17, 17.01, 40])) == 2
    assert edge.score(17) == 3.5
    assert edge.score(8) == -1


def test_a_matrix_without_variance_has_no_score():
    assert edge_of((5, 5), 0).score(0) == 0


@pytest.mark.parametrize(
    ("sizes", "calls"),
    [((128, 96), 120), ((48, 200), 120), ((200, 48), 120), ((64, 64, 3, 3), 20), ((32, 32), 120)],
    ids=["linear", "wide", "tall", "convolution", "small"],
)
@pytest.mark.parametrize("draw", [torch.randn, torch.rand], ids=["normal", "uniform"])
def test_random_matrices_are_random_like(sizes, calls, draw):
    """500 draws in all, of which at most 2 % may be called otherwise."""
    centre = 0.5 if draw is torch.rand else 0
    states, traps = [], 0
    for seed in range(calls // 2):
        random = torch.Generator().manual_seed(seed)
        result = layer(0.1 * (draw(*sizes, generator=random) - centre), traps=True)
        states.append(result.state)
        traps += result.trap

    assert sum(state is not State.RANDOM for state in states) <= 0.02 * len(states)
    assert traps <= 0.02 * len(states)


@pytest.mark.parametrize("sizes", [(128, 128), (400, 60), (60, 400)], ids=str)
@pytest.mark.parametrize("times", [2.5, 4, 30])
def test_a_planted_rank_one_spike_is_found_and_is_no_trap(sizes, times):
    """A spike of u v' stands out from (N M)^(1/4) on: Baik, Ben Arous and Peche 2005."""
    u, v = torch.randn(sizes[0], 1), torch.randn(1, sizes[1])
    size = times * (sizes[0] * sizes[1]) ** 0.25

    result = layer(torch.randn(sizes) + size * (u / u.norm()) @ (v / v.norm()), traps=True)

    assert result.figures.spikes == 1
    assert not result.trap
    assert result.state not in (State.RANDOM, State.TRAP)


@pytest.mark.parametrize("sizes", [(128, 128), (400, 60), (64, 32, 3, 3)], ids=str)
@pytest.mark.parametrize("times", [3, 10, 1000])
@pytest.mark.parametrize("traps", [True, False])
def test_a_single_huge_weight_is_a_trap(sizes, times, traps):
    """It is looked for where an entry is huge, and everywhere with `traps`."""
    tensor = torch.randn(sizes)
    tensor[5, 7] = times * (sizes[0] * sizes[1]) ** 0.25 * tensor[5, 7].sign()

    result = layer(tensor, traps=traps)

    assert result.trap
    assert State.TRAP is result.state
    assert result.figures.trap_score > 5


def test_no_shuffle_is_spent_where_no_entry_is_huge():
    weights = torch.rand(60, 60) - 0.5

    assert layer(weights).figures.trap_score is None
    assert layer(weights, traps=True).figures.trap_score is not None


def test_entries_are_huge_that_would_stand_out_alone():
    """64 x 16 signs, but for three entries: 32 variances, of 1.09, are 5.9 squared."""
    matrix = torch.ones(64, 16)
    matrix[:, ::2] = -1
    matrix[0, :4] = torch.tensor([5.8, -6.0, 6.1, -1])

    assert huge_entries(matrix) == 2
    assert huge_entries(matrix.half() + 100) == 2  # whatever the mean
    assert huge_entries(torch.full((64, 16), 0.1)) == 0


@pytest.mark.parametrize(("times", "expected"), [(0.3, 0), (2.5, 40)])
def test_an_entry_stands_out_of_the_spectrum_from_that_size_on(times, expected):
    random = np.random.default_rng(0)
    count = 0
    for _ in range(40):
        matrix = random.standard_normal((150, 100))
        matrix[3, 4] = times * 15_000**0.25
        count += edge_of((150, 100), 1).spikes(np.array([top(matrix)]))

    assert abs(expected - count) <= 1


@pytest.mark.parametrize("sizes", [(50, 40), (40, 50), (20, 90), (300, 33)], ids=str)
def test_where_the_order_cannot_matter_the_score_is_exact(sizes):
    """One number among equal ones: any order is a permutation of lines and columns."""
    matrix = torch.full(sizes, 0.1)
    matrix[2, 3] = 7

    centred = matrix - matrix.double().mean()
    edge = edge_of(sizes, float(centred.square().mean()))
    assert edge.score(top(centred)) == pytest.approx(trap_score(matrix, 5), rel=2e-3)


@pytest.mark.parametrize("sizes", [(60, 50), (20, 30)], ids=str)
def test_a_shuffle_takes_correlations_away_and_keeps_the_entries(sizes):
    u, v = torch.rand(sizes[0], 1) + 1, torch.rand(1, sizes[1]) + 1
    matrix = u @ v
    centred = matrix.double() - matrix.double().mean()
    before = matrix.clone()

    scores = [trap_score(matrix, seed) for seed in range(40)]

    assert edge_of(sizes, float(centred.square().mean())).score(top(centred)) > 20
    assert np.mean(scores) == pytest.approx(-1.2, abs=1)
    assert len(set(scores)) == len(scores)
    assert [trap_score(matrix, seed) for seed in range(40)] == scores
    assert torch.equal(before, matrix)


@pytest.mark.parametrize("mean", [-5, 0, 100])
def test_the_mean_hides_no_trap_and_is_none(mean):
    matrix = torch.randn(80, 60, dtype=torch.float64)
    assert trap_score(matrix + mean, 0) == pytest.approx(trap_score(matrix, 0), abs=0.2)
    assert trap_score(matrix + mean, 0) < 3

    matrix[3, 4] = 3 * 4800**0.25
    assert huge_entries(matrix + mean) == 1
    assert trap_score(matrix + mean, 0) > 20


@pytest.mark.parametrize("number", [0.0, 0.1, -3.0])
@pytest.mark.parametrize("sizes", [(64, 64), (10, 10)], ids=str)
def test_equal_entries_leave_nothing_to_stand_out(sizes, number):
    assert trap_score(torch.full(sizes, number), 0) == 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32], ids=str)
def test_errors_of_rounding_stay_below_their_edge(dtype):
    exact = torch.randn(200, 120, dtype=torch.float64)
    errors = exact.to(dtype).double() - exact

    allowed = edge_of((200, 120), float(exact.square().mean())).rounding(dtype)

    assert top(errors) < allowed
    assert dtype == torch.float32 or allowed < 40 * top(errors)


def test_errors_of_products_in_single_precision_stay_below_theirs():
    left, right = torch.randn(300, 800), torch.randn(800, 200)
    exact = left.double() @ right.double()

    allowed = edge_of((300, 200), float(exact.square().mean())).rounding(torch.float32)

    assert top((left @ right).double() - exact) < allowed
    assert math.sqrt(allowed / top(exact)) < 1e-5


def test_a_sign_that_torch_has_put_off_is_no_other_matrix():
    matrix = torch.randn(16, 16, dtype=torch.float64)
    assert trap_score(torch._neg_view(matrix), seed=0) == trap_score(-matrix, seed=0)


@pytest.mark.parametrize("sizes", [(70, 90), (300, 60)], ids=str)
@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_products_with_a_wide_matrix_give_the_same_score_at_any_scale(sizes, scale, monkeypatch):
    matrix = torch.randn(sizes)
    expected = trap_score(matrix, 3)
    monkeypatch.setattr(eigenvalues_module, "_WIDE", 0)
    assert trap_score(matrix * scale, 3) == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("mean", [0.0, 0.5, 1000.0])
def test_the_sum_of_squares_may_be_known(mean):
    matrix = torch.randn(64, 48) + mean
    matrix[3, 4] = mean + 20
    total = float(matrix.double().square().sum())
    assert huge_entries(matrix, total) == huge_entries(matrix) == 1

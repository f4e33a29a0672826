from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import torch

from mdtree.landscape import LossError, generator, lanczos
from mdtree.landscape.curvature.lanczos import _is_highest

N = 40
DTYPES = pytest.mark.parametrize("dtype", [torch.float64, torch.float32])


def symmetric(eigenvalues, seed=0):
    """Give a dense matrix with these eigenvalues."""
    values = torch.as_tensor(eigenvalues, dtype=torch.float64)
    turn = torch.randn(len(values), len(values), generator=generator(seed), dtype=torch.float64)
    turn = torch.linalg.qr(turn)[0]
    return turn @ torch.diag(values) @ turn.T


def run(matrix, *, seed=0, steps=100, tolerance=0.0, least=1, dtype=torch.float64):
    start = torch.randn(len(matrix), generator=generator("start", seed), dtype=torch.float64)
    matrix = matrix.to(dtype)
    return lanczos(
        lambda v: matrix @ v, start.to(dtype), steps=steps, tolerance=tolerance, least=least
    )


def orthonormal(basis, accuracy):
    gram = basis.double() @ basis.double().T
    return torch.allclose(gram, torch.eye(len(basis), dtype=torch.float64), atol=accuracy)


def test_as_many_steps_as_rows_find_the_whole_spectrum():
    matrix = symmetric(torch.randn(N))

    ritz = run(matrix)

    assert ritz.converged
    assert len(ritz.values) == N
    assert np.allclose(torch.linalg.eigvalsh(matrix), ritz.values, atol=1e-10)
    assert orthonormal(ritz.basis, 1e-12)
    assert float(matrix.trace()) == pytest.approx(ritz.diagonal.sum())
    vector = ritz.top_vector()
    assert torch.allclose(matrix @ vector, ritz.top * vector, atol=1e-9)


def test_the_weights_are_a_gauss_quadrature_of_the_density_at_the_start():
    """Its first 2m - 1 moments are q H^k q, and its mass is 1."""
    matrix = symmetric(torch.linspace(-1, 2, N))
    start = torch.randn(N, dtype=torch.float64)
    m = 6

    ritz = lanczos(lambda v: matrix @ v, start, steps=m, tolerance=0)

    unit = moment = start / start.norm()
    assert len(ritz.values) == m
    for power in range(2 * m):
        assert float(unit @ moment) == pytest.approx(ritz.weights @ ritz.values**power)
        moment = matrix @ moment
    assert abs(ritz.weights @ ritz.values ** (2 * m) - float(unit @ moment)) > 1e-6


@pytest.mark.parametrize("steps", [1, 3, 5, 9])
def test_the_residual_is_that_of_the_top_vector_and_an_eigenvalue_lies_within_the_error(steps):
    matrix = symmetric([*torch.linspace(-1, 1, N - 1).tolist(), 3])
    eigenvalues = torch.linalg.eigvalsh(matrix)

    ritz = run(matrix, steps=steps)

    vector = ritz.top_vector()
    assert float((matrix @ vector - ritz.top * vector).norm()) == pytest.approx(ritz.residuals[-1])
    distance = float((eigenvalues - ritz.top).abs().min())
    assert distance <= ritz.residuals[-1]
    assert ritz.error <= ritz.residuals[-1]
    if steps > 3:  # the gap is seen
        assert 3 - ritz.top <= ritz.error < ritz.residuals[-1]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("tolerance", [0.1, 0.01, 1e-4])
def test_the_top_is_within_the_tolerance_where_it_stands_alone(tolerance, seed):
    bulk = torch.randn(N, generator=generator(seed)) * 0.2
    ritz = run(symmetric([*bulk.tolist(), 2, 1.5]), seed=seed, tolerance=tolerance, least=5)
    assert ritz.converged
    assert pytest.approx(2, rel=tolerance) == ritz.top
    assert len(ritz.values) < 20


def test_it_stops_as_soon_as_it_may():
    matrix = symmetric([*torch.linspace(-1, 1, N - 1).tolist(), 30])
    exact = run(matrix, tolerance=0.01)
    assert 1 < len(exact.values) < 8
    assert len(run(matrix, tolerance=0.01, least=8).values) == 8
    assert len(exact.values) < len(run(matrix, tolerance=1e-12).values) < 12

    short = run(matrix, steps=3, tolerance=1e-12)
    assert (len(short.values), short.converged) == (3, False)


def test_fewer_least_steps_would_take_two_close_eigenvalues_for_one():
    """The gap of the bound is estimated: so the protocol asks for eight steps at least."""
    small = (torch.randn(400, generator=generator(0)) * 0.1).tolist()
    matrix = torch.diag(torch.tensor([10, 9.6, *small], dtype=torch.float64))

    def off(least):
        found = [run(matrix, seed=seed, tolerance=0.01, least=least) for seed in range(20)]
        assert all(ritz.converged for ritz in found)
        return sum(abs(ritz.top / 10 - 1) > 0.01 for ritz in found)

    assert off(least=1) > 5
    assert off(least=8) == 0


def test_a_random_start_hides_a_larger_eigenvalue_as_rarely_as_the_risk_says():
    """Two close eigenvalues again, and ten of any size: fewer steps, and rarely a wrong one."""
    n = 400
    small = torch.randn(n, generator=generator(0)) * 0.1
    steps, off = [], 0
    for seed in range(100):
        values = small.double()
        values[:2] = torch.tensor([10, 9.6])
        matrix = torch.diag(values)
        start = torch.randn(n, generator=generator("start", seed), dtype=torch.float64)
        ritz = lanczos(
            partial(torch.mv, matrix), start, steps=40, tolerance=0.01, least=8, risk=0.05
        )
        assert ritz.converged
        steps.append(len(ritz.values))
        off += abs(ritz.top / 10 - 1) > 0.01
    assert max(steps) <= 8
    assert sum(steps) < 7 * len(steps)
    assert off <= 5


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6])
def test_the_start_has_no_larger_share_of_an_eigenvector_than_is_said(count):
    """At its eigenvalue 1 / (p_0^2 + ... + p_m^2) bounds the share, for any start and any m."""
    values = torch.linspace(-1, 3, N, dtype=torch.float64)
    start = torch.rand(N, generator=generator("share"), dtype=torch.float64)
    shares = start**2 / (start @ start)
    found: list[tuple] = []
    matrix = torch.diag(values)
    ritz = lanczos(partial(torch.mv, matrix), start, steps=count, tolerance=0)
    off = ritz.basis[:count] @ matrix @ ritz.basis[:count].T
    last = matrix @ ritz.basis[count - 1] - off[-1] @ ritz.basis[:count]
    assert np.allclose(ritz.off_diagonal, [*off.diagonal(1).tolist(), float(last.norm())])
    for value, share in zip(values.tolist(), shares.tolist(), strict=True):
        if value > ritz.top:
            tolerance = (value - ritz.top) / abs(ritz.top)
            found.append((value, share))
            assert not _is_highest(ritz, tolerance * (1 - 1e-9), 0.999 * share)
    assert found
    assert _is_highest(ritz, 100.0, 0.999)
    assert not _is_highest(ritz, 100.0, 0.0)


@DTYPES
def test_repeated_eigenvalues_exhaust_the_space_without_harm(dtype):
    matrix = symmetric([5.0] * 10 + [1.0] * 20 + [-2.0] * 10)

    ritz = run(matrix, dtype=dtype)

    assert ritz.converged
    assert pytest.approx(5, rel=1e-5) == ritz.top
    assert pytest.approx(-2, rel=1e-5) == ritz.values[0]
    assert pytest.approx(1) == ritz.weights.sum()
    assert orthonormal(ritz.basis, 1e-5)
    if dtype is torch.float64:
        assert len(ritz.values) == 3


@pytest.mark.parametrize("eigenvalues", [[0.0] * 7, [3.0] * 7, [-3.0] * 7, [2.0], [0.0]])
@DTYPES
def test_a_multiple_of_one_is_known_after_one_step(eigenvalues, dtype):
    matrix = torch.diag(torch.tensor(eigenvalues))
    ritz = run(matrix, dtype=dtype)
    assert pytest.approx(eigenvalues[0]) == ritz.top
    assert ritz.converged
    assert math.isfinite(ritz.error)
    if dtype is torch.float64:
        assert len(ritz.values) == 1


@DTYPES
def test_the_top_is_the_largest_and_not_that_of_largest_size(dtype):
    ritz = run(symmetric(torch.linspace(-9, -1, N)), dtype=dtype)
    assert pytest.approx(-1, rel=1e-4) == ritz.top
    assert ritz.converged


@DTYPES
def test_a_top_of_zero_is_found_below_a_large_negative_end(dtype):
    ritz = run(symmetric([-100.0] + [0.0] * 9), dtype=dtype)
    assert pytest.approx(0, abs=1e-4) == ritz.top
    assert ritz.converged  # all that there is has been seen


def test_a_start_with_vanishing_diagonal_is_not_taken_for_exhausted():
    matrix = torch.tensor([[0.0, 1.0], [1.0, 0.0]], dtype=torch.float64)
    ritz = lanczos(lambda v: matrix @ v, torch.tensor([1.0, 0.0]).double(), steps=9, tolerance=1e-9)
    assert pytest.approx(ritz.values.tolist()) == [-1, 1]


def test_a_start_that_is_an_eigenvector_knows_its_own_value_alone():
    matrix = torch.diag(torch.tensor([1.0, 2.0, 9.0], dtype=torch.float64))
    ritz = lanczos(lambda v: matrix @ v, torch.eye(3).double()[1], steps=9, tolerance=1e-9)
    assert ritz.values.tolist() == [2]


@pytest.mark.parametrize("scale", [1e-20, 1e-6, 1e6, 1e20])
def test_the_scale_of_the_matrix_does_not_matter(scale):
    matrix = symmetric([*torch.randn(N).tolist(), 5])
    ours, scaled = (run(matrix * factor, tolerance=0.01) for factor in (1, scale))
    assert len(ours.values) == len(scaled.values)
    assert ours.top == pytest.approx(scaled.top / scale)


def test_float32_stays_orthonormal_over_many_steps_of_a_steep_spectrum():
    matrix = symmetric(torch.logspace(-1, 3, 300))
    ritz = run(matrix, steps=60, least=60, dtype=torch.float32)
    assert len(ritz.values) == 60
    assert orthonormal(ritz.basis, 1e-5)
    assert pytest.approx(1000, rel=1e-5) == ritz.top
    assert ritz.values.min() > -1e-3


@pytest.fixture
def seven(monkeypatch):
    """Memory for seven vectors of double precision."""
    monkeypatch.setattr("mdtree.landscape.curvature.lanczos._MEMORY", 7 * N * 8 + 5)


def test_where_the_vectors_fill_the_memory_it_restarts_with_half_of_them(seven):
    matrix = symmetric(torch.linspace(-1, 1, N))
    ritz = run(matrix, steps=11, tolerance=1e-9)
    assert (ritz.steps, len(ritz.values), ritz.kept) == (11, 3 + 4, 3)
    assert not ritz.converged
    assert orthonormal(ritz.basis, 1e-12)
    inside = ritz.basis @ matrix @ ritz.basis.T
    assert np.allclose(inside.diagonal(), ritz.diagonal)
    assert np.allclose(torch.linalg.eigvalsh(inside), ritz.values)
    vector = ritz.top_vector()
    assert float((matrix @ vector - ritz.top * vector).norm()) == pytest.approx(ritz.residuals[-1])


@pytest.mark.parametrize("seed", range(5))
def test_restarts_reach_an_eigenvalue_that_seven_vectors_do_not_hold(seven, seed):
    matrix = symmetric([*torch.linspace(-1, 1, N - 1).tolist(), 1.1])
    short = run(matrix, steps=7, tolerance=1e-6, seed=seed)
    assert not short.converged
    ritz = run(matrix, steps=60, tolerance=1e-6, seed=seed)
    assert ritz.converged
    assert pytest.approx(1.1, rel=1e-6) == ritz.top
    assert 7 < ritz.steps < 60
    assert len(ritz.basis) <= 7
    # of the density, what the whole start vector told stays
    assert np.allclose(ritz.nodes, short.values)
    assert np.allclose(ritz.weights, short.weights)


def test_memory_that_suffices_changes_nothing(seven):
    matrix = symmetric(torch.randn(N))
    ritz = run(matrix, steps=7)
    assert (ritz.steps, ritz.kept) == (7, 0)
    assert np.array_equal(ritz.nodes, ritz.values)


@pytest.mark.parametrize("first", [3, 7, 8, 10, 11, 12])
def test_steps_around_a_restart_can_be_made_in_two_parts(seven, first):
    matrix = symmetric(torch.linspace(-1, 1, N))
    whole = run(matrix, steps=14)
    start = torch.randn(N, generator=generator("start", 0), dtype=torch.float64)
    product = partial(torch.mv, matrix)
    part = lanczos(product, start, steps=first, tolerance=0.0)
    both = lanczos(product, start, steps=14, tolerance=0.0, earlier=part)
    assert (part.steps, both.steps) == (first, 14)
    assert torch.allclose(both.basis, whole.basis, atol=1e-12)
    assert np.allclose(both.off_diagonal, whole.off_diagonal)
    assert np.allclose(both.weights, whole.weights)


def test_a_vector_that_is_larger_than_the_memory_still_gives_an_answer(monkeypatch):
    monkeypatch.setattr("mdtree.landscape.curvature.lanczos._MEMORY", 1)
    monkeypatch.setattr("mdtree.landscape.curvature.lanczos._COLUMNS", 7)  # the last part has 5
    ritz = run(symmetric([*torch.linspace(-1, 1, N - 1).tolist(), 3]), steps=60, tolerance=0.01)
    assert ritz.converged
    assert pytest.approx(3, rel=0.01) == ritz.top
    assert len(ritz.basis) <= 3


@pytest.mark.parametrize("seed", range(5))
def test_three_vectors_do_not_claim_what_they_have_not_reached(monkeypatch, seed):
    """Behind a restart with one vector, the next value is far below for want of vectors."""
    monkeypatch.setattr("mdtree.landscape.curvature.lanczos._MEMORY", 1)
    ritz = run(symmetric(torch.linspace(0, 1, N)), steps=60, tolerance=1e-3, seed=seed)
    assert not ritz.converged or ritz.top >= 1 - 1e-3


@DTYPES
@pytest.mark.parametrize("first", [1, 4, 15, 16, 17])
def test_steps_in_two_parts_are_those_made_at_once(first, dtype):
    matrix = symmetric(torch.randn(N))
    start = torch.randn(N, generator=generator("start", 0), dtype=torch.float64).to(dtype)
    products = []

    def product(vector):
        products.append(vector)
        return matrix.to(dtype) @ vector

    whole = lanczos(product, start, steps=20, tolerance=0.0)
    products.clear()
    part = lanczos(product, start, steps=first, tolerance=0.0)
    both = lanczos(product, start, steps=20, tolerance=0.0, earlier=part)
    assert len(products) == 20
    assert torch.equal(both.basis, whole.basis)
    assert np.array_equal(both.diagonal, whole.diagonal)
    assert np.array_equal(both.off_diagonal, whole.off_diagonal)
    assert len(part.values) == first
    assert lanczos(product, start, steps=first, tolerance=0.0, earlier=part) is part


def test_products_that_are_too_large_to_be_squared_are_told():
    """In float64 the eigenvalue is found; the square of 1e30 is no float32."""
    found = run(1e30 * symmetric([1.0, 2.0, 4.0]))
    assert found.top == pytest.approx(4e30)
    with pytest.raises(LossError, match="too large for float32"):
        run(1e30 * symmetric([1.0, 2.0, 4.0]), dtype=torch.float32)

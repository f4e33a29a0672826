from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mdtree.landscape import LossError, estimate_trace, forms_outside, generator, lanczos

N = 60


def spiked(n=N):
    """Give a matrix with a small bulk, a few large eigenvalues, and its trace."""
    values = torch.cat([torch.randn(n - 3, generator=generator(1)) * 0.05, torch.tensor([4, 6, 9])])
    turn = torch.linalg.qr(torch.randn(n, n, generator=generator(2), dtype=torch.float64))[0]
    matrix = turn @ torch.diag(values.double()) @ turn.T
    return matrix, float(matrix.trace())


def estimate(matrix, basis=None, *, seed=0, tolerance=0.05, least=8, budget=96, **kwargs):
    """Run, and record the probes."""
    basis = torch.empty(0, len(matrix), dtype=torch.float64) if basis is None else basis
    blocks = []

    def products(probes):
        blocks.append(probes.clone())
        return probes @ matrix

    trace = estimate_trace(
        products,
        basis,
        float((basis @ matrix @ basis.T).trace()),
        source=generator(seed),
        tolerance=tolerance,
        least=least,
        budget=budget,
        **kwargs,
    )
    return trace, blocks


def deflating(matrix, steps=8):
    start = torch.randn(len(matrix), generator=generator(3), dtype=torch.float64)
    return lanczos(lambda v: matrix @ v, start, steps=steps, tolerance=0).basis


def test_it_is_what_the_formula_says_of_its_probes():
    matrix, _ = spiked()
    basis = deflating(matrix)

    trace, blocks = estimate(matrix, basis)

    probes = torch.cat(blocks)
    forms = ((probes @ matrix) * probes).sum(1)
    inside = (basis @ matrix @ basis.T).trace()
    assert len(probes) == trace.probes
    assert float(inside + forms.mean()) == pytest.approx(trace.value)
    assert float(forms.std()) / math.sqrt(len(forms)) == pytest.approx(trace.stderr)
    assert (probes @ basis.T).abs().max() < 1e-12


def test_probes_are_signs_where_the_basis_is_empty():
    matrix, truth = spiked()
    trace, blocks = estimate(matrix, budget=400, tolerance=0)
    probes = torch.cat(blocks)
    assert {-1.0, 1.0} == set(probes.flatten().tolist())
    assert abs(float(probes.mean())) < 0.05
    assert truth == pytest.approx(trace.value, abs=3 * trace.stderr)


@pytest.mark.parametrize("deflated", [False, True])
def test_the_truth_lies_inside_three_standard_errors_for_nearly_all_seeds(deflated):
    matrix, truth = spiked()
    basis = deflating(matrix) if deflated else None

    estimates = [
        estimate(matrix, basis, seed=seed, budget=32, tolerance=0)[0] for seed in range(200)
    ]

    inside = [abs(trace.value - truth) <= 3 * trace.stderr for trace in estimates]
    assert sum(inside) >= 0.97 * len(estimates)
    mean = np.mean([trace.value for trace in estimates])
    assert truth == pytest.approx(
        mean, abs=3 * estimates[0].stderr / math.sqrt(len(estimates)) * 1.5
    )


def test_stopping_early_keeps_the_truth_inside_three_standard_errors():
    matrix, truth = spiked()
    estimates = [
        estimate(matrix, deflating(matrix), seed=seed, tolerance=0.003)[0] for seed in range(200)
    ]
    inside = [abs(trace.value - truth) <= 3 * trace.stderr for trace in estimates]
    assert sum(inside) >= 0.95 * len(estimates)
    assert len({trace.probes for trace in estimates}) > 3


def test_deflation_takes_the_variance_of_the_large_eigenvalues_away():
    matrix, _ = spiked()
    plain = estimate(matrix, tolerance=0)[0]
    deflated = estimate(matrix, deflating(matrix), tolerance=0)[0]
    assert deflated.stderr < plain.stderr / 10
    assert estimate(matrix, deflating(matrix))[0].probes < estimate(matrix)[0].probes


def test_a_full_basis_needs_no_probes():
    matrix, truth = spiked()
    trace, blocks = estimate(matrix, torch.eye(N, dtype=torch.float64))
    assert truth == pytest.approx(trace.value)
    assert (trace.stderr, trace.probes, trace.converged, blocks) == (0, 0, True, [])


def test_a_diagonal_matrix_is_known_from_any_probes():
    trace, _ = estimate(torch.diag(torch.arange(9.0)).double())
    assert pytest.approx(36) == trace.value
    assert pytest.approx(0, abs=1e-12) == trace.stderr
    assert (trace.probes, trace.converged) == (8, True)


def test_a_zero_matrix_has_no_trace():
    trace, _ = estimate(torch.zeros(5, 5).double())
    assert (trace.value, trace.stderr, trace.probes, trace.converged) == (0, 0, 8, True)


def test_a_negative_trace_is_a_trace():
    matrix, truth = spiked()
    trace, _ = estimate(-matrix, deflating(matrix))
    assert pytest.approx(-truth, rel=0.2) == trace.value
    assert trace.converged


@pytest.mark.parametrize(
    ("least", "budget", "block", "blocks"),
    [
        (8, 96, 4, [4] * 24),
        (8, 10, 4, [4, 4, 2]),
        (2, 3, 4, [3]),
        (1, 1, 4, [1]),
        (2, 5, 1, [1] * 5),
    ],
)
def test_probes_come_in_blocks_up_to_the_budget(least, budget, block, blocks):
    trace, got = estimate(spiked()[0], tolerance=0, least=least, budget=budget, block=block)
    assert blocks == [len(probes) for probes in got]
    assert (budget, False) == (trace.probes, trace.converged)


def test_at_least_so_many_probes_are_drawn():
    matrix, _ = spiked()
    assert estimate(matrix, deflating(matrix), tolerance=10, least=9)[0].probes == 12


def test_the_seed_alone_decides():
    matrix, _ = spiked()
    state = torch.random.get_rng_state()
    assert estimate(matrix, seed=1)[0] == estimate(matrix, seed=1)[0]
    assert estimate(matrix, seed=1)[0].value != estimate(matrix, seed=2)[0].value
    assert torch.equal(state, torch.random.get_rng_state())


def test_probes_that_are_known_are_not_multiplied_again():
    matrix, _ = spiked()
    whole, blocks = estimate(matrix, tolerance=0.0, budget=20)
    part, first = estimate(matrix, tolerance=0.0, budget=8, least=20)
    both, rest = estimate(matrix, tolerance=0.0, budget=20, known=part.forms)
    assert both == whole
    assert torch.equal(torch.cat([*first, *rest]), torch.cat(blocks))


@pytest.mark.parametrize("steps", [5, 9, 30])
def test_forms_outside_a_larger_space_follow_from_the_products_in_a_smaller_one(steps):
    matrix, _ = spiked()
    start = torch.randn(len(matrix), generator=generator(3), dtype=torch.float64)
    small, large = (lanczos(lambda v: matrix @ v, start, steps=n, tolerance=0) for n in (4, steps))
    part, _ = estimate(matrix, small.basis, budget=6, least=6, keep=True)
    known, _ = estimate(matrix, large.basis, budget=6, least=6)

    forms = forms_outside(large, part.products, generator(0))

    assert part.products.shape == (6, len(matrix))
    assert forms == pytest.approx(known.forms)


def test_forms_that_are_infinite_are_told():
    """Each of 60 squares of signs, times 1e37: their sum is larger than any float32."""
    with pytest.raises(LossError, match="too large for float32"):
        estimate_trace(
            lambda probes: 1e37 * probes,
            torch.empty(0, N),
            0.0,
            source=generator(0),
            tolerance=0.05,
            least=8,
            budget=96,
        )

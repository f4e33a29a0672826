from __future__ import annotations

import dataclasses
import math
from decimal import Decimal

import numpy as np
import pytest
import torch
from torch import nn

from mdtree.checkpoints import in_memory_tensors
from mdtree.spectra import (
    CONVENTIONS,
    FIGURES,
    Figures,
    Rules,
    analyse,
    find_matrices,
    fit_power_law,
)
from mdtree.spectra.eigenvalues import eigenvalues


def layer(tensor, name="conv.weight", **rules):
    rules = Rules(**rules)
    (matrix,), _ = find_matrices(in_memory_tensors({name: tensor}), convention=rules.convention)
    return analyse(matrix, rules)


def heavy(*sizes, seed=0):
    """Draw a matrix, or a convolution, whose largest eigenvalues fall off as a power law does."""
    random = torch.Generator().manual_seed(seed)
    rows, columns, *kernel = sizes
    slices = []
    for _ in range(math.prod(kernel)):
        u, _, v = torch.linalg.svd(
            torch.randn(rows, columns, generator=random, dtype=torch.float64), full_matrices=False
        )
        fall = torch.arange(1, len(v) + 1, dtype=torch.float64) ** -0.7
        slices.append(0.3 * u * (fall * (1 + torch.rand(1, generator=random))) @ v)
    return torch.stack(slices, -1).reshape(sizes)


def known(figures, *, but=()):
    return {k: v for k, v in vars(figures).items() if v is not None and k not in but}


def test_the_figures_by_hand():
    """Singular values 1, 2, .. 10: the sum of their squares is 385."""
    figures = layer(torch.diag(torch.arange(1.0, 11)), "fc.weight").figures

    law = fit_power_law(np.arange(1.0, 11) ** 2)
    expected = Figures(
        alpha=law.alpha,
        alpha_stderr=law.stderr,
        xmin=law.xmin,
        distance=law.distance,
        tail=law.tail,
        alpha_hat=2 * law.alpha,
        log_norm=math.log10(385),
        log_spectral_norm=2,
        log_alpha_norm=math.log10(sum(k ** (2 * law.alpha) for k in range(1, 11))),
        stable_rank=3.85,
        soft_rank=3.85 * 40 / 100,  # the variance is 3.85, (sqrt 10 + sqrt 10)^2 is 40
        spikes=0,
        trap_score=figures.trap_score,
        rank_loss=0,
    )
    assert vars(expected) == pytest.approx(vars(figures), rel=1e-12)


@pytest.mark.parametrize("matrix", [heavy(60, 40), torch.rand(90, 50)], ids=["heavy", "random"])
def test_the_alpha_norm_is_the_sum_of_powers(matrix):
    """Of 28 digits."""
    figures = layer(matrix).figures

    values = [Decimal(float(value)) for value in eigenvalues(matrix)]
    total = sum(value ** Decimal(figures.alpha) for value in values)
    assert float(total.log10()) == pytest.approx(figures.log_alpha_norm, rel=1e-12)


def test_powers_too_large_for_a_float_have_a_norm():
    """300 values within 0.4 % of 1e8, to the power of hundreds."""
    random = np.random.default_rng(0)
    tops = 1e4 * (1 + 0.002 * random.random(300))

    figures = layer(torch.diag(torch.tensor(tops))).figures

    assert figures.alpha > 300
    total = sum(Decimal(float(value)) ** Decimal(2 * figures.alpha) for value in tops)
    assert total > Decimal("1e400")
    assert float(total.log10()) == pytest.approx(figures.log_alpha_norm, rel=1e-12)


@pytest.mark.parametrize("sizes", [(80, 50), (50, 80)], ids=str)
def test_rotations_change_nothing(sizes):
    matrix = heavy(*sizes)
    left, right = (nn.init.orthogonal_(torch.empty(n, n, dtype=torch.float64)) for n in sizes)
    plain = layer(matrix)

    for turned in (left @ matrix, matrix @ right, left @ matrix @ right):
        result = layer(turned)
        assert plain.state is result.state
        expected = known(plain.figures, but=["trap_score"])
        assert expected == pytest.approx(known(result.figures, but=["trap_score"]), rel=1e-9)


@pytest.mark.parametrize("convention", ["pooled", "slices"])
@pytest.mark.parametrize("sizes", [(70, 40), (40, 24, 3), (40, 24, 2, 3), (24, 16, 1, 1)], ids=str)
def test_transposing_changes_nothing(sizes, convention):
    tensor = heavy(*sizes).float()
    plain = layer(tensor, convention=convention)

    result = layer(tensor.transpose(0, 1).contiguous(), convention=convention)

    assert plain.state is result.state
    expected = known(plain.figures, but=["trap_score"])
    assert expected == pytest.approx(known(result.figures, but=["trap_score"]), rel=1e-9)


@pytest.mark.parametrize(
    ("dtype", "times"),
    [(torch.float64, 1e-6), (torch.float64, 1e6), (torch.float32, 2**-20), (torch.float32, 2**20)],
)
@pytest.mark.parametrize("sizes", [(80, 50), (30, 20, 3, 3)], ids=str)
@pytest.mark.parametrize("convention", CONVENTIONS)
def test_a_scale_moves_logarithms_of_norms_and_nothing_else(sizes, dtype, times, convention):
    tensor = heavy(*sizes).to(dtype)
    tensor[0, 0] = 50  # a trap, so that there is a score
    plain = layer(tensor, convention=convention)
    result = layer(times * tensor, convention=convention)

    old, new, moved = plain.figures, result.figures, 2 * math.log10(times)
    scaled = {
        "log_norm": old.log_norm + moved,
        "log_spectral_norm": old.log_spectral_norm + moved,
        "alpha_hat": old.alpha_hat + old.alpha * moved,
        "log_alpha_norm": old.log_alpha_norm + old.alpha * moved,
        "xmin": old.xmin * times**2,
    }
    assert (plain.state, plain.trap) == (result.state, result.trap)
    expected = {**known(old, but=["trap_score"]), **scaled}
    assert expected == pytest.approx(known(new, but=["trap_score"]), rel=1e-9)
    assert old.trap_score == pytest.approx(new.trap_score, rel=1e-2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_singular_values_that_are_rounding_are_lost(dtype):
    """A product of rank 100, calculated in the type in which it is stored."""
    product = torch.randn(256, 100, dtype=dtype) @ torch.randn(100, 256, dtype=dtype)

    assert layer(product).figures.rank_loss == 156
    assert layer(torch.randn(256, 256, dtype=dtype)).figures.rank_loss == 0


def slices_of(tensor):
    return [tensor[:, :, i, j].double() for i in range(3) for j in range(2)]


def test_pooled_eigenvalues_are_those_of_all_slices():
    tensor = heavy(12, 20, 3, 2).float()
    values = np.sort(np.concatenate([eigenvalues(matrix) for matrix in slices_of(tensor)]))

    result = layer(tensor, convention="pooled")

    law = fit_power_law(values)
    assert (result.sizes, result.slices) == ((12, 20), 6)
    assert law.alpha == pytest.approx(result.figures.alpha, rel=1e-9)
    assert math.log10(values.sum()) == pytest.approx(result.figures.log_norm)
    assert values.sum() / values[-1] == pytest.approx(result.figures.stable_rank)
    assert law.tail == result.figures.tail


def test_slices_are_analysed_one_by_one_and_averaged():
    tensor = heavy(12, 20, 3, 2).float()
    alone = [layer(matrix, "fc.weight").figures for matrix in slices_of(tensor)]

    averaged = layer(tensor, convention="slices").figures

    counted = ("spikes", "rank_loss", "trap_score")
    for name in FIGURES:
        values = [getattr(figures, name) for figures in alone]
        if name not in counted:
            assert np.mean(values) == pytest.approx(getattr(averaged, name), rel=1e-9), name
    assert sum(figures.spikes for figures in alone) == averaged.spikes


def test_flat_convolutions_are_one_matrix():
    tensor = heavy(12, 20, 3, 2).float()

    result = layer(tensor, convention="flatten")

    alone = layer(tensor.reshape(12, 120), "fc.weight")
    assert (result.sizes, result.slices) == ((12, 120), 1)
    but = ["trap_score"]
    assert known(alone.figures, but=but) == pytest.approx(known(result.figures, but=but))


@pytest.mark.parametrize(
    ("sizes", "convention", "scale"),
    [
        ((40, 30), "pooled", 1),
        ((20, 16, 3, 3), "pooled", 1 / 2),
        ((20, 16, 3, 3), "slices", 9 / 2),
        ((20, 16, 5), "slices", 5 / 2),
        ((20, 16, 1, 1), "slices", 1 / 2),
    ],
)
def test_the_compatible_scale_of_convolutions(sizes, convention, scale):
    """W / sqrt 2 of WeightWatcher's default, k W / sqrt 2 of the paper."""
    tensor = 10 * heavy(*sizes)
    plain = layer(tensor, convention=convention).figures
    figures = layer(tensor, convention=convention, compatible=True).figures

    assert plain.alpha == pytest.approx(figures.alpha)
    assert plain.soft_rank == pytest.approx(figures.soft_rank)
    assert plain.spikes == figures.spikes
    assert plain.rank_loss == figures.rank_loss
    assert plain.log_norm + math.log10(scale) == pytest.approx(figures.log_norm)
    assert plain.xmin * scale == pytest.approx(figures.xmin)


def test_the_compatible_cut_is_absolute():
    tops = np.sqrt([0.9e-5] * 5 + [1.1e-5, 2e-5, 3e-5, 5e-5, 8e-5, 1e-4, 1e-3, 1e-2])
    matrix = torch.diag(torch.tensor(tops))

    figures = layer(matrix, compatible=True).figures
    assert fit_power_law(tops[5:] ** 2).alpha == pytest.approx(figures.alpha)
    assert tops @ tops == pytest.approx(10**figures.log_norm)
    assert layer(matrix[:12, :12], compatible=True).figures.alpha is None
    assert layer(matrix[:12, :12]).figures.alpha is not None


def test_what_is_below_the_precision_of_the_calculation_is_not_fitted():
    """A Gram matrix of 80 columns knows eigenvalues down to 2e-14 of the largest."""
    random = np.random.default_rng(0)
    left, right = random.integers(-9, 10, (90, 30)), random.integers(-9, 10, (30, 80))
    matrix = torch.tensor(left @ right).float()

    figures = layer(matrix).figures

    law = fit_power_law(np.sort(eigenvalues(matrix))[-30:])
    assert figures.rank_loss == 50
    assert law.alpha == pytest.approx(figures.alpha)
    assert law.tail == figures.tail


def test_the_seed_and_the_name_alone_draw_the_shuffle():
    tensor = torch.randn(50, 40)

    first = layer(tensor, "a.weight", traps=True, seed=3)
    assert first == layer(tensor.clone(), "a.weight", traps=True, seed=3)
    others = [
        layer(tensor, "b.weight", traps=True, seed=3),
        layer(tensor, "a.weight", traps=True, seed=4),
    ]
    for other in others:
        assert first.figures.trap_score != other.figures.trap_score
        alike = dataclasses.replace(other.figures, trap_score=first.figures.trap_score)
        assert first.figures == alike


def test_each_slice_is_shuffled_in_its_own_way_and_the_worst_counts():
    slice_ = torch.randn(40, 40, 1)
    twice = torch.cat([slice_, slice_], -1)

    pairs = [
        [layer(tensor, traps=True, seed=seed).figures.trap_score for tensor in (slice_, twice)]
        for seed in range(9)
    ]
    assert all(one <= two for one, two in pairs)
    assert any(one < two for one, two in pairs)


def test_other_layers_and_the_random_numbers_of_the_program_do_not_matter():
    tensors = {"x.weight": torch.randn(30, 30), "a.weight": torch.randn(50, 40)}
    matrices, _ = find_matrices(in_memory_tensors(tensors))
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002 - the one that must not matter
    *_, last = [analyse(matrix, Rules(traps=True)) for matrix in matrices]

    assert layer(tensors["a.weight"], "a.weight", traps=True) == last

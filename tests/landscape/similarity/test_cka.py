from __future__ import annotations

import itertools
import math
import statistics

import pytest
import torch

from mdtree.landscape import Kernel, cka, cka_stderr
from tests.support.similarity import SHAPES, features, written_out

BOTH = pytest.mark.parametrize("debiased", [False, True])


def compare(x, y, *, debiased):
    return cka(Kernel.of(x), Kernel.of(y), debiased=debiased)


@BOTH
@SHAPES
def test_cka_is_the_published_formula(n, d, e, debiased):
    x, y = features(n, d, e)

    assert written_out(x, y, debiased=debiased) == pytest.approx(compare(x, y, debiased=debiased))
    assert compare(y, x, debiased=debiased) == pytest.approx(compare(x, y, debiased=debiased))


def test_the_debiased_estimator_is_the_mean_over_all_four_different_items():
    x, y = features(6, 2, 3)
    x, y = x - x.mean(0), y - y.mean(0)

    def hsic(k, l):  # noqa: E741
        return statistics.fmean(
            float(k[a, b] * (l[a, b] + l[c, d] - 2 * l[a, c]))
            for a, b, c, d in itertools.permutations(range(6), 4)
        )

    k, l = x @ x.T, y @ y.T  # noqa: E741
    by_hand = hsic(k, l) / math.sqrt(hsic(k, k) * hsic(l, l))
    assert by_hand == pytest.approx(compare(x, y, debiased=True))


@BOTH
@pytest.mark.parametrize("d", [1, 5, 300])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_same_features_give_one_and_so_do_rotated_shifted_and_scaled_ones(d, dtype, debiased):
    x = torch.randn(41, d, dtype=dtype)
    rotation = torch.linalg.qr(torch.randn(d, d, dtype=dtype))[0]

    assert pytest.approx(1, abs=1e-12) == compare(x, x.clone(), debiased=debiased)
    assert pytest.approx(1, abs=1e-5) == compare(x, 7 - 3 * x @ rotation, debiased=debiased)


def test_features_of_chance_are_alike_to_the_biased_formula_alone():
    x, y = torch.randn(64, 4000), torch.randn(64, 4000)

    assert compare(x, y, debiased=False) > 0.95
    assert abs(compare(x, y, debiased=True)) < 0.05


@BOTH
@pytest.mark.parametrize("factor", [1e-150, 1e-20, 1e20, 1e150])
def test_numbers_of_any_size_are_compared(factor, debiased):
    for d in (2, 60):
        x, y = features(41, d, d)
        assert compare(x, y, debiased=debiased) == pytest.approx(
            compare(x * factor, y / factor, debiased=debiased)
        )


@BOTH
def test_small_differences_on_large_numbers_keep_their_meaning(debiased):
    noise = torch.randn(41, 3)
    x = 1000 + noise  # float32: six in a thousand units are lost

    assert written_out(
        (x - 1000).double(), noise[:, :1].double(), debiased=debiased
    ) == pytest.approx(compare(x, noise[:, :1], debiased=debiased))


@BOTH
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("d", [3, 5000])
def test_equal_features_have_no_cka(d, dtype, debiased):
    other = torch.randn(41, 3)
    row = torch.rand(1, d, dtype=dtype) + 1
    nearly = row.repeat(41, 1)
    nearly[3, 1] *= 1 + torch.finfo(dtype).eps  # the last bit, as another order of sums has it

    for dead in (row.repeat(41, 1), nearly, torch.zeros(41, d, dtype=dtype)):
        assert Kernel.of(dead).is_constant
        assert compare(dead, other, debiased=debiased) is None
        assert compare(other, dead, debiased=debiased) is None
        assert compare(dead, dead, debiased=debiased) is None
    assert not Kernel.of(other).is_constant


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("d", [3, 5000])
def test_features_that_are_not_finite_have_no_cka(d, broken):
    x = torch.randn(41, d)
    x[7, 2] = broken
    assert Kernel.of(x).is_constant
    assert compare(x, torch.randn(41, 3), debiased=True) is None


def test_without_features_there_is_no_cka():
    assert Kernel.of(torch.ones(8, 0)).is_constant


@pytest.mark.parametrize(
    "alone",
    [
        torch.eye(9)[:, :1],  # one item differs from the others
        torch.eye(9),  # each item has a direction of its own
        5 + torch.diag(torch.arange(9.0)),
    ],
)
def test_items_with_nothing_in_common_have_no_debiased_cka(alone):
    other = torch.randn(9, 4)

    assert compare(alone, other, debiased=True) is None
    assert written_out(alone.double(), other.double(), debiased=False) == pytest.approx(
        compare(alone, other, debiased=False)
    )


def test_fewer_than_four_items_have_no_debiased_cka():
    x, y = features(3, 2, 2)

    assert compare(x, y, debiased=True) is None
    assert written_out(x, y, debiased=False) == pytest.approx(compare(x, y, debiased=False))
    assert compare(x[:1], y[:1], debiased=False) is None


@BOTH
def test_features_of_any_shape_are_flattened_for_each_item(debiased):
    x, y = torch.randn(41, 2, 3, 4), torch.randn(41)

    assert compare(x, y, debiased=debiased) == compare(
        x.reshape(41, 24), y.reshape(41, 1), debiased=debiased
    )


def test_kept_is_the_smaller_of_features_and_gram_matrix():
    assert Kernel.of(torch.randn(1024, 10)).matrix.shape == (1024, 10)
    assert Kernel.of(torch.randn(64, 9000)).matrix.shape == (64, 64)


@BOTH
@SHAPES
def test_the_standard_error_is_the_jackknife_over_eight_blocks(n, d, e, debiased):
    x, y = features(n, d, e)
    blocks = min(n, 8)
    rows = torch.arange(n)
    kept = [rows[rows % 8 != block] for block in range(blocks)]

    stderr = cka_stderr(Kernel.of(x), Kernel.of(y), debiased=debiased)

    if debiased and n == 4:
        assert stderr is None  # three items are left
        return
    left = [written_out(x[rows], y[rows], debiased=debiased) for rows in kept]
    assert math.sqrt((blocks - 1) * statistics.pvariance(left)) == pytest.approx(stderr)


@BOTH
def test_the_standard_error_is_the_spread_over_samples(debiased):
    values, errors = [], []
    for _ in range(80):
        x = torch.randn(160, 3)
        kernels = Kernel.of(x), Kernel.of(x + 1.5 * torch.randn(160, 3))
        values.append(cka(*kernels, debiased=debiased))
        errors.append(cka_stderr(*kernels, debiased=debiased))

    assert 0.75 < statistics.fmean(errors) / statistics.stdev(values) < 1.35


def test_without_the_items_that_differ_there_is_no_standard_error():
    x = torch.full((16, 1), 0.1)
    x[0], x[8] = 1, 2  # both lie in the first block

    for other in (torch.randn(16, 1), torch.randn(16, 30)):
        for wide in (x, x.repeat(1, 50)):
            assert cka_stderr(Kernel.of(wide), Kernel.of(other), debiased=False) is None

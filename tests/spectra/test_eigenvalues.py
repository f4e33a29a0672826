from __future__ import annotations

import numpy as np
import pytest
import torch

from mdtree.spectra import eigenvalues as module
from mdtree.spectra.eigenvalues import eigenvalues, gram, resolution

SIZES = [(64, 64), (200, 30), (30, 200), (7, 1), (1, 7), (1, 1), (2, 90)]
DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]


def squared(matrix):
    """Give the squared singular values, ascending, by numpy in double precision."""
    return np.linalg.svd(matrix.double().numpy(), compute_uv=False)[::-1] ** 2


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_eigenvalues_are_the_squared_singular_values(sizes, dtype):
    matrix = torch.randn(sizes).to(dtype)

    values = eigenvalues(matrix)

    expected = squared(matrix)
    assert values.dtype == np.float64
    assert expected == pytest.approx(values, abs=1e-13 * expected[-1] * max(sizes))
    assert np.array_equal(np.sort(values), values)


@pytest.mark.parametrize("dtype", DTYPES[1:], ids=str)
def test_numbers_count_as_what_they_are_whatever_holds_them(dtype):
    """The squares of 300 numbers of 1,000 are far above what a half can hold."""
    matrix = (1000 * torch.randn(300, 40)).to(dtype)

    assert np.array_equal(eigenvalues(matrix), eigenvalues(matrix.float()))
    assert np.isfinite(eigenvalues(matrix)).all()


@pytest.mark.parametrize("sizes", [(50, 20), (20, 50), (33, 33)], ids=str)
def test_transposing_changes_no_eigenvalue(sizes):
    matrix = torch.randn(sizes)

    assert eigenvalues(matrix) == pytest.approx(eigenvalues(matrix.T), rel=1e-10)


def test_a_rotation_changes_no_eigenvalue():
    matrix = torch.randn(60, 40, dtype=torch.float64)
    left, _ = torch.linalg.qr(torch.randn(60, 60, dtype=torch.float64))
    right, _ = torch.linalg.qr(torch.randn(40, 40, dtype=torch.float64))

    assert eigenvalues(matrix) == pytest.approx(eigenvalues(left @ matrix @ right), rel=1e-11)


def test_no_eigenvalue_is_below_zero():
    matrix = torch.randn(300, 1) @ torch.randn(1, 200)

    values = eigenvalues(matrix)

    assert (values >= 0).all()
    assert squared(matrix)[-1] == pytest.approx(values[-1])


def test_double_precision_keeps_singular_values_that_a_gram_matrix_loses():
    matrix = torch.diag(torch.tensor([1, 1e-3, 1e-9, 1e-13], dtype=torch.float64))
    rotation, _ = torch.linalg.qr(torch.randn(4, 4, dtype=torch.float64))

    values = eigenvalues(rotation @ matrix)

    assert pytest.approx(values, rel=1e-2) == [1e-26, 1e-18, 1e-6, 1]
    assert (values > resolution((4, 4), torch.float64)).all()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("sizes", [(90, 30), (30, 90), (200, 200)], ids=str)
def test_zeros_are_below_the_resolution_and_the_rest_above(sizes, dtype):
    """Whole numbers have products without rounding, so the rank is 12 to the last digit."""
    random = np.random.default_rng(0)
    left, right = random.integers(-9, 10, (sizes[0], 12)), random.integers(-9, 10, (12, sizes[1]))

    values = eigenvalues(torch.tensor(left @ right).to(dtype))

    assert np.count_nonzero(values > resolution(sizes, dtype) * values[-1]) == 12


@pytest.mark.parametrize("sizes", [(50, 20), (20, 50)], ids=str)
def test_the_gram_matrix_is_that_of_the_shorter_side(sizes):
    matrix = torch.randn(sizes)

    long = matrix.double() if sizes[0] > sizes[1] else matrix.double().T
    torch.testing.assert_close(gram(matrix), long.T @ long)


@pytest.mark.parametrize("block", [1, 60, 80, 10_000])
def test_the_gram_matrix_is_the_sum_over_uneven_blocks(block, monkeypatch):
    """20 columns: blocks of 1, 3, 4 and all of the 50 lines."""
    matrix = torch.randn(50, 20)
    whole = gram(matrix)

    monkeypatch.setattr(module, "_BLOCK", block)

    torch.testing.assert_close(gram(matrix), whole, rtol=1e-14, atol=1e-14)


def test_slices_of_a_tensor_are_read_where_they_are_and_stay_as_they_are():
    tensor = torch.randn(30, 20, 3, 3)
    before = tensor.clone()

    values = eigenvalues(tensor.reshape(30, 20, 9).permute(2, 0, 1)[5])

    assert squared(tensor[:, :, 1, 2].contiguous()) == pytest.approx(values, rel=1e-9)
    assert torch.equal(before, tensor)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_an_accelerator_finds_the_same(dtype):
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device: make gpu-check where there is one")
    matrix = torch.randn(400, 300).to(dtype)

    here, there = eigenvalues(matrix), eigenvalues(matrix.cuda())

    assert here == pytest.approx(there, rel=1e-10)


@pytest.mark.parametrize("sizes", [(300, 290), (140, 500), (2100, 2090)], ids=str)
def test_both_halves_of_a_large_gram_matrix_are_there(sizes):
    """128 columns at a time, or more where there would be more than 16 parts."""
    matrix = torch.randn(sizes)
    long = (matrix if sizes[0] > sizes[1] else matrix.T).double()
    whole = gram(matrix)
    torch.testing.assert_close(whole, long.T @ long)
    assert torch.equal(whole, whole.T)

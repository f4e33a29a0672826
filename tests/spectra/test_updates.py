"""Updates: their norm, rank and new directions, from matrices whose singular vectors are known."""

from __future__ import annotations

import math

import pytest
import torch

from mdtree.checkpoints import in_memory_tensors
from mdtree.spectra import updates


def compared(before, after):
    """The update of the only matrix."""
    return one({"fc.weight": before}, {"fc.weight": after})


def one(before, after):
    (update,) = updates(in_memory_tensors(before), in_memory_tensors(after))
    return update


def stretched(rows, columns, values):
    """A matrix whose singular vectors are the axes."""
    matrix = torch.zeros(rows, columns)
    matrix[range(len(values)), range(len(values))] = torch.tensor(values)
    return matrix


SIZES = [(6, 6), (6, 9), (9, 6)]
VALUES = [6.0, 5.0, 4.0, 3.0, 2.0, 1.0]


@pytest.mark.parametrize("sizes", SIZES)
def test_stretching_a_direction_is_an_update_of_rank_one_without_intruders(sizes):
    before = stretched(*sizes, VALUES)
    after = before.clone()
    after[2, 2] += 10
    update = compared(before, after)
    assert update.norm == pytest.approx(10)
    assert update.relative_norm == pytest.approx(10 / math.sqrt(91))
    assert (update.rank, update.intruders, update.examined) == (1, 0, 6)
    assert update.effective_rank == pytest.approx(1)
    assert update.least_cosine == pytest.approx(1)
    assert update.share == pytest.approx(1)


@pytest.mark.parametrize("sizes", SIZES)
def test_a_large_new_direction_between_all_others_is_an_intruder(sizes):
    rows, columns = sizes
    before = stretched(rows, columns, VALUES)
    u, v = torch.zeros(rows), torch.zeros(columns)
    u[:6] = v[:6] = 1 / math.sqrt(6)  # |cosine| with each axis: 0.41
    update = compared(before, before + 1e4 * torch.outer(u, v))
    assert update.intruders >= 1
    assert update.least_cosine <= 1 / math.sqrt(6) + 1e-3
    assert update.rank == 1


def test_a_direction_that_the_weights_never_had_is_an_intruder():
    before = stretched(9, 6, VALUES)
    after = before.clone()
    after[8, 0] = 100.0  # row 8 was zero: its axis is none of the left singular vectors
    update = compared(before, after)
    assert update.intruders == 1
    assert update.least_cosine == pytest.approx(math.cos(math.atan(100 / 6)), rel=1e-4)


def test_vectors_are_those_of_the_outputs_in_a_square_matrix_too():
    before = torch.diag(torch.tensor(VALUES))
    mixed, axis = torch.full((6,), 6**-0.5), torch.eye(6)[0]
    assert compared(before, before + 1e4 * torch.outer(mixed, axis)).intruders >= 1
    assert compared(before, before + 1e4 * torch.outer(axis, mixed)).intruders == 0


def test_only_the_first_ten_vectors_count():
    before = torch.diag(torch.arange(40.0, 0.0, -1.0))
    after = before.clone()
    after[30:, 30:] = after[30:, 30:].flip(0) * 0.9  # turned, but small
    update = compared(before, after)
    assert (update.intruders, update.examined) == (0, 10)


def test_the_effective_rank_counts_equal_singular_values():
    before = torch.eye(8)
    update = compared(before, before + torch.diag(torch.tensor([1.0] * 5 + [0.0] * 3)))
    assert update.rank == 5
    assert update.effective_rank == pytest.approx(5)


def test_shares_are_of_the_squares_of_all_updates():
    before = {"a.weight": torch.eye(4), "b.weight": torch.eye(4), "c.weight": torch.eye(4)}
    after = {name: tensor.clone() for name, tensor in before.items()}
    after["a.weight"][0, 0] += 3
    after["b.weight"][0, 0] += 4
    a, b, c = updates(in_memory_tensors(before), in_memory_tensors(after))
    assert (a.share, b.share) == pytest.approx((9 / 25, 16 / 25))
    assert (c.share, c.norm, c.rank, c.intruders, c.changed) == (0, 0, 0, 0, False)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_rounding_errors_are_not_rank(dtype):
    torch.manual_seed(0)
    before = torch.randn(64, 48, dtype=torch.float64)
    low = torch.randn(64, 2, dtype=torch.float64) @ torch.randn(2, 48, dtype=torch.float64)
    assert compared(before.to(dtype), (before.to(dtype).double() + low).to(dtype)).rank == 2


def test_a_convolution_is_one_matrix():
    before = torch.zeros(8, 3, 2, 2)
    before.flatten(1)[range(8), range(8)] = 1.0
    after = before.clone()
    after[0] *= 3
    update = one({"conv.weight": before}, {"conv.weight": after})
    assert update.sizes == (8, 12)
    assert update.norm == pytest.approx(2)
    assert update.rank == 1


def test_numbers_that_are_not_finite_and_zeros_have_reasons():
    broken = torch.eye(4)
    broken[0, 0] = math.nan
    assert compared(torch.eye(4), broken).reason == "some numbers are not finite"
    grown = compared(torch.zeros(4, 4), torch.eye(4))
    assert grown.relative_norm is None
    assert grown.norm == pytest.approx(2)
    assert grown.reason == "all weights are zero, before or after"


def test_matrices_of_other_sizes_are_not_compared():
    assert (
        updates(
            in_memory_tensors({"a.weight": torch.eye(4), "b.weight": torch.eye(4)}),
            in_memory_tensors({"a.weight": torch.ones(4, 5), "c.weight": torch.eye(4)}),
        )
        == ()
    )

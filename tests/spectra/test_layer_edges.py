from __future__ import annotations

import math
import re

import pytest
import torch
from torch import nn

from mdtree.checkpoints import in_memory_tensors
from mdtree.spectra import CONVENTIONS, FIGURES, Rules, State, analyse, find_matrices
from mdtree.spectra.eigenvalues import huge_entries
from mdtree.spectra.state import state_of


def layer(tensor, name="conv.weight", **rules):
    rules = Rules(**rules)
    (matrix,), _ = find_matrices(in_memory_tensors({name: tensor}), convention=rules.convention)
    return analyse(matrix, rules)


def known(figures, *, but=()):
    return {k: v for k, v in vars(figures).items() if v is not None and k not in but}


def single_entry(number, *, among=0.0, sizes=(64, 64)):
    tensor = torch.full(sizes, among)
    tensor[3, 5] = number
    return tensor


def orthogonal(rows, columns):
    return nn.init.orthogonal_(torch.empty(rows, columns))


BAD = {
    "zero": (torch.zeros(64, 32), State.NONE, "all numbers are zero"),
    "zero convolution": (torch.zeros(8, 8, 3, 3), State.NONE, "all numbers are zero"),
    "vast": (
        single_entry(1.0).double() * 1e200,
        State.NONE,
        "of size 1e.200 cannot be squared",
    ),
    "tiny": (
        single_entry(1.0).double() * 1e-200,
        State.NONE,
        "of size 1e-200 cannot be squared",
    ),
    "1 x 1": (torch.ones(1, 1), State.SMALL, "1 of 1 eigenvalues"),
    "2 x 300": (torch.rand(2, 300), State.SMALL, "2 of 2 eigenvalues"),
    "300 x 1": (torch.rand(300, 1), State.SMALL, "1 of 1 eigenvalues"),
    "one weight": (single_entry(2.0), State.TRAP, "1 of 64 eigenvalues"),
    "constant": (torch.full((64, 32), 0.1), State.POOR, "1 of 32 eigenvalues"),
    "rank one": (
        torch.arange(1.0, 65)[:, None] * torch.arange(1.0, 33),
        State.POOR,
        r"no power law: 1 of 32 eigenvalues are above \de-\d+, but 8 are needed",
    ),
    "identity": (torch.eye(64) * 0.3, State.RANDOM, "all eigenvalues are equal, up to rounding"),
    "orthogonal": (orthogonal(256, 64), State.RANDOM, "all eigenvalues are equal"),
    "half": (orthogonal(64, 64).bfloat16(), State.RANDOM, "all eigenvalues are equal"),
}


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("name", BAD)
def test_bad_numbers_make_a_layer_with_a_reason(name, convention):
    tensor, state, reason = BAD[name]

    result = layer(tensor, convention=convention, traps=True)

    assert result.figures.alpha is None
    assert state is result.state
    assert re.search(reason, result.reason)


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)
def test_one_number_that_is_not_finite_is_a_reason(number, dtype):
    tensor = torch.randn(20, 10, 3, 3).to(dtype)
    tensor[3, 4, 1, 2] = number

    result = layer(tensor)

    assert result.reason == "1 of 1800 numbers are not finite"
    assert not known(result.figures)


@pytest.mark.parametrize(
    "tensor",
    [
        1e-30 * torch.rand(30, 20),
        1e38 * torch.rand(30, 20),
        torch.full((30, 20), 1e-45) * torch.randint(1, 5, (30, 20)),
        torch.rand(8, 8, dtype=torch.float16) * 65504,
        torch.nn.Parameter(torch.randn(30, 20)),
        torch.randn(30, 20).T,
    ],
    ids=["tiny", "vast", "subnormal", "largest halves", "a parameter", "not contiguous"],
)
def test_unusual_numbers_have_figures(tensor):
    result = layer(tensor, traps=True)

    assert result.reason is None
    assert all(math.isfinite(value) for value in known(result.figures).values())
    assert len(known(result.figures)) == len(FIGURES)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_a_half_loses_what_its_rounding_hides(dtype):
    product = (torch.randn(256, 20) @ torch.randn(20, 100)).to(dtype)

    assert layer(product).figures.rank_loss == 80
    assert layer(product.float()).figures.rank_loss == 0
    assert layer(torch.randn(2000, 200).to(dtype)).figures.rank_loss == 0


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("sizes", [(300, 300), (2000, 60), (32, 16, 3, 3)], ids=str)
def test_a_half_has_the_figures_of_its_numbers(dtype, sizes, convention):
    tensor = (torch.randn(sizes) ** 3).to(dtype)
    half, single = (
        layer(tensor, convention=convention),
        layer(tensor.float(), convention=convention),
    )

    assert half.figures.alpha is not None
    assert half.state is single.state
    expected = known(single.figures, but=["rank_loss"])
    assert expected == pytest.approx(known(half.figures, but=["rank_loss"]), rel=1e-12)


def test_zero_slices_leave_the_others_as_they_are():
    tensor = torch.randn(20, 16, 2, 2) ** 3
    tensor[:, :, :, 1] = 0
    rest = tensor.reshape(20, 16, 4)[:, :, [0, 2]]

    for convention in ("pooled", "slices"):
        result, expected = layer(tensor, convention=convention), layer(rest, convention=convention)
        assert expected.state is result.state
        assert known(expected.figures, but=["rank_loss", "trap_score"]) == pytest.approx(
            known(result.figures, but=["rank_loss", "trap_score"])
        )
        assert result.figures.rank_loss == 32


def test_what_is_too_small_has_no_trap():
    result = layer(single_entry(50.0, sizes=(6, 300)) + torch.randn(6, 300), traps=True)

    assert result.figures.trap_score > 5
    assert (result.state, result.trap) == (State.SMALL, False)


def test_an_entry_that_is_large_but_no_trap_explains_no_spike():
    u, v = torch.randn(64, 1), torch.randn(1, 64)
    weights = single_entry(12.0) + torch.randn(64, 64) + u @ v
    result = layer(weights, traps=True)

    assert huge_entries(weights) == 1
    assert result.figures.spikes == 1
    assert not result.trap
    assert result.state is not State.TRAP


def test_a_convolution_has_enough_eigenvalues_where_they_are_taken_together():
    tensor = torch.randn(4, 16, 3, 3)

    assert layer(tensor, convention="pooled").figures.alpha is not None
    for convention in ("slices", "flatten"):
        result = layer(tensor, convention=convention)
        assert State.SMALL is result.state
        assert "4 of 4 eigenvalues" in result.reason


@pytest.mark.parametrize(
    ("state", "given"),
    [
        (State.SMALL, {"small": True, "spikes": 0}),
        (State.RANDOM, {"spikes": 0, "huge": 3}),
        (State.TRAP, {"spikes": 2, "huge": 2}),
        (State.USUAL, {"spikes": 3, "huge": 2}),
        (State.TRAP, {"huge": 1, "alpha": None}),
        (State.POOR, {"alpha": None, "distance": None, "tail": None}),
        (State.POOR, {"distance": 0.13}),
        (State.POOR, {"tail": 9}),
        (State.USUAL, {"tail": 10, "distance": 0.12}),
        (State.OVER, {"alpha": 1.99}),
        (State.USUAL, {"alpha": 2.0}),
        (State.USUAL, {"alpha": 6.0}),
        (State.UNDER, {"alpha": 6.01}),
    ],
)
def test_alpha_speaks_only_where_it_can_be_trusted(state, given):
    """First what stands out of a random matrix, then whether the law fits, then alpha."""
    sound = {"alpha": 3.0, "distance": 0.05, "tail": 50, "spikes": 1, "huge": 0, "small": False}
    assert state is state_of(**{**sound, **given})

from __future__ import annotations

import pytest
import torch
from torch import nn

from mdtree.landscape import Hessian, top_eigenvalue
from tests.support.exact import double, exact_hessian, items, loss_for, runner_of, weights_of
from tests.support.networks import NETS


def hessian_of(module, data, *, batch_size=4):
    runner = runner_of(module, loss=loss_for(data), batch_size=batch_size)
    return Hessian(runner, weights_of(module), items(data), batch_size)


@pytest.mark.parametrize("name", ["mlp", "regression", "lstm", "words"])
@pytest.mark.parametrize("seed", [0, 1])
def test_it_is_the_largest_eigenvalue_of_the_exact_hessian(name, seed):
    make, data = NETS[name]
    torch.manual_seed(seed)
    module, data = make().double().eval(), double(data)
    exact = exact_hessian(runner_of(module, loss=loss_for(data)), weights_of(module), data)

    estimate = top_eigenvalue(hessian_of(module, data), tolerance=1e-9, seed=seed)

    assert estimate.converged
    assert estimate.top == pytest.approx(float(torch.linalg.eigvalsh(exact)[-1]), rel=1e-6)


@pytest.mark.parametrize("tolerance", [0.3, 0.01])
def test_it_is_as_near_as_was_asked_for(tolerance):
    make, data = NETS["batch norm"]
    module = make().double().eval()
    data = double(data)
    tight = top_eigenvalue(hessian_of(module, data), tolerance=1e-9).top
    rough = top_eigenvalue(hessian_of(module, data), tolerance=tolerance).top
    assert rough == pytest.approx(tight, rel=tolerance)


class Halves(nn.Module):
    """Two weights, each seen by some of the items only: few items know nothing of the larger."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(2))

    def forward(self, x):
        return (x * self.w).sum(1)


def test_a_direction_that_few_items_do_not_know_is_found_all_the_same():
    x = torch.zeros(80, 2)
    x[:79, 0], x[79, 1] = 1.0, 30.0  # curvatures 2 * 79 / 80 and 2 * 900 / 80
    estimate = top_eigenvalue(hessian_of(Halves(), (x, torch.ones(80))), tolerance=1e-6)
    assert estimate.top == pytest.approx(22.5, rel=1e-5)


def test_a_flat_loss_has_no_curvature_and_one_item_is_enough():
    flat = (torch.zeros(5, 2), torch.ones(5))
    assert top_eigenvalue(hessian_of(Halves(), flat), tolerance=0.01).top == 0
    single = (torch.tensor([[3.0, 0.0]]), torch.ones(1))
    assert top_eigenvalue(hessian_of(Halves(), single), tolerance=0.01).top == pytest.approx(18)


def test_the_seed_decides():
    make, data = NETS["mlp"]
    module = make().eval()
    first, again, other = (
        top_eigenvalue(hessian_of(module, data), tolerance=0.01, seed=seed).top
        for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other

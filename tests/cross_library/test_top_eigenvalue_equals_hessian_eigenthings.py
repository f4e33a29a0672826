"""Products with the Hessian and its largest eigenvalue are those of hessian-eigenthings."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from mdtree.landscape import Hessian, generator, lanczos
from tests.support.cases import X, Y
from tests.support.exact import double, items, runner_of, weights_of, with_statistics


def test_products_and_the_largest_eigenvalue_are_the_same():
    """Its batches are of equal size: it gives uneven ones equal weight."""
    rival = pytest.importorskip(
        "hessian_eigenthings", reason="needs a rival: pip install hessian-eigenthings==1.0.0a5"
    )
    module = with_statistics().double().eval()
    weights = double(weights_of(module))
    runner = runner_of(module, dtype=torch.float64)
    hessian = Hessian(runner, weights, items(double((X[:36], Y[:36]))), 12)
    batches = list(hessian.items.batches(12))

    operator = rival.HessianOperator(module, batches, lambda m, b: F.cross_entropy(m(b[0]), b[1]))
    n = hessian.size
    theirs = rival.lanczos(operator, k=1, which="LA", max_iter=n, tol=1e-12, seed=0).eigenvalues

    start = hessian.random(generator(0))
    ours = lanczos(hessian.product, start, steps=n, tolerance=1e-12)
    assert float(theirs[0]) == pytest.approx(ours.top, rel=1e-8)
    torch.testing.assert_close(operator.matvec(start), hessian.product(start))

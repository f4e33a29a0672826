"""CKA by the published formulas, and features to compare by it."""

from __future__ import annotations

import pytest
import torch

# items, and features of the two networks: kept as features (n >= 8 d), as Gram matrices, and mixed
SHAPES = pytest.mark.parametrize(
    ("n", "d", "e"), [(4, 1, 2), (5, 3, 3), (7, 2, 40), (41, 3, 5), (41, 5, 6), (41, 100, 5000)]
)


def features(n, d, e):
    """Give two random sets of features that have something in common, far from the origin."""
    x = torch.randn(n, d, dtype=torch.float64)
    return x + 3, torch.randn(n, e, dtype=torch.float64) + 2 * x[:, :1] - 5


def written_out(x, y, *, debiased):
    """Give CKA by the published formulas, with centring matrices and with emptied diagonals."""
    hsic = hsic_1 if debiased else hsic_0
    k, l = x @ x.T, y @ y.T  # noqa: E741 - the letters of the formula
    return float(hsic(k, l) / (hsic(k, k) * hsic(l, l)).sqrt())


def hsic_0(k, l):  # noqa: E741
    n = len(k)
    h = torch.eye(n, dtype=torch.float64) - torch.ones(n, n, dtype=torch.float64) / n
    return (k @ h @ l @ h).trace() / (n - 1) ** 2


def hsic_1(k, l):  # noqa: E741
    n = len(k)
    k, l = k - k.diagonal().diag(), l - l.diagonal().diag()  # noqa: E741
    ones = torch.ones(n, dtype=torch.float64)
    last = 2 / (n - 2) * (ones @ k @ l @ ones)
    middle = (ones @ k @ ones) * (ones @ l @ ones) / ((n - 1) * (n - 2))
    return ((k @ l).trace() + middle - last) / (n * (n - 3))

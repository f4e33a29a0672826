"""Eigenvalues of W'W, in double precision, from the Gram matrix of the shorter side.

    lambda_i = sigma_i^2        X = W'W, not divided by the number of rows

The Gram matrix is summed over blocks of rows, so that a large matrix is never in memory twice.  It
loses singular values below 1e-8 of the largest; if the stored type resolves these (float64), they
are computed without it.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["eigenvalues", "gram", "resolution"]

_BLOCK = 1 << 22  # numbers in double precision at a time


def eigenvalues(matrix: Tensor) -> NDArray[np.float64]:
    """Compute the eigenvalues of W'W for a matrix W, ascending and at least zero."""
    if matrix.dtype == torch.float64:
        ascending = torch.linalg.svdvals(matrix).flip(0).square()
    else:
        ascending = torch.linalg.eigvalsh(gram(matrix)).clamp_min(0)
    values: NDArray[np.float64] = ascending.cpu().numpy()
    return values


def gram(matrix: Tensor) -> Tensor:
    """Compute W W' or W'W, whichever is smaller."""
    short = min(matrix.shape)
    total = torch.zeros(short, short, dtype=torch.float64, device=matrix.device)
    is_tall = len(matrix) >= matrix.shape[1]
    for block in torch.split(matrix, max(_BLOCK // short, 1), dim=0 if is_tall else 1):
        part = block.double()
        total.addmm_(part.T, part) if is_tall else total.addmm_(part, part.T)
    return total


def resolution(sizes: tuple[int, int], dtype: torch.dtype) -> float:
    """Return the smallest eigenvalue that can be distinguished from zero, relative to the largest.

    max(N, M) eps of double precision: of the singular values, or of their squares in a Gram matrix.
    """
    share = max(sizes) * torch.finfo(torch.float64).eps
    return share**2 if dtype == torch.float64 else share

"""Eigenvalues of W'W, and the edge above which those of a random matrix do not lie.

    lambda_i = sigma_i^2        X = W'W, not divided by the number of rows

They are computed in double precision, from the Gram matrix of the shorter side.  It is summed over
blocks of rows, so that a large matrix is never in memory twice.  It loses singular values below
1e-8 of the largest; if the stored type resolves these (float64), they are computed without it.

For N x M independent entries of variance s^2 the eigenvalues of W'W end at the Marchenko-Pastur
edge, and the largest fluctuates around it by the Tracy-Widom law:

    edge  = s^2 (sqrt N + sqrt M)^2
    scale = s^2 (sqrt N + sqrt M) (1 / sqrt N + 1 / sqrt M)^(1/3)

Eigenvalues more than 3.5 scales above the edge are spikes: learnt correlations.  Shuffling the
entries destroys correlations; an eigenvalue that still stands out is a trap, made by single huge
weights.  Marchenko and Pastur 1967; Johnstone 2001; Martin and Mahoney 2021, arXiv 1810.01075.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = [
    "Edge",
    "edge_of",
    "eigenvalues",
    "gram",
    "huge_entries",
    "resolution",
    "trap_score",
]

_BLOCK = 1 << 19  # numbers in double precision at a time, which stay in a core's cache
_PANEL = 128  # columns of a Gram matrix at a time; more, where there would be too many panels
_PANELS = 16
_SPIKE = 3.5  # scales above the edge: one random matrix in 2,000 has one
_ERRORS = 32  # rounding errors per entry: products and QR of up to 2,048 columns needed 10 in tests
_SURELY = 0.99  # of a limit: sums in different orders differ by less
_SMALL = 32  # columns, up to which computing all eigenvalues is as fast
_WIDE = 1024  # columns, up to which W'W takes less time than some thirty products with W


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
    long = matrix if len(matrix) >= matrix.shape[1] else matrix.T
    panel = max(_PANEL, -(-short // _PANELS))
    spans = [(start, min(start + panel, short)) for start in range(0, short, panel)]
    for block in torch.split(long, max(_BLOCK // short, 1)):
        part = block.double()
        for start, end in spans:  # what lies above the diagonal is the same
            total[start:end, :end].addmm_(part[:, start:end].T, part[:, :end])
    for start, end in spans:
        total[:start, start:end] = total[start:end, :start].T
    return total


def resolution(sizes: tuple[int, int], dtype: torch.dtype) -> float:
    """Return the smallest eigenvalue that can be distinguished from zero, relative to the largest.

    max(N, M) eps of double precision: of the singular values, or of their squares in a Gram matrix.
    """
    share = max(sizes) * torch.finfo(torch.float64).eps
    return share**2 if dtype == torch.float64 else share


@dataclass(frozen=True, kw_only=True)
class Edge:
    """The edge of the spectrum of a random matrix of this size and variance."""

    value: float
    scale: float  # of the fluctuations

    def spikes(self, values: NDArray[np.float64]) -> int:
        """Count the eigenvalues above the edge."""
        return int(np.count_nonzero(values > self.value + _SPIKE * self.scale))

    def rounding(self, dtype: torch.dtype) -> float:
        """Return the edge of the rounding errors of the entries, which are a random matrix too.

        Numbers in half precision are computed with more digits and rounded once; in wider types the
        errors of a computation add up.
        """
        info = torch.finfo(dtype)
        errors = info.eps if info.bits < 32 else _ERRORS * info.eps  # noqa: PLR2004
        return self.value * errors**2

    def score(self, top: float) -> float:
        """Return the distance of an eigenvalue above the edge, in scales."""
        return (top - self.value) / self.scale if self.scale > 0 else 0.0


def edge_of(sizes: tuple[int, int], variance: float) -> Edge:
    """Compute the edge in closed form."""
    n, m = (math.sqrt(size) for size in sizes)
    return Edge(
        value=variance * (n + m) ** 2,
        scale=variance * (n + m) * (1 / n + 1 / m) ** (1 / 3),
    )


def huge_entries(matrix: Tensor, total: float | None = None) -> int:
    """Count the centred entries w that stand out alone: w^2 > s^2 sqrt(N M).

    Baik, Ben Arous and Peche 2005: a weaker one disappears in the bulk.

    Args:
        matrix: The matrix.
        total: The sum of its squares, where it is known.
    """
    count = matrix.numel()
    if total is None:
        total = float(torch.linalg.vector_norm(matrix, dtype=torch.float64)) ** 2
    mean = float(matrix.mean(dtype=torch.promote_types(matrix.dtype, torch.float32)))
    farthest = max((float(end) - mean) ** 2 for end in torch.aminmax(matrix))
    is_sure = 2 * mean**2 < total / count  # otherwise, the difference has fewer digits
    if is_sure and farthest < _SURELY * (total / count - mean**2) * math.sqrt(count):
        return 0  # the usual case, without a copy
    squares = matrix.to(torch.float64, copy=True)
    squares.sub_(squares.mean()).square_()
    return int(torch.count_nonzero(squares > squares.mean() * math.sqrt(matrix.numel())))


def trap_score(matrix: Tensor, seed: int) -> float:
    """Compute how far the largest eigenvalue of the shuffled, centred entries is above the edge.

    Its scale does not matter, so the entries are divided by their standard deviation: then single
    precision is enough for what is computed to 0.1 %.
    """
    low, high = torch.aminmax(matrix)
    if bool(low == high):
        return 0.0
    random = np.random.default_rng(seed)
    entries = matrix.double().cpu().resolve_neg().reshape(-1)  # the sign may be pending in torch
    centred = entries - entries.mean()
    centred /= torch.linalg.vector_norm(centred) / math.sqrt(len(centred))
    mixed = torch.from_numpy(random.permutation(centred.numpy())).float().reshape(matrix.shape)
    return edge_of((len(mixed), len(mixed.T)), 1.0).score(_top(mixed, random))


def _top(matrix: Tensor, random: np.random.Generator) -> float:
    """Compute the largest eigenvalue to 0.1 %."""
    long = matrix if len(matrix) >= len(matrix.T) else matrix.T
    width = len(long.T)
    if width <= _SMALL:
        return float(torch.linalg.matrix_norm(long, 2)) ** 2
    from scipy.sparse.linalg import LinearOperator, eigsh

    square = long.T @ long if width <= _WIDE else None

    def product(vector: NDArray[np.float32]) -> NDArray[np.float32]:
        v = torch.from_numpy(vector)
        moved = long.T.mv(long.mv(v)) if square is None else square.mv(v)
        result: NDArray[np.float32] = moved.numpy()
        return result

    operator = LinearOperator((width, width), matvec=product, dtype=np.float32)
    start = random.standard_normal(width).astype(np.float32)
    return float(eigsh(operator, k=1, which="LA", v0=start, tol=1e-3, return_eigenvectors=False)[0])

"""Lanczos: the extreme eigenvalues of a symmetric matrix, from matrix-vector products.

    H q_j = beta_(j-1) q_(j-1) + alpha_j q_j + beta_j q_(j+1)

with full reorthogonalisation.  The eigenvalues of the tridiagonal T (Ritz values) converge to the
extreme eigenvalues of H first.  With s the eigenvector in T, the residual of a Ritz pair is
r = beta_m |s_m|.  An eigenvalue of H is within r of the Ritz value, and within r^2 / gap, where gap
is the distance to the rest of the spectrum, estimated by the next Ritz value plus its residual.
The squared first components of the s are the weights of a Gauss quadrature of the spectral density
seen by the start vector.

An estimated gap is blind to an eigenvalue of which nothing has been seen yet.  But with the
orthonormal polynomials p_j of T, the start vector's squared component along an eigenvector of
eigenvalue x is at most 1 / (p_0(x)^2 + ... + p_m(x)^2); that of a random vector is z^2 / n with a
normal z, which is rarely as small as that where x is far above the Ritz values.

A result holds all that is needed to go on: the steps made in two parts are those made at once.

Golub and Welsch 1969; van Dorsselaer, Hochstenbach and van der Vorst 2000 (what stays unseen);
Ghorbani, Krishnan and Xiao 2019, arXiv 1901.10159.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["LanczosResult", "lanczos"]

Product = Callable[[Tensor], Tensor]
_ROWS = 16  # initial size of the basis; few matrices need more
_MEMORY = 6 << 30  # bytes of the basis: 60 vectors of 26 million numbers, 16 of 100 million


@dataclass(frozen=True, kw_only=True)
class LanczosResult:
    """The result of m Lanczos steps."""

    values: NDArray[np.float64]  # (m,) ascending
    weights: NDArray[np.float64]  # (m,) of the spectral density; their sum is 1
    residuals: NDArray[np.float64]  # (m,) of the values
    basis: Tensor  # (m, n), orthonormal rows
    diagonal: NDArray[np.float64]  # (m,) q_j H q_j; their sum is the trace inside the basis
    vectors: NDArray[np.float64]  # (m, m), eigenvectors of T in columns
    off_diagonal: NDArray[np.float64]  # (m,) beta_j
    following: Tensor  # (n,), q_(m+1)
    converged: bool

    @property
    def top(self) -> float:
        """Largest eigenvalue."""
        return float(self.values[-1])

    @property
    def error(self) -> float:
        """Bound on the distance of the largest value to an eigenvalue (with the estimated gap)."""
        residual = float(self.residuals[-1])
        if len(self.values) == 1:
            return residual
        gap = self.top - float(self.values[-2] + self.residuals[-2])
        return min(residual, residual**2 / gap) if gap > 0 else residual

    def top_vector(self) -> Tensor:
        """Compute the eigenvector of the largest eigenvalue."""
        combination = torch.as_tensor(self.vectors[:, -1]).to(self.basis)
        return combination @ self.basis

    @classmethod
    def of(
        cls,
        basis: Tensor,
        following: Tensor,
        diagonal: Sequence[float],
        off_diagonal: Sequence[float],
        *,
        converged: bool = False,
    ) -> LanczosResult:
        """Compute the Ritz values of what the steps have found."""
        import scipy.linalg  # loading it takes a tenth of the time of torch

        values, vectors = scipy.linalg.eigh_tridiagonal(diagonal, off_diagonal[:-1])
        return cls(
            values=values,
            weights=vectors[0] ** 2,
            residuals=np.abs(off_diagonal[-1] * vectors[-1]),
            basis=basis,
            diagonal=np.asarray(diagonal),
            vectors=vectors,
            off_diagonal=np.asarray(off_diagonal),
            following=following,
            converged=converged,
        )


def lanczos(
    product: Product,
    start: Tensor,
    *,
    steps: int,
    tolerance: float,
    least: int = 1,
    risk: float = 0.0,
    earlier: LanczosResult | None = None,
) -> LanczosResult:
    """Run Lanczos until the largest eigenvalue is known within the tolerance.

    All vectors are kept, so there are fewer steps where they would take more than 6 GiB.

    Args:
        product: Multiplies a vector by the matrix.
        start: The start vector.
        steps: The maximal number of steps.
        tolerance: The largest error of the largest eigenvalue, relative to it.
        least: The minimal number of steps, unless the space is exhausted before.
        risk: Fewer than `least` are enough where, for a random start, the largest eigenvalue is
            beyond the tolerance with at most this probability; 0: they never are.
        earlier: What fewer steps from the same start have found: they are not made again.

    Returns:
        Ritz values and vectors; `converged` says whether the tolerance was reached.
    """
    nothing = torch.finfo(start.dtype).eps ** (2 / 3)  # relative to the largest eigenvalue
    fitting = max(_MEMORY // (len(start) * start.element_size()), 2)
    rows = min(steps, len(start), fitting if fitting < steps else _ROWS)  # large ones never grow
    steps = min(steps, len(start), fitting)
    mass = NormalDist().inv_cdf(0.5 + risk / 2) ** 2 / len(start)  # smaller with that probability
    alphas: list[float] = []
    betas: list[float] = []
    if earlier is not None:
        alphas, betas = earlier.diagonal.tolist(), earlier.off_diagonal.tolist()
        if len(alphas) >= steps:
            return earlier
    basis = start.new_empty(max(rows, len(alphas) + 1), len(start))
    if earlier is None:
        basis[0] = start / torch.linalg.vector_norm(start)
    else:
        basis[: len(alphas)], basis[len(alphas)] = earlier.basis, earlier.following
    while True:
        done = len(alphas)
        vector = product(basis[done])
        alphas.append(float(vector @ basis[done]))
        known = basis[: done + 1]
        for _ in range(2):  # twice is enough (Kahan, Parlett)
            vector = vector - (known @ vector) @ known
        betas.append(float(torch.linalg.vector_norm(vector)))
        following = vector / betas[-1] if betas[-1] > 0 else vector
        ritz = LanczosResult.of(basis[: done + 1], following, alphas, betas)
        exhausted = betas[-1] <= nothing * np.abs(ritz.values).max() or done + 1 == len(start)
        within = ritz.error <= tolerance * abs(ritz.top)
        if exhausted or (
            within and (done + 1 >= least or _is_highest(ritz, betas, tolerance, mass))
        ):
            return replace(ritz, converged=True)
        if done + 1 == steps:
            return ritz
        if done + 1 == len(basis):
            basis = torch.cat([basis, torch.empty_like(basis)])
        basis[done + 1] = following


def _is_highest(ritz: LanczosResult, betas: list[float], tolerance: float, mass: float) -> bool:
    """Say whether no eigenvalue above the top, with this share of the start, could stay unseen."""
    point = ritz.top + tolerance * abs(ritz.top)
    before, here, total = 0.0, 1.0, 1.0  # p_(j-1), p_j and the sum of squares at the point
    for alpha, beta, last in zip(ritz.diagonal.tolist(), betas, [0.0, *betas[:-1]], strict=True):
        before, here = here, ((point - alpha) * here - last * before) / beta
        total += here * here
        if total * mass >= 1:
            return True
    return False

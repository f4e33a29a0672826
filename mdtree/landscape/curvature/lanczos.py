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

Where memory holds fewer vectors than the steps need, the upper half of the Ritz vectors is kept
and the others are let go (thick restart).  With the residuals r_i, it then goes on from

    H y_i = theta_i y_i + r_i q,      q: the next vector,

so T has the kept theta_i on its diagonal and the r_i beside q; the rest is as before.  The density
stays that of the steps before the first restart: only they know the whole start vector.

Golub and Welsch 1969; van Dorsselaer, Hochstenbach and van der Vorst 2000 (what stays unseen); Wu
and Simon 2000 (restarts); Ghorbani, Krishnan and Xiao 2019, arXiv 1901.10159.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from statistics import NormalDist

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mdtree.landscape.curvature.gradient_graph import LossError

__all__ = ["LanczosResult", "check_finite", "lanczos"]

Product = Callable[[Tensor], Tensor]
_ROWS = 16  # initial size of the basis; few matrices need more
_MEMORY = 6 << 30  # bytes of the basis: 60 vectors of 26 million numbers, 16 of 100 million
_COLUMNS = 1 << 20  # that are combined at a time: nothing as large as the basis is made for it


@dataclass(frozen=True, kw_only=True)
class LanczosResult:
    """The result of Lanczos, with a basis of m vectors."""

    values: NDArray[np.float64]  # (m,) ascending
    residuals: NDArray[np.float64]  # (m,) of the values
    basis: Tensor  # (m, n), orthonormal rows
    diagonal: NDArray[np.float64]  # (m,) q_j H q_j; their sum is the trace inside the basis
    vectors: NDArray[np.float64]  # (m, m), eigenvectors of T in columns
    off_diagonal: NDArray[np.float64]  # (m,) beta_j; of what a restart kept, that beside the next
    following: Tensor  # (n,), the next vector
    converged: bool
    steps: int  # that were made; m, unless memory ended before
    kept: int  # vectors that the last restart kept; 0: there was none
    nodes: NDArray[np.float64]  # ascending, of the spectral density: the values, or earlier ones
    weights: NDArray[np.float64]  # of the nodes; their sum is 1

    @property
    def top(self) -> float:
        """Largest eigenvalue."""
        return float(self.values[-1])

    @property
    def error(self) -> float:
        """Bound on the distance of the largest value to an eigenvalue (with the estimated gap)."""
        residual = float(self.residuals[-1])
        if len(self.values) == 1 or self.kept == 1:  # one vector that was kept tells of no gap
            return residual
        gap = self.top - float(self.values[-2] + self.residuals[-2])
        return min(residual, residual**2 / gap) if gap > 0 else residual

    def top_vector(self) -> Tensor:
        """Compute the eigenvector of the largest eigenvalue."""
        combination = torch.as_tensor(self.vectors[:, -1]).to(self.basis)
        return combination @ self.basis

    @classmethod
    def of(cls, space: Space, basis: Tensor, following: Tensor) -> LanczosResult:
        """Compute the Ritz values of what the steps have found."""
        values, vectors = space.eigen()
        return cls(
            values=values,
            residuals=np.abs(space.off_diagonal[-1] * vectors[-1]),
            basis=basis,
            diagonal=np.asarray(space.diagonal),
            vectors=vectors,
            off_diagonal=np.asarray(space.off_diagonal),
            following=following,
            converged=False,
            steps=space.steps,
            kept=space.kept,
            nodes=values if space.density is None else space.density[0],
            weights=vectors[0] ** 2 if space.density is None else space.density[1],
        )


@dataclass(kw_only=True)
class Space:
    """T, and where it comes from."""

    diagonal: list[float] = field(default_factory=list)
    off_diagonal: list[float] = field(default_factory=list)
    steps: int = 0
    kept: int = 0
    density: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None  # before a restart

    @classmethod
    def behind(cls, result: LanczosResult) -> Space:
        """Return the space from which a result comes."""
        return cls(
            diagonal=result.diagonal.tolist(),
            off_diagonal=result.off_diagonal.tolist(),
            steps=result.steps,
            kept=result.kept,
            density=(result.nodes, result.weights) if result.kept else None,
        )

    def eigen(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Compute eigenvalues and eigenvectors of T."""
        import scipy.linalg  # loading it takes a tenth of the time of torch

        if not self.kept:
            values, vectors = scipy.linalg.eigh_tridiagonal(self.diagonal, self.off_diagonal[:-1])
            return values, vectors
        matrix = np.diag(self.diagonal)
        for row, beside in enumerate(self.off_diagonal[:-1]):
            column = max(row + 1, self.kept)
            matrix[row, column] = matrix[column, row] = beside
        values, vectors = scipy.linalg.eigh(matrix)
        return values, vectors

    def restart(self, ritz: LanczosResult, basis: Tensor) -> None:
        """Keep the upper half of the Ritz vectors, in the first rows of the basis."""
        count = len(ritz.values)
        upper = slice(count - count // 2, None)
        combination = torch.as_tensor(ritz.vectors[:, upper].T.copy()).to(basis)
        for start in range(0, basis.shape[1], _COLUMNS):
            part = basis[:count, start : start + _COLUMNS]
            basis[: count // 2, start : start + _COLUMNS] = combination @ part
        self.diagonal = ritz.values[upper].tolist()
        self.off_diagonal = (ritz.off_diagonal[-1] * ritz.vectors[-1, upper]).tolist()
        self.kept = count // 2
        self.density = ritz.nodes, ritz.weights


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

    All vectors are kept, up to 6 GiB of them; then it restarts with half of them.

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

    Raises:
        LossError: The products are finite, but too large to be multiplied by each other.
    """
    if earlier is not None and (earlier.steps >= steps or len(earlier.basis) == len(start)):
        return earlier
    nothing = torch.finfo(start.dtype).eps ** (2 / 3)  # relative to the largest eigenvalue
    fitting = min(max(_MEMORY // (len(start) * start.element_size()), 3), len(start))
    mass = NormalDist().inv_cdf(0.5 + risk / 2) ** 2 / len(start)  # smaller with that probability
    rows = fitting if fitting < steps else min(steps, _ROWS, len(start))  # large ones never grow
    space, basis = _begun(start, earlier, rows, fitting)
    while True:
        done = len(space.diagonal)
        vector = product(basis[done])
        space.diagonal.append(float(vector @ basis[done]))
        known = basis[: done + 1]
        for _ in range(2):  # twice is enough (Kahan, Parlett)
            vector = vector - (known @ vector) @ known
        beta = float(torch.linalg.vector_norm(vector))
        space.off_diagonal.append(beta)
        check_finite(space.diagonal[-1], beta, dtype=start.dtype)
        space.steps += 1
        following = vector / beta if beta > 0 else vector
        ritz = LanczosResult.of(space, known, following)
        exhausted = beta <= nothing * np.abs(ritz.values).max() or done + 1 == len(start)
        if exhausted or _is_known(ritz, least, tolerance, mass):
            return replace(ritz, converged=True)
        if space.steps >= steps:
            return ritz
        if done + 1 == fitting:
            space.restart(ritz, basis)
        elif done + 1 == len(basis):
            basis = torch.cat([basis, torch.empty_like(basis)])
        basis[len(space.diagonal)] = following


def check_finite(*numbers: float, dtype: torch.dtype) -> None:
    """Refuse products of vectors that are NaN or infinite.

    Raises:
        LossError: Some are.

    """
    if not all(map(math.isfinite, numbers)):
        kind = str(dtype).removeprefix("torch.")
        raise LossError(
            f"the second derivatives of the loss are too large for {kind}: look for inputs or "
            "weights that are far too large"
        )


def _begun(
    start: Tensor, earlier: LanczosResult | None, rows: int, fitting: int
) -> tuple[Space, Tensor]:
    """Return the space of what is known, and its basis with the next vector behind it."""
    if earlier is None:
        basis = start.new_empty(rows, len(start))
        basis[0] = start / torch.linalg.vector_norm(start)
        return Space(), basis
    space, done = Space.behind(earlier), len(earlier.basis)
    basis = start.new_empty(max(rows, min(done + 1, fitting)), len(start))
    basis[:done] = earlier.basis
    if done == fitting:
        space.restart(earlier, basis)
    basis[len(space.diagonal)] = earlier.following
    return space, basis


def _is_known(ritz: LanczosResult, least: int, tolerance: float, mass: float) -> bool:
    """Say whether the largest eigenvalue is known within the tolerance."""
    if ritz.error > tolerance * abs(ritz.top):
        return False
    return ritz.steps >= least or (ritz.kept == 0 and _is_highest(ritz, tolerance, mass))


def _is_highest(ritz: LanczosResult, tolerance: float, mass: float) -> bool:
    """Say whether no eigenvalue above the top, with this share of the start, could stay unseen."""
    point = ritz.top + tolerance * abs(ritz.top)
    betas = ritz.off_diagonal.tolist()
    before, here, total = 0.0, 1.0, 1.0  # p_(j-1), p_j and the sum of squares at the point
    for alpha, beta, last in zip(ritz.diagonal.tolist(), betas, [0.0, *betas[:-1]], strict=True):
        before, here = here, ((point - alpha) * here - last * before) / beta
        total += here * here
        if total * mass >= 1:
            return True
    return False

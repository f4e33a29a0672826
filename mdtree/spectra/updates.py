"""Updates: what fine-tuning added to each matrix, and which directions are new.

Between the weights W before and W' after, with D = W' - W:

    relative_norm     |D| / |W|, Frobenius
    share             |D|^2 of this matrix, of the sum over all matrices: where the update is
    rank              singular values of D above the rounding errors of W'
    effective_rank    exp of the entropy of these singular values, divided by their sum
    intruders         of the first 10 left singular vectors of W', those whose largest |cosine| with
                      any left singular vector of W is below 0.5
    least_cosine      the smallest of these largest |cosines|

A full fine-tuning mostly turns and stretches the directions that a network has.  LoRA often puts a
new direction before them, an intruder (Shuttleworth, Andreas, Torralba and Sharma 2024, arXiv
2410.21228; there, too, 10 vectors and all of W).  Effective rank: Roy and Vetterli 2007.

A convolution is one matrix, (out, in x kernel).  Vectors are those of the matrix as it is stored:
on the side of the outputs, but for Conv1D of GPT-2 on that of the inputs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mdtree.checkpoints import LazyTensor
from mdtree.progress import Progress, Silent
from mdtree.runtime.device import single_threads
from mdtree.spectra.eigenvalues import edge_of, gram
from mdtree.spectra.matrix import Matrix, find_matrices

__all__ = ["EXAMINED", "INTRUDING", "Update", "updates"]

EXAMINED = 10  # singular vectors of W'
INTRUDING = 0.5  # |cosine|, below which a vector is new

_SILENT = Silent()
_RESOLVED = 1e-7  # singular value, of the largest: a Gram matrix loses smaller ones


@dataclass(frozen=True, kw_only=True)
class Update:
    """What was added to one matrix; None where it cannot be told."""

    name: str
    kind: str
    sizes: tuple[int, int]
    norm: float | None = None  # |D|
    relative_norm: float | None = None
    share: float | None = None
    rank: int | None = None
    effective_rank: float | None = None
    intruders: int | None = None
    examined: int = 0  # singular vectors of W'
    least_cosine: float | None = None
    reason: str | None = None  # why there are no numbers

    @property
    def changed(self) -> bool:
        """Whether anything was added."""
        return self.norm is None or self.norm > 0


def updates(
    before: Iterable[LazyTensor],
    after: Iterable[LazyTensor],
    *,
    threads: int = 1,
    progress: Progress = _SILENT,
) -> tuple[Update, ...]:
    """Compare the matrices that both checkpoints have, by name and size, in the order of `before`.

    Args:
        before: The tensors of the earlier checkpoint, or of the base of an adapter.
        after: Those of the later one.
        threads: Matrices that are compared at a time.
        progress: Receives a step for each matrix.
    """
    old, new = (find_matrices(tensors, convention="flatten")[0] for tensors in (before, after))
    known = {(matrix.name, matrix.sizes): matrix for matrix in new}
    pairs = [(m, known[m.name, m.sizes]) for m in old if (m.name, m.sizes) in known]
    progress.start(len(pairs))
    found = []
    with single_threads(threads) as pool:
        for update in pool.map(lambda pair: _update(*pair), pairs):
            progress.step(update.name)
            found.append(update)
    total = sum(update.norm**2 for update in found if update.norm is not None)
    return tuple(
        replace(update, share=update.norm**2 / total)
        if update.norm is not None and total > 0
        else update
        for update in found
    )


def _update(old: Matrix, new: Matrix) -> Update:
    blank = Update(name=old.name, kind=old.kind, sizes=old.sizes)
    before, after = (m.cut(m.tensor.load())[0].double() for m in (old, new))
    if not bool(before.isfinite().all() and after.isfinite().all()):
        return replace(blank, reason="some numbers are not finite")
    added = after - before
    norm, whole = (float(torch.linalg.matrix_norm(m)) for m in (added, before))
    relative = norm / whole if whole > 0 else None
    same = replace(blank, norm=norm, relative_norm=relative, rank=0)
    if norm == 0:
        return replace(same, intruders=0, examined=min(EXAMINED, *old.sizes))
    # in double precision there is a reason to look below what a Gram matrix resolves
    is_double = new.tensor.dtype == torch.float64
    values = torch.linalg.svdvals(added) if is_double else _singular_values(added)
    size = float(torch.linalg.matrix_norm(after)) ** 2 / after.numel()
    noise = math.sqrt(edge_of(old.sizes, size).rounding(new.tensor.dtype))
    left = values[values > noise]
    same = replace(same, rank=len(left), effective_rank=_effective_rank(left))
    cosines = _largest_cosines(before, after)
    if cosines is None:
        return replace(same, reason="all weights are zero, before or after")
    return replace(
        same,
        intruders=int((cosines < INTRUDING).sum()),
        examined=len(cosines),
        least_cosine=float(cosines.min()),
    )


def _singular_values(matrix: Tensor) -> Tensor:
    squares: Tensor = torch.linalg.eigvalsh(gram(matrix))
    return squares.clamp_min(0).sqrt()


def _effective_rank(values: Tensor) -> float | None:
    if len(values) == 0:
        return None
    shares = values / values.sum()
    return math.exp(float(torch.special.entr(shares).sum()))


def _largest_cosines(before: Tensor, after: Tensor) -> Tensor | None:
    """Return the largest |cosine| of each of the first vectors of `after` with those of `before`.

    The products U' u are computed without U where the matrix is tall: U = W V / s.
    """
    values, own = _squares(before)
    later, last = _squares(after)
    if len(own.T) == 0 or len(last.T) == 0:
        return None
    top, later = last[:, -EXAMINED:], later[-EXAMINED:]
    if len(before) >= before.shape[1]:  # as `gram` decides it
        top = after @ top / later.sqrt()
        inner = own.T @ (before.T @ top) / values.sqrt()[:, None]
    else:
        inner = own.T @ top
    return inner.abs().amax(dim=0)


def _squares(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Return squared singular values, ascending, and their vectors on the shorter side."""
    values, vectors = torch.linalg.eigh(gram(matrix))
    kept = values > max(float(values[-1]) * _RESOLVED**2, 0.0)
    return values[kept], vectors[:, kept]

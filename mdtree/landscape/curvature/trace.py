"""The trace of a symmetric matrix, from matrix-vector products.

Inside an orthonormal basis Q (that of Lanczos, which contains the large eigenvalues) the trace is
known; outside it is estimated by the mean over random signs z:

    tr H = tr(Q^T H Q) + E[ g^T H g ],      g = (1 - Q Q^T) z

This is Hutch++ (Meyer, Musco, Musco and Woodruff 2021, arXiv 2010.09649) with Q from Lanczos: the
remaining variance comes only from the bulk of small eigenvalues.  With an empty basis it is
Hutchinson's estimator.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mdtree.landscape.curvature.lanczos import LanczosResult, check_finite

__all__ = ["Trace", "estimate_trace", "forms_outside"]

Products = Callable[[Tensor], Tensor]
_MEMORY = 1 << 30  # bytes of the probes that are drawn at a time, if more than one


@dataclass(frozen=True, kw_only=True)
class Trace:
    """An estimate of the trace."""

    value: float
    stderr: float  # of the mean over the probes
    probes: int
    converged: bool
    forms: tuple[float, ...] = ()  # g H g of the probes
    products: Tensor | None = None  # H g of the probes, if they are kept


def estimate_trace(
    products: Products,
    basis: Tensor,
    inside: float,
    *,
    source: torch.Generator,
    tolerance: float,
    least: int,
    budget: int,
    block: int = 4,
    known: Sequence[float] = (),
    keep: bool = False,
) -> Trace:
    """Draw probes until the standard error of the trace is within the tolerance.

    Args:
        products: Multiplies each row by the matrix.
        basis: Orthonormal rows, for which the trace is known.
        inside: The trace inside the basis.
        source: The source of the probes.
        tolerance: The largest standard error, relative to the trace.
        least: The minimal number of probes, which a standard error needs.
        budget: The maximal number of probes.
        block: Probes that are drawn at a time; fewer where they would take more than 1 GiB.
        known: The forms of the first probes: these are drawn again, but not multiplied.
        keep: Keep the products, for a larger basis.
    """
    forms: list[float] = []
    kept: list[Tensor] = []
    size = basis.shape[1]
    block = _block(block, basis)
    if len(basis) == size:
        return Trace(value=inside, stderr=0.0, probes=0, converged=True)
    while True:
        count = min(block, budget - len(forms))
        probes = _signs(count, size, source)
        if len(forms) < len(known):
            forms += known[len(forms) : len(forms) + count]
        else:
            outside = _outside(probes.to(basis), basis)
            multiplied = products(outside)
            forms += [float(p @ h) for p, h in zip(outside, multiplied, strict=True)]
            check_finite(inside, *forms, dtype=basis.dtype)
            if keep:
                kept.append(multiplied)
        value = inside + statistics.fmean(forms)
        stderr = statistics.stdev(forms) / math.sqrt(len(forms)) if len(forms) > 1 else math.inf
        converged = stderr <= tolerance * abs(value)
        if len(forms) >= budget or (converged and len(forms) >= max(least, len(known))):
            return Trace(
                value=value,
                stderr=stderr,
                probes=len(forms),
                converged=converged,
                forms=tuple(forms),
                products=torch.cat(kept) if kept else None,
            )


def forms_outside(
    ritz: LanczosResult, products: Tensor, source: torch.Generator, block: int = 4
) -> tuple[float, ...]:
    """Return the forms of probes outside the basis of Lanczos, from products in a smaller one.

    The smaller basis Q is that of fewer steps.  With P = 1 - Q_m Q_m^T, with g = P z of a probe z
    and with h = H (1 - Q Q^T) z, nothing needs to be multiplied again:

        g^T H g = g^T h - beta_m (q_(m+1)^T g) (q_m^T z) ,

    because H maps the other vectors of the basis into it.

    Args:
        ritz: The result of the larger number of steps.
        products: Of the first probes of `source`, in the smaller basis.
        source: The source from which they were drawn.
        block: As many probes as were drawn at a time.
    """
    count, size = products.shape
    block = _block(block, products)
    starts = range(0, count, block)
    signs = [_signs(min(block, count - start), size, source) for start in starts]
    probes = torch.cat(signs).to(ritz.basis)
    outside = _outside(probes, ritz.basis)
    along = (outside @ ritz.following) * (probes @ ritz.basis[-1])
    forms = (outside * products).sum(dim=1) - float(ritz.off_diagonal[-1]) * along
    return tuple(forms.tolist())


def _block(most: int, rows: Tensor) -> int:
    return min(most, max(_MEMORY // (rows.shape[1] * rows.element_size()), 1))


def _outside(probes: Tensor, basis: Tensor) -> Tensor:
    return probes - (probes @ basis.T) @ basis


def _signs(count: int, size: int, source: torch.Generator) -> Tensor:
    return torch.randint(0, 2, (count, size), generator=source, dtype=torch.int8) * 2 - 1

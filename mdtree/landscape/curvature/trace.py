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
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Trace", "estimate_trace"]

Products = Callable[[Tensor], Tensor]
_MEMORY = 1 << 30  # bytes of the probes that are drawn at a time, if more than one


@dataclass(frozen=True, kw_only=True)
class Trace:
    """An estimate of the trace."""

    value: float
    stderr: float  # of the mean over the probes
    probes: int
    converged: bool


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
    enough: Callable[[Trace], bool] = lambda _: False,
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
        enough: Asked after each block: whether less than the tolerance is enough.
    """
    forms: list[float] = []
    size = basis.shape[1]
    block = min(block, max(_MEMORY // (size * basis.element_size()), 1))
    if len(basis) == size:
        return Trace(value=inside, stderr=0.0, probes=0, converged=True)
    while True:
        count = min(block, budget - len(forms))
        probes = _signs(count, size, source).to(basis)
        probes -= (probes @ basis.T) @ basis
        forms += [float(p @ h) for p, h in zip(probes, products(probes), strict=True)]
        value = inside + statistics.fmean(forms)
        stderr = statistics.stdev(forms) / math.sqrt(len(forms)) if len(forms) > 1 else math.inf
        converged = stderr <= tolerance * abs(value)
        trace = Trace(value=value, stderr=stderr, probes=len(forms), converged=converged)
        if (converged and len(forms) >= least) or len(forms) >= budget or enough(trace):
            return trace


def _signs(count: int, size: int, source: torch.Generator) -> Tensor:
    return torch.randint(0, 2, (count, size), generator=source, dtype=torch.int8) * 2 - 1

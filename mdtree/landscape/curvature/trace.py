"""The trace of a symmetric matrix that is known by its products.

Inside an orthonormal basis Q (that of Lanczos, which holds the large eigenvalues) the trace is
known; outside of it, it is the mean over random signs z:

    tr H = tr(Q^T H Q) + E[ g^T H g ],      g = (1 - Q Q^T) z

This is Hutch++ (Meyer, Musco, Musco and Woodruff 2021, arXiv 2010.09649) with Q from Lanczos: the
variance that is left comes from the bulk of small eigenvalues alone.  With an empty basis it is
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


@dataclass(frozen=True, kw_only=True)
class Trace:
    """An estimate, and how it was reached."""

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
) -> Trace:
    """Draw probes, a block at a time, until the standard error is within the tolerance.

    `inside` is the trace inside the basis.  The tolerance is relative to the trace; there are at
    least `least` probes, so that their spread is known, and at most `budget`.
    """
    forms: list[float] = []
    size = basis.shape[1]
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
        if (converged and len(forms) >= least) or len(forms) >= budget:
            return Trace(value=value, stderr=stderr, probes=len(forms), converged=converged)


def _signs(count: int, size: int, source: torch.Generator) -> Tensor:
    return torch.randint(0, 2, (count, size), generator=source, dtype=torch.int8) * 2 - 1

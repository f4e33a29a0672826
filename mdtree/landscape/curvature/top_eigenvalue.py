"""The top eigenvalue alone: the largest eigenvalue of the Hessian, for those who need no more.

Lanczos on a sixteenth of the items tells for little where the top eigenvector lies, and from there
on all items it takes about three products.  (The density needs a random start; the trace needs the
eigenvectors below the first: `lanczos` itself is for them.)  The tolerance holds where the spectrum
has a gap below the largest eigenvalue, as that of a trained network has; of two that lie close, a
method of few products may see one.
"""

from __future__ import annotations

import torch

from mdtree.landscape.curvature.lanczos import LanczosResult, lanczos
from mdtree.landscape.curvature.operator import Hessian
from mdtree.landscape.seeding import generator

__all__ = ["top_eigenvalue"]

_SHARE = 16
_FEWEST = 64
_ROUGHLY = 0.05
_CHANCE = 0.05
_STEPS = 60  # at most


def top_eigenvalue(hessian: Hessian, *, tolerance: float, seed: int = 0) -> LanczosResult:
    """Find the largest eigenvalue to a relative tolerance."""
    items, source = hessian.items, generator(seed, "top eigenvalue")
    count = max(len(items) // _SHARE, _FEWEST)
    few = items.take(torch.randperm(len(items), generator=source)[:count])
    start = hessian.random(source)
    rough = lanczos(hessian.over(few).product, start, steps=_STEPS, tolerance=_ROUGHLY)
    # The few items may not know the direction; a little chance lets none be left out.
    begin = rough.top_vector() + _CHANCE * start / torch.linalg.vector_norm(start)
    # After two steps the gap below the largest eigenvalue is a guess: errors of 2 % passed for 1 %.
    return lanczos(hessian.product, begin, steps=_STEPS, tolerance=tolerance, least=3)

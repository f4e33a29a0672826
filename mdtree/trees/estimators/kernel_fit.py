"""Fitting a kernel regression, so that zoos can be left out of it in turn.

The weights of the centres are solved from sums over the training groups.  To leave a zoo out, the
sums over its groups are subtracted, without going through all groups again.

Ridge regression on few centres: Nystroem approximation of kernel ridge regression (Saunders,
Gammerman, Vovk 1998; Williams, Seeger 2001).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from operator import add, sub
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdtree.trees.arrays import Floats
from mdtree.trees.kernel_regression import KernelRegression, QuantileScale, kernel

__all__ = ["KernelProblem", "KernelSums"]

_BLOCK = 2048  # lines
_DIGITS = 9  # of a mean
_JITTER = 1e-6  # of the diagonal, so that centres that coincide do not make it singular


@dataclass(frozen=True, kw_only=True, eq=False)
class KernelSums:
    """Sums over lines, such as K'WK; sums over parts of the lines add up.

    Targets that are known for the same lines share a mask.
    """

    squares: Floats  # (masks, centres, centres): K' W K
    ones: Floats  # (masks, centres): K' W 1
    weights: Floats  # (masks,): 1' W 1
    counts: Floats  # (masks,): lines
    products: Floats  # (targets, centres): K' W y
    values: Floats  # (targets,): 1' W y

    def __add__(self, other: KernelSums) -> KernelSums:
        return self._with(other, add)

    def __sub__(self, other: KernelSums) -> KernelSums:
        return self._with(other, sub)

    def _with(self, other: KernelSums, operation: Callable[[Floats, Floats], Floats]) -> KernelSums:
        parts = (part.name for part in fields(self))
        return KernelSums(
            **{name: operation(getattr(self, name), getattr(other, name)) for name in parts}
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class KernelProblem:
    """What a kernel regression is fitted to."""

    scales: Mapping[int, QuantileScale]
    lines: Floats  # scaled; NaN is unknown
    targets: Mapping[str, Floats]  # one number a line, NaN where it is unknown
    weights: Floats  # of the lines
    centres: Floats  # scaled
    width: float
    ridge: float

    @cached_property
    def _masks(self) -> tuple[NDArray[np.bool_], NDArray[np.intp]]:
        """Return the distinct masks, and the mask of each target."""
        known = np.isfinite(np.array(list(self.targets.values())))
        masks, which = np.unique(known, axis=0, return_inverse=True)
        return masks, which.reshape(-1)

    def sums(self, own: NDArray[np.bool_] | None = None) -> KernelSums:
        """Sum over all lines, or over some of them.

        Lines with the same known targets are summed together, since most masks share most lines.
        Blocks of lines stay in the processor's cache.
        """
        masks, which = self._masks
        count, size = len(masks), len(self.centres)
        values = np.nan_to_num(np.array(list(self.targets.values())))
        sums = KernelSums(
            squares=np.zeros((count, size, size)),
            ones=np.zeros((count, size)),
            weights=np.zeros(count),
            counts=np.zeros(count),
            products=np.zeros((len(values), size)),
            values=np.zeros(len(values)),
        )
        chosen = np.arange(len(self.lines)) if own is None else np.flatnonzero(own)
        patterns, pattern_of = np.unique(masks[:, chosen], axis=1, return_inverse=True)
        for number, pattern in enumerate(patterns.T):
            alike = chosen[pattern_of.reshape(-1) == number]
            for start in range(0, len(alike), _BLOCK):
                block = alike[start : start + _BLOCK]
                root = np.sqrt(self.weights[block])
                near = kernel(self.lines[block], self.centres, self.width) * root[:, None]
                square, one = near.T @ near, root @ near
                for mask in np.flatnonzero(pattern):
                    sums.squares[mask] += square
                    sums.ones[mask] += one
                    sums.weights[mask] += (root**2).sum()
                    sums.counts[mask] += len(block)
                known = pattern[which]
                sums.products[known] += (values[np.ix_(known, block)] * root) @ near
                sums.values[known] += values[np.ix_(known, block)] @ root**2
        return sums

    def solved(self, sums: KernelSums, kept: NDArray[np.bool_] | None = None) -> KernelRegression:
        """Solve for the weights of the centres that are kept; by default, all of them."""
        from scipy.linalg import cho_factor, cho_solve

        kept = np.ones(len(self.centres), dtype=bool) if kept is None else kept
        centres = self.centres[kept]
        penalty = self.ridge * kernel(centres, centres, self.width)
        penalty[np.diag_indices_from(penalty)] += _JITTER
        _, which = self._masks
        weights: dict[str, Floats] = {}
        means: dict[str, float] = {}
        factors: dict[int, Any] = {}
        for number, target in enumerate(self.targets):
            mask = which[number]
            if not sums.counts[mask] > 0:
                continue
            usual = sums.weights[mask] / sums.counts[mask]
            if mask not in factors:
                squares = sums.squares[mask][np.ix_(kept, kept)] / usual + penalty
                factors[mask] = cho_factor(squares, overwrite_a=True) if len(centres) else None
            mean = sums.values[number] / sums.weights[mask]
            products = (sums.products[number] - mean * sums.ones[mask])[kept] / usual
            weights[target] = cho_solve(factors[mask], products) if len(centres) else products
            means[target] = float(f"{mean:.{_DIGITS}g}")
        return KernelRegression(
            scales=self.scales, centres=centres, width=self.width, means=means, weights=weights
        )

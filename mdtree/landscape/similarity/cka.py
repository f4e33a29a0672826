"""CKA: similarity of the features of two networks, regardless of the basis of the features.

    K = X X'                                      X (n, d): features, centred over the items
    HSIC_0(K, L) = <K, L>                         biased
    HSIC_1(K, L) = <K, L> - n/(n-2) k'l + tr K tr L / ((n-1)(n-2))     debiased; k, l: diagonals
    CKA = HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L))

HSIC is defined up to a factor of n, which cancels in CKA.  HSIC_1 is Song's estimator without
diagonals: the rows of a centred kernel sum to 0, so its sums over rows are those of the diagonal.

CKA is 1 for equal features, also if they are rotated, shifted or scaled.  The biased CKA of any two
networks goes to 1 as d outgrows n; the debiased CKA does not, and can be below 0.

Kornblith et al. 2019, arXiv 1905.00414; Nguyen et al. 2020, arXiv 2010.15327;
Song et al. 2012, Feature selection via dependence maximization.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

__all__ = ["MIN_ITEMS", "Kernel", "cka", "cka_stderr"]

MIN_ITEMS = 4  # the debiased estimator divides by n - 3

_NARROW = 8  # X is stored instead of K if n is at least this times d: <K, L> is then cheaper
_COLUMNS = 4096  # features that are converted to float64 at a time
_BLOCKS = 8  # of the jackknife
_ROUNDING = 4  # units in the last place by which equal outputs can differ
_NOTHING = 1e-12  # fraction of <K, K> that is rounding error; features are scaled to 0..1


@dataclass(frozen=True)
class Kernel:
    """The kernel of one network's features, as K or as X, whichever is cheaper; float64, CPU."""

    matrix: Tensor  # (n, n) K, or (n, d) X
    is_gram: bool

    @classmethod
    def of(cls, features: Tensor) -> Kernel:
        """Compute the kernel of features (n, ...).

        Features that differ only by rounding are treated as equal, and so are features that are not
        all finite, because they cannot distinguish items either.
        """
        if features.device.type == "mps":  # which has no float64
            features = features.cpu()
        flat = features.flatten(1) if features.dim() > 1 else features.unsqueeze(1)
        spread = _spread(flat)
        if not spread:
            return cls(torch.zeros(len(flat), 1, dtype=torch.float64), is_gram=False)
        scaled = (
            _centred((part.double() - part[0]) / spread) for part in torch.split(flat, _COLUMNS, 1)
        )
        if len(flat) >= _NARROW * flat.shape[1]:
            return cls(torch.cat(list(scaled), dim=1).cpu(), is_gram=False)
        gram = torch.zeros(len(flat), len(flat), dtype=torch.float64, device=flat.device)
        for part in scaled:
            gram.addmm_(part, part.T)
        return cls(gram.cpu(), is_gram=True)

    def __len__(self) -> int:
        return len(self.matrix)

    @property
    def is_constant(self) -> bool:
        """Whether the features of all items are equal."""
        return self.norm == 0

    @cached_property
    def gram(self) -> Tensor:
        """K itself."""
        return self.matrix if self.is_gram else self.matrix @ self.matrix.T

    @cached_property
    def diagonal(self) -> Tensor:
        """Squared norm of the features of each item."""
        return self.matrix.diagonal() if self.is_gram else self.matrix.square().sum(1)

    @cached_property
    def trace(self) -> float:
        """The sum of the diagonal."""
        return float(self.diagonal.sum())

    @cached_property
    def norm(self) -> float:
        """<K, K>."""
        return self.product(self)

    def product(self, other: Kernel) -> float:
        """Compute <K, L>, the sum over all entries, as |X'Y|^2 if both store features."""
        if self.is_gram or other.is_gram:
            return float(torch.dot(self.gram.reshape(-1), other.gram.reshape(-1)))
        return float((self.matrix.T @ other.matrix).square().sum())

    def of_items(self, chosen: Tensor) -> Kernel:
        """Compute the kernel of a subset of the items."""
        part = _centred(self.matrix[chosen])
        if self.is_gram:
            part = _centred(_centred(self.matrix[chosen][:, chosen]).T)
        return Kernel(part, is_gram=self.is_gram)


def cka(first: Kernel, second: Kernel, *, debiased: bool) -> float | None:
    """Compute the CKA of two networks on the same items.

    Args:
        first: The kernel of one network.
        second: The kernel of the other.
        debiased: Use the debiased estimator.

    Returns:
        CKA, or None if it is not defined: all features are equal, or (debiased) no two items are
        related, or there are fewer than four items.

    >>> features = Kernel.of(torch.eye(5))
    >>> round(cka(features, Kernel.of(3 * torch.eye(5)), debiased=False), 6)
    1.0
    """
    if debiased and len(first) < MIN_ITEMS:
        return None
    own = [_hsic(kernel, kernel, debiased=debiased) for kernel in (first, second)]
    if any(h <= _NOTHING * (1 + k.norm) for h, k in zip(own, (first, second), strict=True)):
        return None
    return _hsic(first, second, debiased=debiased) / math.sqrt(own[0] * own[1])


def cka_stderr(first: Kernel, second: Kernel, *, debiased: bool) -> float | None:
    """Compute the jackknife standard error of CKA over eight blocks of items.

    sqrt((g-1)/g sum_b (CKA_b - mean)^2)

    Args:
        first: The kernel of one network.
        second: The kernel of the other.
        debiased: Use the debiased estimator.

    Returns:
        The standard error, or None if too few items are left without a block.
    """
    block = torch.arange(len(first)) % _BLOCKS
    left = [torch.nonzero(block != b).squeeze(1) for b in range(min(_BLOCKS, len(first)))]
    values = [
        cka(first.of_items(items), second.of_items(items), debiased=debiased) for items in left
    ]
    known = [value for value in values if value is not None]
    if len(known) < len(values) or len(known) == 1:
        return None
    return math.sqrt((len(known) - 1) * statistics.pvariance(known))


def _hsic(first: Kernel, second: Kernel, *, debiased: bool) -> float:
    inner_product = first.norm if first is second else first.product(second)
    if not debiased:
        return inner_product
    n = len(first)
    diagonals = float(first.diagonal @ second.diagonal)
    traces = first.trace * second.trace
    return inner_product - n / (n - 2) * diagonals + traces / ((n - 1) * (n - 2))


def _spread(flat: Tensor) -> float:
    """Return the widest range of any feature; 0 if it is a rounding error or not finite."""
    if flat.shape[1] == 0:
        return 0.0
    lowest, highest = (bound.double() for bound in torch.aminmax(flat, dim=0))
    spread = float((highest - lowest).max())
    size = float(torch.maximum(highest.abs(), lowest.abs()).max())
    return spread if spread > _ROUNDING * torch.finfo(flat.dtype).eps * size else 0.0


def _centred(matrix: Tensor) -> Tensor:
    return matrix - matrix.mean(0)

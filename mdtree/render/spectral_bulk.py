"""The bulk of a spectrum, and the outliers beyond its edge.

    edge = mean +- 3 standard deviations,   of all eigenvalues, by the weights of the Ritz values

No eigenvalue of a random matrix lies there: those of a symmetric one end at two standard deviations
(Wigner's semicircle), those of a covariance with more samples than directions at no more than three
(Marchenko and Pastur).  So what stands beyond the edge is not noise of that kind.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Bulk", "bulk_of"]

_DEVIATIONS = 3.0

_Node = tuple[float, float]  # a Ritz value and its weight


@dataclass(frozen=True, kw_only=True)
class Bulk:
    """Where most eigenvalues lie."""

    low: float
    high: float

    def is_beyond(self, value: float) -> bool:
        """Return whether an eigenvalue is an outlier."""
        return not self.low <= value <= self.high


def bulk_of(nodes: Sequence[_Node]) -> Bulk:
    """Return the edges of the bulk of a spectrum.

    >>> bulk_of([(0.0, 0.5), (2.0, 0.5)])
    Bulk(low=-2.0, high=4.0)
    """
    total = math.fsum(weight for _, weight in nodes)
    mean = math.fsum(value * (weight / total) for value, weight in nodes)
    variance = math.fsum((value - mean) ** 2 * (weight / total) for value, weight in nodes)
    reach = _DEVIATIONS * math.sqrt(variance)
    return Bulk(low=mean - reach, high=mean + reach)

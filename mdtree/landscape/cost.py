"""Compute cost, in forward passes of one item.

    forward    one item forward, no graph kept                                1
    gradient   one item forward and backward                                  4
    product    one item's share of a Hessian-vector product, on a gradient    8
               whose graph was kept

The costs on the right were measured on ResNet-18 of widths 4 to 16 on a CPU (3.5 to 4.6, and 8 to
9); `python scripts/bench_metrics.py` measures them again.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ComputeCost", "CostMeter"]

_GRADIENT = 4.0
_PRODUCT = 8.0


@dataclass(frozen=True, kw_only=True)
class ComputeCost:
    """Numbers of items run forward, forward and backward, and through a second derivative."""

    forward: float = 0.0
    gradient: float = 0.0
    product: float = 0.0

    @property
    def passes(self) -> float:
        """The total in forward passes of one item."""
        return self.forward + _GRADIENT * self.gradient + _PRODUCT * self.product

    def __add__(self, other: ComputeCost) -> ComputeCost:
        return ComputeCost(
            forward=self.forward + other.forward,
            gradient=self.gradient + other.gradient,
            product=self.product + other.product,
        )

    def __mul__(self, times: float) -> ComputeCost:
        return ComputeCost(
            forward=self.forward * times,
            gradient=self.gradient * times,
            product=self.product * times,
        )


class CostMeter:
    """Adds up the cost of work."""

    def __init__(self) -> None:
        self.total: ComputeCost = ComputeCost()

    def add(self, cost: ComputeCost) -> None:
        """Add the cost of a computation."""
        self.total += cost

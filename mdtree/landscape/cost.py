"""Compute cost: what was computed, in passes of one item through the network.

    forward    one item through the network, nothing kept                     1
    gradient   one item forward and back                                      4
    product    one item's share of a Hessian-vector product, on a gradient    8
               whose graph was kept

The weights on the right were measured on ResNet-18 of widths 4 to 16 on a CPU (3.5 to 4.6, and 8
to 9); `python scripts/bench_metrics.py` prints them anew.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ComputeCost", "CostMeter"]

_GRADIENT = 4.0
_PRODUCT = 8.0


@dataclass(frozen=True, kw_only=True)
class ComputeCost:
    """Items that were run forward, forward and back, and through a second derivative."""

    forward: float = 0.0
    gradient: float = 0.0
    product: float = 0.0

    @property
    def passes(self) -> float:
        """Give all of it in forward passes of one item."""
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
    """Adds up the cost while work is done."""

    def __init__(self) -> None:
        self.total: ComputeCost = ComputeCost()

    def add(self, cost: ComputeCost) -> None:
        """Count what was just computed."""
        self.total += cost

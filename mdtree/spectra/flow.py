"""Correlation Flow: alpha against depth.

In well trained networks alpha stays small from the first layer to the last; an upward drift, or an
unsteady alpha, means that correlations are lost with depth (Martin, Peng, Mahoney 2021, section
"Correlation Flow").  The paper has no formula; here it is the Theil-Sen slope (the median over all
pairs of layers), the interquartile range, and the share above 6.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mdtree.spectra.layer import Layer

__all__ = ["Flow", "flow_of"]

_LEAST = 4  # layers
_LEVEL = 0.9
_MUCH = 6.0


@dataclass(frozen=True, kw_only=True)
class Flow:
    """How alpha changes with depth."""

    layers: int
    slope: float  # of alpha, from the first layer to the last
    low: float  # 90 % interval of the slope
    high: float
    spread: float  # interquartile range of alpha
    above: float  # share of layers with alpha > 6

    @property
    def shape(self) -> str:
        """The direction of the change, in words."""
        if self.low > 0:
            return "rises with depth"
        return "falls with depth" if self.high < 0 else "no drift"


def flow_of(layers: tuple[Layer, ...]) -> Flow | None:
    """Compute the flow of the layers that have an alpha; None if there are fewer than four."""
    alphas = np.array([x.figures.alpha for x in layers if x.figures.alpha is not None])
    if len(alphas) < _LEAST:
        return None
    from scipy.stats import theilslopes  # takes a second to load

    fit = theilslopes(alphas, np.linspace(0, 1, len(alphas)), alpha=_LEVEL)
    lower, upper = np.percentile(alphas, [25, 75])
    return Flow(
        layers=len(alphas),
        slope=float(fit.slope),
        low=float(fit.low_slope),
        high=float(fit.high_slope),
        spread=float(upper - lower),
        above=float(np.mean(alphas > _MUCH)),
    )

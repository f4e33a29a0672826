"""Normal scores: values of features, told by the quantiles of those that were seen."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np

from mdtree.trees.binning import Floats
from mdtree.trees.special import normal_quantiles

__all__ = ["LEVELS", "level_of", "normal_scores", "quantile_table", "short"]

LEVELS = np.linspace(0, 1, 41)
_SPREAD = float(np.diff(normal_quantiles(np.array([0.05, 0.95])))[0])
_END = 0.02  # the least level that a score is made of
_LARGEST = 1e300  # differences of such numbers are still finite
_SMALLEST = sys.float_info.min
_FARTHEST = 1e6  # spreads beyond the ends: farther away is no worse


def quantile_table(values: Floats) -> tuple[float, ...]:
    """Compute the quantiles of values, at levels from 0 to 1."""
    quantiles = np.quantile(values.clip(-_LARGEST, _LARGEST), LEVELS)
    return tuple(map(short, quantiles))


def short(value: float) -> float:
    """Keep five digits."""
    return float(f"{value:.5g}")


def level_of(quantiles: Floats, values: Floats) -> Floats:
    """Return levels by linear interpolation; a value that many groups share is in their middle."""
    levels = np.linspace(0, 1, len(quantiles))
    first = np.searchsorted(quantiles, values, side="left")
    behind = np.searchsorted(quantiles, values, side="right")
    middles = (levels[np.minimum(first, len(quantiles) - 1)] + levels[behind - 1]) / 2
    return np.asarray(np.where(first < behind, middles, np.interp(values, quantiles, levels)))


def normal_scores(tables: Sequence[Sequence[float]], groups: Floats) -> Floats:
    """Compute the normal score of each value: a column, and a table, for each feature."""
    columns = zip(tables, groups.T, strict=True)
    return np.column_stack([_scores(np.array(quantiles), column) for quantiles, column in columns])


def _scores(quantiles: Floats, values: Floats) -> Floats:
    inside: Floats = normal_quantiles(level_of(quantiles, values).clip(_END, 1 - _END))
    values = values.clip(-_LARGEST, _LARGEST)
    low, high = np.interp((0.05, 0.95), np.linspace(0, 1, len(quantiles)), quantiles)
    spread = float(high - low or quantiles[-1] - quantiles[0] or _SMALLEST)
    farthest = _FARTHEST * spread
    beyond: Floats = (values - values.clip(quantiles[0], quantiles[-1])).clip(-farthest, farthest)
    return inside + beyond / spread * _SPREAD

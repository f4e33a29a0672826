"""A quantity while it is measured: its value so far, and where its final value may lie.

Measuring tells it, judging answers whether that is enough; neither knows the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mdtree.rows.quantities import QUANTITIES
from mdtree.rows.row import Measured, Row, Value

__all__ = ["Enough", "Precision", "Running", "coarse_metrics", "remaining"]


@dataclass(frozen=True, kw_only=True)
class Running:
    """A quantity while it is measured.

    The final value is the one that the full tolerance would give.  It lies between the two ends of
    `reach` in 99 of 100 cases.  A curve gets better step by step: all of its quantities move
    together from their first end to their second.
    """

    value: float
    reach: tuple[float, float]


# running quantities of one metric -> whether the verdict can no longer change
Enough = Callable[[Mapping[str, Running]], bool]

# what is known of a group besides the metric that is measured -> what to ask meanwhile
Precision = Callable[[Row], Enough]


def remaining(quantities: Mapping[str, Value]) -> dict[str, Running]:
    """Return the quantities that are only as precise as a verdict needed."""
    return {
        name: Running(value=value.value, reach=value.reach)
        for name, value in quantities.items()
        if isinstance(value, Measured) and value.reach is not None
    }


def coarse_metrics(row: Row) -> tuple[str, ...]:
    """Return the metrics of a row that were stopped before their tolerance, each once."""
    metrics = (QUANTITIES[name].metric for name in remaining(row.quantities) if name in QUANTITIES)
    return tuple(dict.fromkeys(metrics))

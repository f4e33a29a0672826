"""A quantity while it is measured: its value so far, and where its final value may lie.

Measuring tells it, judging answers whether that is enough; neither knows the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mdtree.rows.quantities import QUANTITIES
from mdtree.rows.row import Measured, Row

__all__ = ["Enough", "Precision", "Running", "coarse_metrics", "remaining"]


@dataclass(frozen=True, kw_only=True)
class Running:
    """A quantity while it is measured.

    The final value is the one that the full tolerance would give.  It lies between the two ends of
    `reach` in 99 of 100 cases.  A curve gets better step by step: all of its quantities move
    together from their first end, which is what they are now, to their second.
    """

    value: float
    reach: tuple[float, float]


# running quantities of one metric -> whether the verdict can no longer change
Enough = Callable[[Mapping[str, Running]], bool]

# what is known of a group besides the metric that is measured -> what to ask meanwhile
Precision = Callable[[Row], Enough]


def remaining(row: Row) -> dict[str, Running]:
    """Return the quantities of a row that are only as precise as a verdict needed."""
    reach = (row.provenance.reach if row.provenance is not None else None) or {}
    values = {name: row.quantities.get(name) for name in reach if name in QUANTITIES}
    return {
        name: Running(value=value.value, reach=reach[name])
        for name, value in values.items()
        if isinstance(value, Measured)
    }


def coarse_metrics(row: Row) -> tuple[str, ...]:
    """Return the metrics of a row that were stopped before their tolerance, each once."""
    return tuple(dict.fromkeys(QUANTITIES[name].metric for name in remaining(row)))

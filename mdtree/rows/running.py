"""A quantity while it is measured: its value so far, and where its final value may lie.

Measuring tells it, judging answers whether that is enough; neither knows the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mdtree.rows.quantities import QUANTITIES
from mdtree.rows.row import Measured, Row

__all__ = ["Enough", "Precision", "Running", "coarse_metrics", "coarse_quantities", "remaining"]


@dataclass(frozen=True, kw_only=True)
class Running:
    """A quantity while it is measured.

    The final value is the one that the full tolerance would give.  It lies between the two ends of
    `reach` in 99 of 100 cases.  A curve gets better step by step: all of its quantities move
    together from their first end to their second, and what they are before that is no estimate.
    """

    value: float | None  # None: it stays missing if it is stopped now
    reach: tuple[float, float]


# running quantities of one metric -> whether the verdict can no longer change
Enough = Callable[[Mapping[str, Running]], bool]

# what is known of a group besides the metric that is measured -> what to ask meanwhile
Precision = Callable[[Row], Enough]


def remaining(row: Row) -> dict[str, Running]:
    """Return the quantities of a row that are only as precise as a verdict needed."""
    reach = (row.provenance.reach if row.provenance is not None else None) or {}
    values = {name: row.quantities.get(name) for name in reach}
    return {
        name: Running(value=value.value if isinstance(value, Measured) else None, reach=reach[name])
        for name, value in values.items()
        if name in QUANTITIES
    }


def coarse_quantities(row: Row) -> tuple[str, ...]:
    """Return the numbers of a row that are only as precise as a verdict needed."""
    return tuple(name for name, left in remaining(row).items() if left.value is not None)


def coarse_metrics(row: Row) -> tuple[str, ...]:
    """Return the metrics of a row that were stopped before their tolerance, each once."""
    return tuple(dict.fromkeys(QUANTITIES[name].metric for name in remaining(row)))

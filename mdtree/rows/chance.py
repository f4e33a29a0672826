"""What chance reaches where the number of classes is all that is known."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from mdtree.rows.facts import Fact
from mdtree.rows.row import Measured, Missing, Row, Value

__all__ = ["chance_of_classes", "with_chance"]

_CLASSES = "classes"  # the fact
_UNKNOWN = Missing(
    missing="the files do not tell a number of classes: name it, as in --fact classes=10"
)
_FEWEST, _MOST = 2, 1_000_000


def chance_of_classes(classes: float | None) -> dict[str, Value]:
    """Return the error and the loss of chance for classes that are equally frequent."""
    if classes is None:
        return {"chance_error": _UNKNOWN, "chance_loss": _UNKNOWN}
    return {
        "chance_error": Measured(value=100 * (1 - 1 / classes)),
        "chance_loss": Measured(value=math.log(classes)),
    }


def with_chance(row: Row) -> Row:
    """Return the row with what chance reaches, if its facts tell it and nothing else does."""
    classes = _told(row.facts)
    if classes is None or isinstance(row.quantities.get("chance_error"), Measured):
        return row
    return replace(row, quantities={**row.quantities, **chance_of_classes(classes)})


def _told(facts: Mapping[str, Fact]) -> float | None:
    told = facts.get(_CLASSES)
    if isinstance(told, bool) or not isinstance(told, int | float) or not _FEWEST <= told <= _MOST:
        return None
    return told

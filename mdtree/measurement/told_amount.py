"""The number of training items: that of the data counts, and what settings tell stands beside it.

Data may be a part of what a network was trained on, and settings may be those of another training:
nobody but the user knows which, so both numbers are told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from mdtree.rows import Fact
from mdtree.rows.facts import ITEMS_OF_DATA

__all__ = ["AMOUNT", "ToldAmount", "told_amount", "without_amount"]

AMOUNT = "data_amount"
ValueT = TypeVar("ValueT")
_ALIKE = 0.01  # of the larger: by so little, data and settings may differ


@dataclass(frozen=True, kw_only=True)
class ToldAmount:
    """What settings tell."""

    items: float
    place: str  # the file

    def notes(self, items: int) -> Iterator[str]:
        """Yield that the data hold another number of items, if they do."""
        if abs(self.items - items) > _ALIKE * max(self.items, items):
            yield (
                f"{self.place} tells of {self.items:.15g} training items, {ITEMS_OF_DATA} {items}: "
                "the number of the data is used, unless you state another "
                f"(--fact {AMOUNT}={self.items:.15g})"
            )


def told_amount(training: Mapping[str, Fact], origins: Mapping[str, str]) -> ToldAmount | None:
    """Return the number of training items that settings tell; None if they do not."""
    items = training.get(AMOUNT)
    if not isinstance(items, int | float):
        return None
    return ToldAmount(items=items, place=origins.get(AMOUNT, "a file"))


def without_amount(facts: Mapping[str, ValueT]) -> dict[str, ValueT]:
    """Leave out the number of training items, which data tell."""
    return {name: value for name, value in facts.items() if name != AMOUNT}

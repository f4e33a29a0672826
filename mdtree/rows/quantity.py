"""A quantity: a name of the vocabulary, with its unit and its meaning.

`published` is the column that holds the quantity in the tables of the MD tree paper (Zhou et al.,
ICML 2024); where those hold natural logarithms, `published_log` says so.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Quantity"]


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """One measurable number of a group."""

    name: str
    unit: str  # as printed behind the number; empty for a plain number
    meaning: str  # one line
    low: str  # what a low value says
    high: str  # what a high value says
    metric: str  # the metric that measures it
    published: str | None = None  # column in the published tables
    published_log: bool = False  # that column holds the natural logarithm of the mean over seeds

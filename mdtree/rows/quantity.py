"""A quantity: a name of the vocabulary, with its unit and its meaning.

`published` is the column that holds the quantity in the tables of the MD tree paper (Zhou et al.,
ICML 2024); where those hold natural logarithms, `published_log` says so.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["AMOUNT", "DIFFERENCE", "SHARE", "SIMILARITY", "Quantity", "Range"]

_ROUNDING = 1e-6  # beyond an end, relative to it


@dataclass(frozen=True)
class Range:
    """The numbers that are possible; an end that is None is open."""

    least: float | None = None
    most: float | None = None

    def __contains__(self, value: float) -> bool:
        """Whether a number is possible, apart from rounding."""
        least, most = self.least, self.most
        return (least is None or value >= least - _ROUNDING * max(abs(least), 1)) and (
            most is None or value <= most + _ROUNDING * max(abs(most), 1)
        )

    def clipped(self, value: float) -> float:
        """Return the nearest number that is possible.

        >>> Range(0, 100).clipped(-3.0), Range(0).clipped(7.0)
        (0, 7.0)
        """
        above = value if self.least is None else max(value, self.least)
        return above if self.most is None else min(above, self.most)

    def __str__(self) -> str:
        """Write the range in words.

        >>> str(Range(0, 100)), str(Range(0)), str(Range(most=1))
        ('0 to 100', 'at least 0', 'at most 1')
        """
        if self.least is not None and self.most is not None:
            return f"{self.least:g} to {self.most:g}"
        if self.least is not None:
            return f"at least {self.least:g}"
        return "any number" if self.most is None else f"at most {self.most:g}"


SHARE = Range(0, 100)  # of items or layers, in percent
DIFFERENCE = Range(-100, 100)  # of two shares
AMOUNT = Range(0)
SIMILARITY = Range(-1, 1)


@dataclass(frozen=True, kw_only=True, eq=False)
class Quantity:
    """One measurable number of a group."""

    name: str
    unit: str  # as printed behind the number; empty for a plain number
    meaning: str  # one line
    low: str  # what a low value says
    high: str  # what a high value says
    metric: str  # the metric that measures it
    range: Range | None = None  # of possible values; None: any number
    published: str | None = None  # column in the published tables
    published_log: bool = False  # that column holds the natural logarithm of the mean over seeds

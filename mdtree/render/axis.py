"""Axes: the place of a number between two ends, in percent, and the ticks."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from mdtree.render.formatting import short

__all__ = ["PlotAxis", "linear", "logarithmic"]

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_TICKS = 5  # at most, besides the first
_LARGEST, _SMALLEST = 1e100, 1e-100  # numbers beyond are drawn there
_FLAT = 0.02  # of a value; a smaller change is not drawn, so that ticks differ
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_DECADES = 4  # ticks at most


@dataclass(frozen=True, kw_only=True)
class PlotAxis:
    """One direction of a picture."""

    label: str
    low: float
    high: float
    ticks: tuple[float, ...]
    decades: bool = False  # logarithmic

    def at(self, value: float) -> float:
        """Return the place of a number from 0 to 100; a number outside is put on the edge."""
        clipped = min(max(value, self.low), self.high)
        if self.decades:
            percent = 100 * math.log(clipped / self.low) / math.log(self.high / self.low)
            return min(max(percent, 0.0), 100.0)
        half = self.high / 2 - self.low / 2  # halves do not overflow
        percent = 50 * (clipped / 2 - self.low / 2) / half * 2 if half else 50.0
        return min(max(percent, 0.0), 100.0)  # rounding may end slightly outside

    def written(self, tick: float) -> str:
        """Write a tick."""
        if self.decades and not 0.01 <= tick <= 100:  # noqa: PLR2004 - too many zeros to read
            return f"10{str(round(math.log10(tick))).translate(_RAISED)}"
        return short(tick, digits=4)


def linear(
    label: str, values: Iterable[float], *, least: float = 0.0, snug: bool = False
) -> PlotAxis:
    """Return an axis that holds all values and spans at least `least`.

    It begins and ends on a tick or, if `snug`, with the values.
    """
    clipped = [min(max(value, -_LARGEST), _LARGEST) for value in values] or [0.0]
    low, high = min(clipped), max(clipped)
    span = max(high - low, least, _FLAT * max(abs(low), abs(high)), 1e-12)
    step = _step(span)
    first = math.floor(low / step + 1e-9)
    last = max(math.ceil(max(high, low + least) / step - 1e-9), first + 1)
    ticks = tuple(float(f"{count * step:.12g}") for count in range(first, last + 1))
    if snug and low < high:
        inside = tuple(tick for tick in ticks if low <= tick <= high)
        return PlotAxis(label=label, low=low, high=high, ticks=inside)
    return PlotAxis(label=label, low=ticks[0], high=ticks[-1], ticks=ticks)


def _step(span: float) -> float:
    """Choose a round step that gives few ticks."""
    power = 10.0 ** math.floor(math.log10(span / _TICKS))
    return next(step * power for step in _STEPS if step * power * _TICKS >= span * (1 - 1e-9))


def logarithmic(label: str, values: Iterable[float], *, decades: int = 8) -> PlotAxis:
    """Return an axis of at most `decades`, down from the power of ten above all values."""
    clipped = [min(max(value, _SMALLEST), _LARGEST) for value in values if value > 0] or [1.0]
    top = math.ceil(math.log10(max(clipped)) - 1e-9)
    bottom = max(min(math.floor(math.log10(min(clipped))), top - 1), top - decades)
    step = -(-(top - bottom) // _DECADES)
    ticks = tuple(10.0**power for power in range(top, bottom - 1, -step))
    return PlotAxis(label=label, low=10.0**bottom, high=10.0**top, ticks=ticks, decades=True)

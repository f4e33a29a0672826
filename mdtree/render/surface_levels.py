"""The levels of a surface: round numbers, about as many as an eye can tell apart."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mdtree.render.plot import linear

__all__ = ["Scale", "scale"]

_WANTED = 7  # levels
_DECADE = 10.0  # of the largest over the smallest loss: from there on levels are logarithmic
_SMALLEST = 1e-90  # a loss below is not drawn in powers of ten
_DEPTH = 1e-6  # of the highest loss: what lies below is drawn there
_FLAT = 0.02  # of a value: within it, levels would not differ as they are written
_STEPS = (1.0, 2.0, 2.5, 5.0)  # times a power of ten, between levels
# the levels of each decade, from many to one
_DECADES = ((1, 1.5, 2, 3, 4, 5, 6, 8), (1, 1.5, 2, 3, 5, 7), (1, 2, 3, 5), (1, 2, 5), (1, 3), (1,))
_INK = 0.85  # of the highest band


@dataclass(frozen=True, kw_only=True)
class Scale:
    """The levels between bands, and how heights are compared with them."""

    levels: tuple[float, ...]
    floor: float | None  # of a logarithmic scale: what lies below is drawn there

    def ink(self, number: int) -> float:
        """Return the opacity of a layer over those below it, so that bands darken evenly."""
        each = _INK / len(self.levels)
        return each / (1 - number * each)

    def height(self, value: float) -> float:
        """Return the height that is interpolated: linear, or logarithmic."""
        return value if self.floor is None else math.log(max(value, self.floor))


def scale(low: float, high: float, *, logarithmic: bool) -> Scale:
    """Choose round levels inside the range, six to eight where the range allows.

    >>> scale(0.0, 90.0, logarithmic=False).levels
    (10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0)
    >>> scale(0.1, 10.0, logarithmic=True).levels
    (0.2, 0.3, 0.5, 1.0, 2.0, 3.0, 5.0)
    """
    if logarithmic and low >= 0 and high > max(_DECADE * low, _SMALLEST):
        floor = max(low, high * _DEPTH)
        choices = [_inside(_round_numbers(floor, high, digits), floor, high) for digits in _DECADES]
        return Scale(levels=_nearest(choices), floor=floor)
    span = high - low
    if not max(_FLAT * max(abs(low), abs(high)), _SMALLEST) < span < math.inf:
        return Scale(levels=_inside(linear("", [low, high]).ticks, low, high), floor=None)
    powers = range(math.floor(math.log10(span)) - 2, math.floor(math.log10(span)) + 1)
    steps = [step * 10.0**power for power in powers for step in _STEPS]
    return Scale(levels=_nearest([_multiples(step, low, high) for step in steps]), floor=None)


def _nearest(choices: Sequence[tuple[float, ...]]) -> tuple[float, ...]:
    """Return the levels whose number is the nearest to the wanted one."""
    return min(choices, key=lambda levels: abs(len(levels) - _WANTED))


def _multiples(step: float, low: float, high: float) -> tuple[float, ...]:
    counts = range(math.floor(low / step), math.ceil(high / step) + 1)
    return _inside((float(f"{count * step:.12g}") for count in counts), low, high)


def _inside(
    levels: Iterator[float] | Sequence[float], low: float, high: float
) -> tuple[float, ...]:
    return tuple(level for level in levels if low < level < high)


def _round_numbers(low: float, high: float, digits: Sequence[float]) -> Iterator[float]:
    for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1):
        yield from (float(f"{digit}e{power}") for digit in digits)

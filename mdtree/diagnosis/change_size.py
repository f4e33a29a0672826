"""How far a change goes: which known fact is changed, and by how much.

It is learnt from the training groups: by how much the fact had to change there for the gain that is
expected.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from mdtree.failure_modes import AXES, GridAxis
from mdtree.labelling import number_of
from mdtree.rows import Row
from mdtree.rows.facts import AMOUNT_AT_MOST
from mdtree.rows.training_words import is_adaptive
from mdtree.trees import Leaf

__all__ = ["SMALLER", "change_of", "changed", "usual_factors"]

SMALLER = 10  # times smaller learning rate where training diverged: it is seldom near the edge
_FARTHEST = 8.0  # the largest factor by which a fact is changed, where a leaf tells it
_USUAL = 4.0
_SMALLEST_BATCH = 4
_FEWEST_STEPS = 100  # of a training, with a larger batch
_LARGEST = 1e15  # no fact is larger
_MIDDLE = {"batch_size": 64.0, "learning_rate": 0.01}  # of the values in use
_ADAPTIVE = 0.001  # the middle of the learning rates of Adam and its kin
_UNUSUAL = 8.0  # times further from the middle: that fact is changed, whatever groups needed


def change_of(
    remedy: str, leaf: Leaf, row: Row, doublings: float | None
) -> tuple[str, float] | tuple[None, None]:
    """Choose a known fact to change, by as much as groups like this one needed.

    Of batch size and learning rate, one that is far from the values in use comes first.  A
    regression tells how often the fact is to be doubled (or halved), in whole steps; without one, a
    leaf of a tree tells it.  A batch holds a few items at least (normalisation needs them), and all
    training items at most, and leaves a training some steps: where it cannot be changed, the
    learning rate is, if it is known.
    """
    known = [*_told_by_leaf(remedy, leaf, row), *usual_factors(remedy, row)]
    possible = [(fact, factor) for fact, factor in known if _room(fact, factor, row) >= 1]
    if not possible:
        return None, None
    fact, factor = possible[0]
    steps = abs(math.log2(factor)) if doublings is None else max(round(doublings), 1)
    steps = min(steps, _room(fact, factor, row))
    return fact, 2.0**steps if factor > 1 else 2.0**-steps


def _room(fact: str, factor: float, row: Row) -> float:
    """Return how often a fact can be doubled, or halved if the factor is below 1."""
    value, most = number_of(row, fact), number_of(row, "data_amount")
    most = number_of(row, AMOUNT_AT_MOST) if most is None else most
    if value is None or value <= 0:
        return 0.0
    if fact != "batch_size":
        return math.inf
    if factor < 1:
        return max(math.log2(value / _SMALLEST_BATCH), 0.0)
    steps = number_of(row, "steps")  # of which a larger batch leaves fewer
    room = math.inf if most is None or most <= 0 else max(math.log2(most / value), 0.0)
    return room if not steps else min(room, max(math.log2(steps / _FEWEST_STEPS), 0.0))


def _told_by_leaf(remedy: str, leaf: Leaf, row: Row) -> list[tuple[str, float]]:
    """Return the change that groups like this one needed, if its fact is known."""
    unusual = _unusual(remedy, row)
    way = leaf.ways.get(remedy)
    if unusual is not None and (way is None or way.fact != unusual.fact):
        return [(unusual.fact, _FARTHEST if unusual.up == remedy else 1 / _FARTHEST)]
    if (
        way is not None
        and way.fact is not None
        and way.factor is not None
        and number_of(row, way.fact) is not None
    ):
        return [(way.fact, min(max(way.factor, 1 / _FARTHEST), _FARTHEST))]
    return []


def usual_factors(remedy: str, row: Row) -> Iterator[tuple[str, float]]:
    """Yield the known facts that can be changed for a remedy, with the usual factor."""
    for axis in AXES:
        if remedy in (axis.up, axis.down) and number_of(row, axis.fact) is not None:
            yield axis.fact, _USUAL if axis.up == remedy else 1 / _USUAL


def _unusual(remedy: str, row: Row) -> GridAxis | None:
    """Return the temperature's knob that is much further from its usual values than the other."""
    excess: dict[GridAxis, float] = {}  # how far it would have to be turned, as a logarithm
    for axis in AXES:
        value = number_of(row, axis.fact)
        if axis.fact in _MIDDLE and remedy in (axis.up, axis.down) and value and value > 0:
            factor = math.log(_middle(axis.fact, row) / value)
            excess[axis] = factor if axis.up == remedy else -factor
    if len(excess) < len(_MIDDLE):
        return None  # there is nothing to choose
    second, first = sorted(excess, key=excess.__getitem__)
    lead = excess[first] - max(excess[second], 0.0)
    return first if lead >= math.log(_UNUSUAL) else None


def _middle(fact: str, row: Row) -> float:
    """Return the middle of the values in use, which depends on the optimizer."""
    optimizer = row.facts.get("optimizer")
    adaptive = isinstance(optimizer, str) and is_adaptive(optimizer)
    return _ADAPTIVE if fact == "learning_rate" and adaptive else _MIDDLE[fact]


def changed(
    old: float | None, factor: float, *, is_integer: bool
) -> tuple[float, float] | tuple[None, None]:
    """Return the old and the new value of a fact if both are known and differ."""
    if old is None or not 1 / _LARGEST < old * factor < _LARGEST:
        return None, None
    new = _round_to_two_digits(old * factor, is_integer=is_integer)
    return (old, new) if new != old else (None, None)


def _round_to_two_digits(value: float, *, is_integer: bool) -> float:
    """Round to two digits: a recommendation is not a measurement.

    Counts stay whole, at least 1, and become a power of two if that is nearer.
    """
    rounded = round(value, 1 - math.floor(math.log10(value)))
    if not is_integer:
        return rounded
    power = 2.0 ** round(math.log2(value))
    return max(min(float(round(rounded)), power, key=lambda candidate: abs(candidate - value)), 1.0)

"""The grid of a zoo: what each group would gain by a move along one axis, all other facts fixed.

The room for improvement of a group is the test accuracy that the best move along one axis adds:

    RFI(remedy) = max over the groups in that direction, itself included, of test accuracy - own

A group at the end of its grid has a gain of 0 there, as in the published tables.  The true gain
beyond the grid is not known, so these remedies are also listed as `unknown`.  The gain of a change
by a factor of 2 or 4 is kept separately if there is a group that far away.
"""

from __future__ import annotations

import math
import statistics
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from mdtree.exceptions import RowsError
from mdtree.failure_modes import AXES, GridAxis, Move, RoomForImprovement
from mdtree.rows import Measured, Row

__all__ = ["accuracy_of", "number_of", "room_for_improvement"]

_DEFAULT_MARGIN = 0.5  # points, if the spread between seeds is not known
_ERRORS = 2.0  # standard errors of a difference that count as noise
# A margin that is this much larger than usual, or this share of the test error, hides gains.
_NOISY = 3.0  # times the usual margin of a zoo
_SHARE = 0.5  # of the test error
_LITTLE = 1.0  # points; less is nothing to gain
_FACTORS = (2, 4)  # of a change, whose gains are kept separately
_SAME = 0.01  # of a factor


def room_for_improvement(
    rows: Sequence[Row], *, axes: Sequence[GridAxis] = AXES, margin: float | None = None
) -> list[RoomForImprovement]:
    """Compare every row with the rows of its zoo that differ from it along one axis only.

    An axis is left out of a zoo if its rows do not differ on it or not all of them have it.  The
    margin of a group is 2 sqrt(2) times the standard error of its test accuracy over seeds (two
    standard errors of a difference), or the median one of its zoo if that is larger; 0.5 points if
    there is none, or `margin`.
    """
    zoos: dict[object, list[int]] = {}
    for number, row in enumerate(rows):
        zoos.setdefault(row.facts.get("zoo"), []).append(number)
    rooms: dict[int, RoomForImprovement] = {}
    for numbers in zoos.values():
        zoo_rooms = _rooms_of_zoo([rows[number] for number in numbers], axes, margin)
        rooms |= dict(zip(numbers, zoo_rooms, strict=True))
    if not any(room.gains for room in rooms.values()):
        mended = ", ".join(axis.fact for axis in axes if axis.up or axis.down)
        raise RowsError(
            f"labels need a grid: none of {mended} is known for every row and differs between rows"
        )
    return [rooms[number] for number in range(len(rows))]


def _rooms_of_zoo(
    rows: Sequence[Row], axes: Sequence[GridAxis], margin: float | None
) -> list[RoomForImprovement]:
    accuracy = [accuracy_of(row) for row in rows]
    values = {axis: [number_of(row, axis.fact) for row in rows] for axis in axes}
    varying = [
        axis
        for axis, axis_values in values.items()
        if None not in axis_values and len(set(axis_values)) > 1
    ]
    gains: list[dict[str, float]] = [{} for _ in rows]
    steps: list[dict[str, float]] = [{} for _ in rows]
    known: list[set[str]] = [set() for _ in rows]  # remedies with a group further along an axis
    moves: list[dict[str, Move]] = [{} for _ in rows]
    by_factor: list[dict[str, dict[int, float]]] = [{} for _ in rows]
    for axis in varying:
        others = [values[other] for other in varying if other is not axis]
        for line in _lines(values[axis], others):
            _refuse_duplicates(rows, line, values[axis], varying)
            _compare_line(line, axis, accuracy, gains, steps)
            for remedy, inner in ((axis.down, line[1:]), (axis.up, line[:-1])):
                if remedy is not None:
                    for number in inner:
                        known[number].add(remedy)
            for number, remedy, gain, move in _moves(line, axis, accuracy, values[axis]):
                if gain == gains[number][remedy]:  # the axis that serves the remedy best
                    moves[number][remedy] = move
            for number, remedy, factor, gain in _by_factor(line, axis, accuracy, values[axis]):
                best = by_factor[number].setdefault(remedy, {})
                best[factor] = max(gain, best.get(factor, gain))  # two axes can serve one remedy
    margins = _margins(rows) if margin is None else [margin] * len(rows)
    usual = statistics.median(margins)
    return [
        RoomForImprovement(
            gains=g,
            step=s,
            margin=m,
            moves=way,
            unknown=frozenset(g.keys() - k),
            noisy=m > min(_NOISY * usual, max(_SHARE * (100 - own), _LITTLE)),
            by_factor=f,
        )
        for g, s, m, way, k, own, f in zip(
            gains, steps, margins, moves, known, accuracy, by_factor, strict=True
        )
    ]


def number_of(row: Row, fact: str) -> float | None:
    """Return a fact as a number; None for text, a Boolean, and a number that is too large."""
    value = row.facts.get(fact)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def _lines(along: Sequence[Any], others: Sequence[Sequence[Any]]) -> list[list[int]]:
    """Group the rows that agree on all other axes, each group sorted along this one."""
    lines: dict[tuple[object, ...], list[int]] = {}
    for number in sorted(range(len(along)), key=along.__getitem__):
        lines.setdefault(tuple(other[number] for other in others), []).append(number)
    return list(lines.values())


def _refuse_duplicates(
    rows: Sequence[Row], line: Sequence[int], along: Sequence[Any], axes: Sequence[GridAxis]
) -> None:
    for first, second in pairwise(line):
        if along[first] == along[second]:
            shared = ", ".join(f"{axis.fact} {rows[first].facts[axis.fact]}" for axis in axes)
            raise RowsError(
                f"groups {rows[first].group!r} and {rows[second].group!r} are at the same point of "
                f"the grid ({shared}), which can hold only one group: label them separately, or "
                f"add the fact in which they differ to every row"
            )


def _compare_line(
    line: list[int],
    axis: GridAxis,
    accuracy: list[float],
    gains: list[dict[str, float]],
    steps: list[dict[str, float]],
) -> None:
    for remedy, ordered in ((axis.down, line), (axis.up, line[::-1])):
        if remedy is None:
            continue
        best = -math.inf
        before: int | None = None
        for number in ordered:
            best = max(best, accuracy[number])
            gain = best - accuracy[number]
            if gain >= gains[number].get(remedy, -1.0):  # two axes can serve one remedy
                gains[number][remedy] = gain
                steps[number][remedy] = (
                    0.0 if before is None else accuracy[before] - accuracy[number]
                )
            before = number


def _moves(
    line: list[int], axis: GridAxis, accuracy: list[float], along: Sequence[Any]
) -> Iterator[tuple[int, str, float, Move]]:
    """Yield the move to the best group in each direction and its gain, if it gains at all."""
    for remedy, ordered in ((axis.down, line), (axis.up, line[::-1])):
        if remedy is None:
            continue
        best = ordered[0]
        for number in ordered:
            if accuracy[number] >= accuracy[best]:  # the nearest of equals
                best = number
            elif along[number] > 0 < along[best]:
                gain = accuracy[best] - accuracy[number]
                yield number, remedy, gain, Move(axis.fact, along[best] / along[number])


def _by_factor(
    line: list[int], axis: GridAxis, accuracy: list[float], along: Sequence[Any]
) -> Iterator[tuple[int, str, int, float]]:
    """Yield the gain of a change by a factor of 2 or 4, if there is a group that far away."""
    places = [along[number] for number in line]  # in rising order
    for number in line:
        for remedy, way in ((axis.up, 1), (axis.down, -1)):
            for factor in _FACTORS if remedy is not None and along[number] > 0 else ():
                aim = along[number] * float(factor) ** way
                start = bisect_left(places, aim * (1 - _SAME))
                end = bisect_right(places, aim * (1 + _SAME))
                for other in line[start:end]:
                    yield number, str(remedy), factor, accuracy[other] - accuracy[number]


def accuracy_of(row: Row) -> float:
    """Return the test accuracy of a row in percent: the fact, or the measured one.

    Raises:
        RowsError: If the row has neither.

    """
    accuracy = number_of(row, "test_accuracy")
    if accuracy is not None:
        return accuracy
    error = row.quantities.get("test_error")
    if isinstance(error, Measured):
        return 100 - error.value
    raise RowsError(
        f"group {row.group!r} has no test accuracy: labels need the quantity test_error or the "
        "fact test_accuracy in every row"
    )


def _margins(rows: Sequence[Row]) -> list[float]:
    """Return the noise of each group of a zoo: its own, but at least the usual one there.

    Two seeds often agree by chance; that alone does not make a group free of noise.
    """
    stderrs = [_stderr(row) for row in rows]
    known = [stderr for stderr in stderrs if stderr]
    usual = statistics.median(known) if known else 0.0
    noise = [max(stderr, usual) for stderr in stderrs]
    return [_ERRORS * math.sqrt(2) * stderr if stderr else _DEFAULT_MARGIN for stderr in noise]


def _stderr(row: Row) -> float:
    """Return the standard error of the test accuracy; 0 if it is not known."""
    error = row.quantities.get("test_error")
    return max(error.stderr or 0.0, 0.0) if isinstance(error, Measured) else 0.0

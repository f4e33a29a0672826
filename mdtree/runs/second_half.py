"""What the second half of a training brought, by its log: whether it had come to rest."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

from mdtree.messages import plural
from mdtree.rows import Fact
from mdtree.rows.facts import LATE_GAIN, LATE_LOSS_DROP
from mdtree.runs.history import History

__all__ = ["late_facts", "late_told"]

_FEWEST = 4  # evaluations, from which parts of a training are compared
_WIDEST = 0.35  # share of a training between two evaluations in its second half
_STILL = 1.0  # percent of the loss; what fell by less in the last quarter had come to rest


def late_facts(histories: Sequence[History]) -> dict[str, Fact]:
    """Return how far test accuracy and test loss went in the second half, mean over runs.

    Points of accuracy and percent of the loss; 0 where they went the wrong way or had come to rest
    before the last quarter.  Nothing where not all runs were evaluated often enough, on one data
    set.
    """
    found: dict[str, Fact] = {}
    gains = list(filter(None, (_changes(each, "test_accuracy") for each in histories)))
    drops = list(filter(None, (_changes(each, "test_loss") for each in histories)))
    if len(gains) == len(histories) > 0:
        half, quarter = (
            _mean(end - start for start, end in part) for part in zip(*gains, strict=True)
        )
        found[LATE_GAIN] = _bounded(half if quarter >= 0 else 0.0)
    # percent of a loss that may be negative say nothing
    if len(drops) == len(histories) > 0 and min(min(part) for run in drops for part in run) > 0:
        half, quarter = (
            _mean(100 * (1 - end / start) for start, end in part)
            for part in zip(*drops, strict=True)
        )
        found[LATE_LOSS_DROP] = _bounded(half if quarter >= _STILL else 0.0)
    return found


def late_told(
    histories: Sequence[History], log: str = "the log"
) -> tuple[dict[str, Fact], tuple[str, ...]]:
    """Return these facts; where `log` has too few evaluations for any, a note that says so."""
    facts = late_facts(histories)
    logged = [history for history in histories if history.points]
    fewest = min((_evaluations(history) for history in logged), default=_FEWEST)
    if facts or fewest >= _FEWEST or any(history.diverged for history in logged):
        return facts, ()
    count = f"{plural(fewest, 'evaluation')} of test data {'is' if fewest == 1 else 'are'} logged"
    return facts, (f"{log}: {count}; whether training ended too early is told from {_FEWEST} on",)


def _evaluations(history: History) -> int:
    side = _usual_side(history)
    points = [point for point in history.points if point.test_side == side is not None]
    names = ("test_accuracy", "test_loss")
    return max(sum(getattr(point, name) is not None for point in points) for name in names)


def _mean(values: Iterable[float]) -> float:
    known = list(values)
    return sum(known) / len(known)


def _bounded(value: float) -> float:
    return min(round(value, 1), 100.0) if value > 0 else 0.0


_Change = tuple[float, float]  # from, to


def _changes(history: History, name: str) -> tuple[_Change, _Change] | None:
    """Return how a number changed in the second half of the training, and in the last quarter."""
    side = _usual_side(history)
    curve = [
        (place, value)
        for place, point in zip(_places(history), history.points, strict=True)
        if point.test_side == side is not None and (value := getattr(point, name)) is not None
    ]
    if len(curve) < _FEWEST or not math.isfinite(curve[-1][1]):
        return None
    curve = [(place, value) for place, value in curve if math.isfinite(value)]
    last, end = curve[-1]
    gaps = [after - before for (before, _), (after, _) in pairwise(curve) if after > last / 2]
    if not 0 <= curve[0][0] <= last / 2 or not 0 < max(gaps, default=0.0) <= _WIDEST * last:
        return None
    return (_at(curve, last / 2), end), (_at(curve, 3 * last / 4), end)


def _usual_side(history: History) -> str | None:
    """Return the data on which most evaluations were made: a last test may be on others."""
    sides = Counter(point.test_side for point in history.points if point.test_side is not None)
    return max(sides, key=lambda side: sides[side], default=None)


def _places(history: History) -> list[float]:
    """Return where each point lies in the training, which begins at 0."""
    for name in ("step", "epoch"):
        places = [getattr(point, name) for point in history.points]
        if places and None not in places:
            # an epoch is logged at its end, and some count from 0
            shift = 1.0 if name == "epoch" and places[0] == 0 else 0.0
            return [place + shift for place in places]
    return [float(number) for number in range(1, len(history.points) + 1)]


def _at(curve: Sequence[tuple[float, float]], place: float) -> float:
    """Interpolate between two points of a curve."""
    for (x0, y0), (x1, y1) in pairwise(curve):
        if x0 <= place <= x1:
            return y0 if x1 == x0 else y0 + (y1 - y0) * (place - x0) / (x1 - x0)
    return curve[-1][1]

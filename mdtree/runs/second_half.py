"""What the second half of a training brought, by its log: whether it had come to rest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from mdtree.rows import Fact
from mdtree.rows.facts import LATE_GAIN, LATE_LOSS_DROP
from mdtree.runs.history import History

__all__ = ["late_facts"]

_FEWEST = 4  # evaluations, from which halves of a training are compared
_DIGITS = 1


def late_facts(histories: Sequence[History]) -> dict[str, Fact]:
    """Return how far test accuracy and test loss went in the second half, mean over runs.

    Points of accuracy and percent of the loss; 0 where they went the wrong way, and nothing where
    not all runs were evaluated in both halves.
    """
    found: dict[str, Fact] = {}
    accuracies = [_half_and_end(each, "test_accuracy") for each in histories]
    losses = [_half_and_end(each, "test_loss") for each in histories]
    gains = [end - half for half, end in filter(None, accuracies)]
    drops = [100 * (1 - end / half) for half, end in filter(None, losses) if half > 0]
    for name, values in ((LATE_GAIN, gains), (LATE_LOSS_DROP, drops)):
        if len(values) == len(histories) > 0:
            found[name] = min(max(round(sum(values) / len(values), _DIGITS), 0.0), 100.0)
    return found


def _half_and_end(history: History, name: str) -> tuple[float, float] | None:
    """Return a number in the middle of the training and at its end."""
    values = [getattr(point, name) for point in history.points]
    curve = [
        (place, value)
        for place, value in zip(_places(history), values, strict=True)
        if value is not None and math.isfinite(value)
    ]
    if len(curve) < _FEWEST:
        return None
    (first, _), (last, end) = curve[0], curve[-1]
    return None if first > last / 2 else (_at(curve, last / 2), end)


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

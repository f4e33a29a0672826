"""The time left, as it is shown: smooth, and never changed by more than a factor of two at once."""

from __future__ import annotations

import math
from collections import deque

__all__ = ["TimeLeft"]

_FIRST = 2.0  # seconds of work before anything is said
_PERIOD = 1.0  # seconds between two changes of what is shown
_MOST = 2.0  # factor
_SLUGGISH = 0.1  # of the time left, in which most of a wrong estimate is forgotten
_LEAST_SLUGGISH = 3.0  # seconds
_OFTEN, _POINTS = 0.1, 1000.0  # seconds, and a share of the time, between two notes
_UNITS = ((7200.0, 360.0), (120.0, 60.0), (0.0, 1.0))  # from so many seconds on, in what it is said


class TimeLeft:
    """Estimates the time left from the work that is done, by a clock that the caller reads.

    What is left takes as long for each unit of work as what was done in the latter half of the
    time: (W - w) t / u, with w of W units done, u of them in the last t seconds.  The time before
    the first report of work counts only where a whole unit was done at once: workers start slowly.
    From one change of what is shown to the next, the estimate counts down, moves towards that, and
    is held between half and twice of the last.
    """

    def __init__(self, now: float) -> None:
        self._known: deque[tuple[float, float]] = deque()  # when, and what was done then
        self._started = now
        self._changed = now
        self._shown: float | None = None
        self._exact = 0.0  # what is shown is rounded, and held within limits

    def elapsed(self, now: float) -> float:
        """Return the seconds since the start."""
        return now - self._started

    def note(self, now: float, done: float) -> None:
        """Take down how much is done, often enough for the pace and not more often."""
        since = now - self._known[-1][0] if self._known else math.inf
        if done > 0 and since >= max(_OFTEN, self.elapsed(now) / _POINTS):
            self._known.append((now, done))

    def shown(self, now: float, done: float, total: float) -> float | None:
        """Return the seconds to show; None: not known yet."""
        passed = now - self._changed
        if self._shown is not None and passed < _PERIOD:
            return self._shown
        self.note(now, done)
        pace = self._pace(now, done) if done > 0 else None
        if pace is None:
            return self._shown
        estimate = max(total - done, 0.0) * pace
        if self._shown is None:
            self._exact, self._shown = estimate, _said(estimate, 0.0, math.inf)
        else:
            expected = max(self._exact - passed, 0.0)
            patience = max(_LEAST_SLUGGISH, _SLUGGISH * min(estimate, expected))
            weight = 1 - math.exp(-passed / patience)
            self._exact = expected + weight * (estimate - expected)
            self._shown = _said(self._exact, self._shown / _MOST, self._shown * _MOST)
        self._changed = now
        return self._shown

    def _pace(self, now: float, done: float) -> float | None:
        """Return the seconds that a unit of work takes now; None: not known yet."""
        half = now - self.elapsed(now) / 2
        while len(self._known) > 1 and self._known[1][0] <= half:
            self._known.popleft()
        then, before = self._known[0]
        if done > before and now - then >= _FIRST:
            return (now - then) / (done - before)
        if done < 1 or self.elapsed(now) < _FIRST:
            return None
        return self.elapsed(now) / done


def _said(seconds: float, least: float, most: float) -> float:
    """Round to what can be said, within limits between which something can be said."""
    seconds = min(max(seconds, least, 1.0), most)
    unit = next(unit for start, unit in _UNITS if seconds >= start)
    rounded = round(seconds / unit) * unit
    if rounded > most:
        return math.floor(seconds / unit) * unit
    return math.ceil(seconds / unit) * unit if rounded < least else rounded

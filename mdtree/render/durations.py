"""Durations as people say them."""

from __future__ import annotations

__all__ = ["about", "duration", "estimated_duration"]

_MINUTE, _HOUR = 60, 3600  # seconds


def duration(seconds: float) -> str:
    """Write a time as people say it.

    >>> duration(0.2), duration(90), duration(600), duration(9000)
    ('under a second', '90 s', '10 min', '2.5 h')
    """
    if seconds < 1:
        return "under a second"
    if seconds < 2 * _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < 2 * _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    return f"{seconds / _HOUR:.1f} h"


def about(seconds: float) -> str:
    """Write a time that was estimated.

    >>> about(0.2), about(90)
    ('under a second', 'about 90 s')
    """
    text = duration(seconds)
    return text if seconds < 1 else f"about {text}"


def estimated_duration(seconds: float, low: float, high: float) -> str:
    """Write an estimated time, with its range where that can be told from it.

    >>> estimated_duration(720, 610, 890), estimated_duration(100, 90, 150)
    ('about 12 min (10 to 15 min)', 'about 100 s (90 s to 2 min)')
    >>> estimated_duration(30, 29.8, 30.2), estimated_duration(0.1, 0.1, 0.2)
    ('about 30 s', 'under a second')
    """
    text, first, last = (duration(each) for each in (seconds, low, high))
    if first == last:
        return about(seconds)
    if text == first and seconds < 1:
        return f"under a second (up to {last})"
    (number, _, unit), (_, _, other) = (each.rpartition(" ") for each in (first, last))
    return f"{about(seconds)} ({number if unit == other else first} to {last})"

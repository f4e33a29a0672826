"""Words of messages: the nearest known one, how many, and names made harmless."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["nearest", "plural", "printable"]


def nearest(word: str, known: Iterable[str], *, cutoff: float = 0.6) -> str:
    """Give the end of a message that suggests the nearest known word, or nothing if none is near.

    >>> nearest("widht", ["width", "depth"])
    ", did you mean 'width'?"
    """
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=cutoff)
    return f", did you mean {near[0]!r}?" if near else ""


def plural(count: int, noun: str) -> str:
    """Count things.

    >>> plural(1, "group"), plural(3, "group")
    ('1 group', '3 groups')
    """
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def printable(text: str, *, keep: str = "") -> str:
    """Show control characters instead of sending them: a file's name may hold terminal codes."""
    return "".join(c if c.isprintable() or c in keep else repr(c)[1:-1] for c in text)

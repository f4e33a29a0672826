"""Helpers for messages: nearest known word, plurals, shares, safe and short names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from itertools import islice

__all__ = ["MOST_FAULTS", "nearest", "percent", "plural", "printable", "shortened"]

MOST_FAULTS = 20  # that one message lists

_LONGEST_WORD = 100  # characters; nobody misspells a longer one, and comparing costs its square
_MOST_WORDS = 10_000  # to compare with


def nearest(word: str, known: Iterable[str], *, cutoff: float = 0.6) -> str:
    """Return the end of a message that suggests the nearest known word, or "" if none is near.

    >>> nearest("widht", ["width", "depth"])
    ", did you mean 'width'?"
    """
    if len(word) > _LONGEST_WORD:
        return ""
    words = islice(
        (candidate for candidate in known if len(candidate) <= _LONGEST_WORD), _MOST_WORDS
    )
    matches = difflib.get_close_matches(word, words, n=1, cutoff=cutoff)
    return f", did you mean {matches[0]!r}?" if matches else ""


def percent(share: float) -> str:
    """Write a share in percent, without claiming that something is certain or impossible.

    All that a person reads, and all checks, write shares by this rule.

    >>> percent(0.5364), percent(0.9996), percent(0.002), percent(1.0)
    ('54 %', 'over 99 %', 'under 1 %', '100 %')
    """
    if 0 < share < 0.005:  # noqa: PLR2004 - it would be written as 0
        return "under 1 %"
    if 0.995 <= share < 1:  # noqa: PLR2004 - it would be written as 100
        return "over 99 %"
    return f"{100 * share:.0f} %"


def plural(count: int, noun: str) -> str:
    """Return a count with its noun, in the plural where needed.

    >>> plural(1, "group"), plural(3, "group")
    ('1 group', '3 groups')
    """
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def printable(text: str, *, keep: str = "") -> str:
    """Escape control characters: a file name may contain terminal codes."""
    return "".join(c if c.isprintable() or c in keep else repr(c)[1:-1] for c in text)


def shortened(text: str, most: int) -> str:
    """Shorten a text to at most `most` characters, with an ellipsis where it was cut.

    >>> shortened("landscape", 5), shortened("loss", 5)
    ('land…', 'loss')
    """
    return text if len(text) <= most else f"{text[: most - 1]}…"

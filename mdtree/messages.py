"""Helpers for messages: nearest known word, plurals, numbers with errors, safe and short names."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import islice

__all__ = [
    "MOST_FAULTS",
    "chance",
    "listed",
    "nearest",
    "number",
    "percent",
    "percent_below",
    "plural",
    "printable",
    "scaled",
    "short",
    "shortened",
    "shortened_within",
]

MOST_FAULTS = 20  # that one message lists

_LONGEST_WORD = 100  # characters; nobody misspells a longer one, and comparing costs its square
_MOST_WORDS = 10_000  # to compare with
_ROUNDING = 1e-9  # a smaller relative error comes from arithmetic
_LONG = 1e3, 1e9  # numbers between them are written in full, with commas
_DIGITS = 6  # after the point, at most
_SMALLEST = 1e-9  # of a share that is not 0
_NARROW = 1.1  # a smaller factor is written as an error bar


def nearest(word: str, known: Iterable[str], *, cutoff: float = 0.6) -> str:
    """Return the end of a message that suggests the nearest known word, or "" if none is near.

    >>> nearest("widht", ["width", "depth"])
    ", did you mean 'width'?"
    """
    if len(word) > _LONGEST_WORD:
        return ""
    import difflib  # late: most words are known

    words = islice(
        (candidate for candidate in known if len(candidate) <= _LONGEST_WORD), _MOST_WORDS
    )
    matches = difflib.get_close_matches(word, words, n=1, cutoff=cutoff)
    return f", did you mean {matches[0]!r}?" if matches else ""


def number(value: float, stderr: float | None, *, commas: bool = False) -> str:
    """Write a number with its standard error, to two digits of the error.

    >>> number(12.3456, 0.5678), number(1234.5, 99.6, commas=True), number(12.3456, None)
    ('12.35 ± 0.57', '1,234 ± 100', '12.35')
    """
    if stderr is None or not math.isfinite(stderr) or stderr <= _ROUNDING * max(abs(value), 1e-3):
        return short(value) if commas else f"{value:.4g}"
    digits = max(0, 1 - math.floor(math.log10(stderr)))
    if digits > _DIGITS or max(abs(value), stderr) >= _LONG[1]:
        return f"{value:.3g} ± {stderr:.2g}"
    form = f"{',' if commas else ''}.{digits}f"
    return f"{value:{form}} ± {stderr:{form}}"


def scaled(value: float, factor: float, *, commas: bool = False) -> str:
    """Write a positive number whose error is a factor, as that of a logarithm is.

    >>> scaled(70.94, 1.8), scaled(1.0053, 1.02), scaled(1.0053, 1.0)
    ('70.94 (within a factor of 1.8)', '1.005 ± 0.020', '1.005')
    """
    if factor < _NARROW:
        return number(value, value * (factor - 1), commas=commas)
    return f"{number(value, None, commas=commas)} (within a factor of {factor:.2g})"


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


def chance(share: float) -> str:
    """Write an estimated probability in percent; 0 says that the estimate is small, not impossible.

    The probabilities of answers, and of measurements that change one, are written by this rule.

    >>> chance(0.5364), chance(0.002), chance(0.0)
    ('54 %', 'under 1 %', 'under 1 %')
    """
    return percent(max(share, _SMALLEST))


def percent_below(share: float, limit: float) -> str:
    """Write a share in percent, with a decimal if it would else look as if it reached the limit.

    >>> percent_below(0.5966, 0.6), percent_below(0.59999, 0.6), percent_below(0.41, 0.6)
    ('59.6 %', '59.9 %', '41 %')
    """
    if share < limit and percent(share) == percent(limit):
        return f"{math.floor(1000 * share) / 10:.1f} %"
    return percent(share)


def listed(texts: Sequence[str], separator: str = ", ", *, most: int = 5) -> str:
    """Join the first of some texts, and say how many are left out.

    >>> listed(["a", "b", "c", "d"], most=2), listed(["a", "b"])
    ('a, b, and 2 more', 'a, b')
    """
    more = f"{separator}and {len(texts) - most:,} more" if len(texts) > most else ""
    return separator.join(texts[:most]) + more


def plural(count: int, noun: str) -> str:
    """Return a count with its noun, in the plural where needed.

    >>> plural(1, "group"), plural(3, "group")
    ('1 group', '3 groups')
    """
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def printable(text: str, *, keep: str = "") -> str:
    """Escape control characters: a file name may contain terminal codes."""
    return "".join(c if c.isprintable() or c in keep else repr(c)[1:-1] for c in text)


def shortened_within(text: str, most: int, *, end: int) -> str:
    """Shorten a text in its middle: the ends of names tell them apart.

    >>> shortened_within("width-2_noise-0.1", 10, end=4)
    'width…-0.1'
    """
    return text if len(text) <= most else f"{text[: most - end - 1]}…{text[-end:]}"


def short(value: float, *, digits: int = 3) -> str:
    """Write a number in few characters.

    >>> short(7.9919), short(12034.5), short(0.000123), short(-0.0)
    ('7.99', '12,034', '0.000123', '0')
    """
    least, most = _LONG
    if least <= abs(value) < most:
        return f"{value:,.0f}"
    return f"{value + 0.0:.{digits}g}"


def shortened(text: str, most: int) -> str:
    """Shorten a text to at most `most` characters, with an ellipsis where it was cut.

    >>> shortened("landscape", 5), shortened("loss", 5)
    ('land…', 'loss')
    """
    return text if len(text) <= most else f"{text[: most - 1]}…"

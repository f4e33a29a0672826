"""The screen that text is written for: its width, its colours, and the letters that it can show.

Without one, lines are as long as they like and nothing is coloured.  The command line says which
screen there is; whoever writes text asks for it here, so that no function has to pass it on.
"""

from __future__ import annotations

import contextlib
import re
import unicodedata
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass

__all__ = ["MODE_STYLES", "Screen", "columns", "fold", "screen", "shown_on", "spelling"]

_SPELT = {
    "±": "+/-",
    "…": "...",
    "≤": "<=",
    "≥": ">=",
    "→": "->",
    "\u2013": "-",  # dashes
    "\u2014": "-",
    "\u00d7": "x",  # times
    "·": ".",
    "²": "^2",
    "─": "-",
    "│": "|",
    "├": "|",
    "└": "`",
}
# style -> the numbers of "select graphic rendition"
_STYLES = {
    "bold": "1",
    "soft": "2",
    "alarm": "1;33",
    "red": "1;31",
    "green": "1;32",
    "yellow": "1;33",
    "blue": "1;34",
    "magenta": "1;35",
}
# failure mode -> its style, as near to the colours of the page as the eight colours come
MODE_STYLES = {
    "temperature_high": "red",
    "temperature_low": "blue",
    "model_small": "yellow",
    "data_small": "magenta",
    "none": "green",
}
_PAINT = re.compile(r"\x1b\[[\d;]*m")
_WORD = re.compile(r"\s*\S+")
_DEEPEST = 4  # an indent takes at most one in so many columns


@dataclass(frozen=True, kw_only=True)
class Screen:
    """What text is written for.

    >>> Screen(encoding="ascii").spelt("12.5 ± 0.3"), Screen(colour=True).painted("next:", "bold")
    ('12.5 +/- 0.3', '\\x1b[1mnext:\\x1b[0m')
    """

    width: int | None = None  # columns; None: lines may have any length
    colour: bool = False
    encoding: str = "utf-8"

    def spelt(self, text: str) -> str:
        """Spell the letters that the encoding lacks."""
        try:
            text.encode(self.encoding)
        except UnicodeEncodeError:
            return "".join(self._spelt(letter) for letter in text)
        return text

    def painted(self, text: str, style: str) -> str:
        """Colour a text, if there are colours."""
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if self.colour and text else text

    def _spelt(self, letter: str) -> str:
        try:
            letter.encode(self.encoding)
        except UnicodeEncodeError:
            return spelling(letter)
        return letter


_SCREEN: ContextVar[Screen] = ContextVar("screen", default=Screen())  # noqa: B039 - it is frozen


def screen() -> Screen:
    """Return the screen that text is written for now."""
    return _SCREEN.get()


@contextlib.contextmanager
def shown_on(other: Screen) -> Iterator[Screen]:
    """Write for another screen meanwhile."""
    token = _SCREEN.set(other)
    try:
        yield other
    finally:
        _SCREEN.reset(token)


def spelling(letter: str) -> str:
    """Spell a letter in ASCII.

    >>> spelling("±"), spelling("é")
    ('+/-', '\\\\xe9')
    """
    return _SPELT.get(letter) or letter.encode("ascii", "backslashreplace").decode()


def columns(text: str) -> int:
    """Count the columns that a text takes on a screen.

    >>> columns("loss"), columns("漢字"), columns("e\u0301")
    (4, 4, 1)
    """
    if text.isascii() and "\x1b" not in text:
        return len(text)
    return sum(map(_columns, _PAINT.sub("", text)))


def _columns(letter: str) -> int:
    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def fold(text: str, width: int | None = None, *, deeper: int = 2) -> str:
    r"""Break lines that are too long for the screen, at spaces where there are any.

    What goes on is indented `deeper` than its line.  A word longer than a line is cut.

    >>> fold("next: use a larger network", 16)
    'next: use a\n  larger network'
    """
    most = screen().width if width is None else width
    if most is None:
        return text
    return "\n".join(part for line in text.split("\n") for part in _folded(line, most, deeper))


def _folded(line: str, width: int, deeper: int) -> Iterator[str]:
    if columns(line) <= width:
        yield line
        return
    depth = len(line) - len(line.lstrip(" ")) + deeper
    indent = " " * min(depth, width // _DEEPEST)
    current, is_empty = "", True
    for word in _WORD.findall(line):
        added = word
        if columns(current + added) > width:
            if not is_empty:
                yield current
                current, added = indent, word.lstrip()
            while columns(current + added) > width:
                room = _longest(added, width - columns(current))
                yield current + added[:room]
                current, added = indent, added[room:]
        current += added
        is_empty = False
    yield current


def _longest(text: str, width: int) -> int:
    """Return how many letters of a text fit, at least one."""
    used = 0
    for count, letter in enumerate(text):
        used += _columns(letter)
        if used > width:
            return max(count, 1)
    return len(text)

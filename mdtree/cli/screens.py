"""Which screen there is: the width, the colours and the letters of a stream.

NO_COLOR            no colours
FORCE_COLOR         colours also in a pipe (0: none); so does CLICOLOR_FORCE
CLICOLOR=0          no colours
TERM=dumb           no colours, and no line is drawn twice
COLUMNS             the width, also in a pipe
"""

from __future__ import annotations

import codecs
import io
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol, TextIO

import click

from mdtree.render.screen import Screen, fold, screen, shown_on, spelling

__all__ = [
    "DRAWN",
    "can_draw",
    "error_screen",
    "on_screen",
    "print_xml",
    "say",
    "screen_of",
    "tell",
]

_USUAL = 80  # columns of a terminal that does not say
_NARROWEST, _WIDEST = 20, 1000
_NO = ("", "0", "false", "no")
_SPELLED = "mdtree-spelled"  # the name of our error handler for encodings
_CAREFUL = ("strict", "backslashreplace")  # error handlers that nobody has chosen


class _Redrawn(Protocol):
    def clear(self) -> None: ...
    def draw(self) -> None: ...


DRAWN: list[_Redrawn] = []  # bars on the terminal, which messages must not run into


def screen_of(stream: TextIO | None, environment: Mapping[str, str] = os.environ) -> Screen:
    """Return the screen that a stream is written to."""
    return Screen(
        width=_width(stream, environment),
        colour=_has_colour(stream, environment),
        encoding=getattr(stream, "encoding", None) or "utf-8",
    )


def can_draw(stream: TextIO | None, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a line of a stream can be drawn again, as bars are."""
    return _is_terminal(stream) and environment.get("TERM") != "dumb"


def error_screen() -> Screen:
    """Return the screen of messages."""
    return screen_of(sys.stderr)


@contextmanager
def on_screen(stdout: TextIO | None) -> Iterator[Screen]:
    """Write for the screen of a stream, and never fail at a letter that its encoding lacks."""
    for stream in (stdout, sys.stderr):
        _spell(stream)
    with shown_on(screen_of(stdout)) as there:
        yield there


def say(text: str) -> None:
    """Print text for people, folded to the width of the screen."""
    click.echo(fold(screen().spelt(text)))


def print_xml(text: str) -> None:
    """Print XML, with references for what an encoding other than UTF-8 would turn into nonsense."""
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    if codecs.lookup(encoding).name != "utf-8":
        text = text.encode("ascii", "xmlcharrefreplace").decode()
    click.echo(text, nl=False)


def tell(text: str) -> None:
    """Print a message on stderr, folded to its width; it may stand above a progress bar."""
    there = error_screen()
    for line in DRAWN:
        line.clear()
    click.echo(fold(there.spelt(text), there.width), err=True)
    for line in DRAWN:
        line.draw()


def _width(stream: TextIO | None, environment: Mapping[str, str]) -> int | None:
    named = environment.get("COLUMNS", "")
    width = int(named) if named.isdecimal() and len(named) <= len(str(_WIDEST)) else 0
    if not width and _is_terminal(stream):
        assert stream is not None
        try:
            width = os.get_terminal_size(stream.fileno()).columns or _USUAL
        except (OSError, ValueError):  # io.UnsupportedOperation is both
            width = _USUAL
    return min(max(width, _NARROWEST), _WIDEST) if width else None


def _has_colour(stream: TextIO | None, environment: Mapping[str, str]) -> bool:
    if environment.get("NO_COLOR"):
        return False
    for name in ("FORCE_COLOR", "CLICOLOR_FORCE"):
        if environment.get(name, "").lower() not in _NO:
            return True
    if environment.get("FORCE_COLOR") or environment.get("CLICOLOR") == "0":
        return False
    return can_draw(stream, environment)


def _is_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # it was closed
        return False


def _spell(stream: TextIO | None) -> None:
    """Spell what the encoding of a stream lacks, unless the user has said what to do."""
    if not isinstance(stream, io.TextIOWrapper) or stream.errors not in _CAREFUL:
        return
    if not _is_unicode(stream.encoding):
        codecs.register_error(_SPELLED, _replaced)
        stream.reconfigure(errors=_SPELLED)


def _is_unicode(encoding: str) -> bool:
    return codecs.lookup(encoding).name.startswith("utf")


def _replaced(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    return "".join(map(spelling, letters)), error.end

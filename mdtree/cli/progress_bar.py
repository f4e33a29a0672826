"""The progress of long work on stderr: a bar on a terminal, elsewhere a line now and then.

measuring hessian  [#####-------------]   3/10  wide-2  4 min left
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO

import click

from mdtree.cli.screens import DRAWN, can_draw, error_screen
from mdtree.cli.time_left import TimeLeft
from mdtree.messages import printable
from mdtree.render.formatting import duration
from mdtree.render.screen import columns

__all__ = ["Bar"]

_REDRAWN = 0.1  # seconds between two drawings
_LINE = 30.0  # seconds between two lines, at least
_LINES = 100.0  # lines of work that takes for days, about: they become rarer
_LEAST_BAR, _BAR, _SHARE = 10, 30, 0.3  # columns, and of those of the screen
_LEAST_NAME, _NAME = 8, 40  # columns
_GAP = "  "


class Bar:
    """Progress that is shown: `with Bar("measuring") as bar: work(progress=bar)`.

    It never counts time itself: `clock` says what time it is, in seconds from any origin.
    """

    def __init__(self, label: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._label = label
        self._clock = clock
        self._is_running = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._finish()

    def start(self, total: int, stage: str = "") -> None:
        """Begin anew, below the bar before."""
        self._finish()
        if not total or sys.stderr is None:
            return
        now = self._clock()
        self._total, self._stage = total, stage
        self._steps, self._skipped = 0, 0
        self._inside: dict[str, float] = {}  # step -> the share of it that is done
        self._name, self._now = "", ""  # of the latest step, and what is done in it
        self._left = TimeLeft(now)
        self._stream: TextIO = sys.stderr
        self._draws = can_draw(self._stream)
        self._drawn = ""
        self._latest = now
        self._lines = 0
        self._is_running = True
        if self._draws:
            DRAWN.append(self)
            self.draw()

    def step(self, done: str) -> None:
        """Count a step."""
        if self._is_running:
            self._inside.pop(done, None)
            self._steps += 1
            self._moved(done)

    def skip(self, done: str) -> None:
        """Count a step that took no time."""
        if self._is_running:
            self._skipped += 1
            self.step(done)

    def inside(self, name: str, share: float, stage: str = "") -> None:
        """Move on within a step."""
        if self._is_running:
            self._inside[name] = min(max(share, 0.0), 1.0)
            self._now = stage
            self._moved(name)

    def draw(self) -> None:
        """Draw the bar in its line, and stay there."""
        line = self._bar_line(self._clock())
        rest = columns(self._drawn) - columns(line)
        self._write(f"\r{line}{' ' * max(rest, 0)}")
        self._drawn = line

    def clear(self) -> None:
        """Clear the line of the bar."""
        self._write(f"\r{' ' * columns(self._drawn)}\r")
        self._drawn = ""

    def _moved(self, name: str) -> None:
        now, self._name = self._clock(), name
        passed = now - self._latest
        self._left.note(now, self._worked())
        if self._draws and passed >= _REDRAWN:
            self._latest = now
            self.draw()
        elif not self._draws and passed >= max(_LINE, self._left.elapsed(now) / _LINES):
            self._latest = now
            self._lines += 1
            self._write(f"{self._text_line(now)}\n")

    def _finish(self) -> None:
        if not self._is_running:
            return
        now = self._clock()
        took = f"in {duration(self._left.elapsed(now))}"
        if self._draws:
            DRAWN.remove(self)
            self.clear()
            self._write(f"{self._composed('', took)}\n")
        elif self._lines:
            self._write(f"{self._head()}: {self._count()} {took}\n")
        self._is_running = False

    def _head(self) -> str:
        return f"{self._label} {self._stage}" if self._stage else self._label

    def _count(self) -> str:
        return f"{self._steps}/{self._total}"

    def _share(self) -> float:
        return min((self._steps + sum(self._inside.values())) / self._total, 1.0)

    def _worked(self) -> float:
        """Return the steps that took time."""
        return self._steps - self._skipped + sum(self._inside.values())

    def _time_left(self, now: float) -> str:
        seconds = self._left.shown(now, self._worked(), self._total - self._skipped)
        return "" if seconds is None else f"{duration(seconds)} left"

    def _text_line(self, now: float) -> str:
        parts = [f"{self._head()}: {self._count()} ({self._share():.0%})"]
        name, left = self._doing(_NAME), self._time_left(now)
        return ", ".join([*parts, *([name] if name else []), *([f"about {left}"] if left else [])])

    def _bar_line(self, now: float) -> str:
        left = "" if self._steps == self._total else self._time_left(now)
        return self._composed(self._doing(_NAME), left)

    def _doing(self, most: int) -> str:
        """Return the step and what is done in it, in at most so many columns."""
        name = f"{self._name} {self._now}" if self._now and self._now != self._stage else self._name
        return _shortened(error_screen().spelt(printable(name)), most)

    def _composed(self, name: str, end: str) -> str:
        """Lay out a line; where there is no room, the name goes first, then the bar."""
        width = (error_screen().width or sys.maxsize) - 1
        head = _shortened(self._head(), width)
        count = self._count().rjust(len(f"{self._total}/{self._total}"))
        tail = _GAP.join(part for part in (count, end) if part)
        room = width - columns(head) - len(_GAP) - columns(tail)
        if room < 0:
            return _shortened(f"{head} {tail}", width)
        length = min(_BAR, max(int(_SHARE * width), _LEAST_BAR))  # the same in every drawing
        bar = ""
        if room >= length + len(_GAP) + 2:  # two brackets
            done = int(self._share() * length)
            bar = f"[{'#' * done}{'-' * (length - done)}]"
            room -= columns(bar) + len(_GAP)
        if name and room - len(_GAP) >= min(_LEAST_NAME, columns(name)):
            name = _shortened(name, room - len(_GAP))
        else:
            name = ""
        return _GAP.join(part for part in (head, bar, count, name, end) if part)

    def _write(self, text: str) -> None:
        click.echo(text, file=self._stream, nl=False)
        self._stream.flush()


def _shortened(text: str, most: int) -> str:
    """Keep the end of a text, which tells names apart."""
    if columns(text) <= most:
        return text
    while text and columns(text) > most - 2:
        text = text[1:]
    return f"..{text}"[: max(most, 0)]

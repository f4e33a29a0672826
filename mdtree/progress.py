"""Progress of long work: an object that is passed down, silent unless the caller displays it."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Progress", "Silent"]


class Progress(Protocol):
    """What long work reports while it runs; the command line draws a bar from it."""

    def start(self, total: int) -> None:
        """Announce `total` steps."""

    def step(self, done: str) -> None:
        """Report that the step `done` has finished."""


class Silent:
    """Progress that is not displayed."""

    def start(self, total: int) -> None:
        """Do nothing."""

    def step(self, done: str) -> None:
        """Do nothing."""

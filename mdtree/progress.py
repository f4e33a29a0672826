"""Progress of long work: an object that is passed down, silent unless the caller shows it."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Progress", "Silent"]


class Progress(Protocol):
    """What long work tells while it runs; the command line draws a bar from it."""

    def start(self, total: int) -> None:
        """Say that `total` steps lie ahead."""

    def step(self, done: str) -> None:
        """Say that one step is finished, and which."""


class Silent:
    """The progress that nobody watches."""

    def start(self, total: int) -> None:
        """Say nothing."""

    def step(self, done: str) -> None:
        """Say nothing."""

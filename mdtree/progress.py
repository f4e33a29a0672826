"""Progress of long work: an object that is passed down, silent unless the caller displays it.

A step is a group, say.  What happens inside of a step is reported by whoever works on it, without
an object: `report` reaches the one who started the step, in another process as well.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Protocol

__all__ = ["Listener", "Progress", "Silent", "listening", "report"]

Listener = Callable[[float, str], None]  # the share of a step that is done, and what is done now

_LISTENER: ContextVar[Listener | None] = ContextVar("listener", default=None)


class Progress(Protocol):
    """What long work reports while it runs; the command line draws a bar from it."""

    def start(self, total: int, stage: str = "") -> None:
        """Announce `total` steps, and what they are about."""

    def step(self, done: str) -> None:
        """Report that the step `done` has finished."""

    def skip(self, done: str) -> None:
        """Report that the step `done` is left out: it tells nothing of the time of the others."""

    def inside(self, name: str, share: float, stage: str = "") -> None:
        """Report that a share of the step `name` is done, and what is done now."""


class Silent:
    """Progress that is not displayed."""

    def start(self, total: int, stage: str = "") -> None:
        """Do nothing."""

    def step(self, done: str) -> None:
        """Do nothing."""

    def skip(self, done: str) -> None:
        """Do nothing."""

    def inside(self, name: str, share: float, stage: str = "") -> None:
        """Do nothing."""


@contextlib.contextmanager
def listening(listener: Listener | None) -> Iterator[None]:
    """Let a listener hear what is reported meanwhile, and nobody else.

    >>> with listening(lambda share, stage: print(share, stage)):
    ...     report(0.5, "hessian")
    0.5 hessian
    """
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)


def report(share: float, stage: str = "") -> None:
    """Report which share of the current step is done, if anybody listens."""
    listener = _LISTENER.get()
    if listener is not None:
        listener(share, stage)

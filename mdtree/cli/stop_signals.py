"""Stop signals: handled like Ctrl-C, so that files are closed and workers and folders removed."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType

__all__ = ["Stopped", "resumable", "stoppable"]

_NAMES = ("SIGTERM", "SIGHUP")  # sent when a system shuts down, when a terminal is closed
_ONCE = 5.0  # seconds in which two signals count as one: `timeout` sends two


class Stopped(KeyboardInterrupt):
    """A signal to stop.  A SystemExit would be taken for a failure of the group."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code: int = 128 + number  # as shells report it


@contextlib.contextmanager
def resumable() -> Iterator[None]:
    """Note on an interrupt that what is done is kept, so that the user knows how to go on."""
    try:
        yield
    except KeyboardInterrupt as stop:
        stop.add_note("Run the same command again to resume.")
        raise


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """Raise Stopped where such a signal would have ended the process; `nohup` is respected."""
    numbers = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
    if threading.current_thread() is not threading.main_thread():
        numbers = []  # other threads may not set signal handlers
    handled = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    last_stop = -float("inf")

    def stop(number: int, _: FrameType | None) -> None:
        nonlocal last_stop
        if time.monotonic() - last_stop > _ONCE:
            last_stop = time.monotonic()
            raise Stopped(number)

    try:
        for number in handled:
            signal.signal(number, stop)
        yield
    finally:
        for number in handled:
            signal.signal(number, signal.SIG_DFL)

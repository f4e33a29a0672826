"""Stop signals: handled like Ctrl-C, so that files are closed and workers and folders removed."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

__all__ = ["Stopped", "resumable", "stoppable"]

_NAMES = ("SIGTERM", "SIGHUP")  # sent when a system shuts down, when a terminal is closed
_ONCE = 5.0  # seconds in which two signals count as one: `timeout` sends two
_MOMENT = 0.05  # seconds after which it is looked again whether an import has ended
_LONGEST_IMPORT = 20.0  # seconds; schedulers kill what has not ended in thirty
_IMPORTING = "<frozen importlib._bootstrap>"  # where Python's import system lies

_Handler = Callable[[int, FrameType | None], None]


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
    """Raise Stopped where such a signal would have ended the process; `nohup` is respected.

    While a module is imported, signals wait, Ctrl-C as well: numpy and torch take what is raised
    inside them for a failure of their own, and cannot be imported a second time.
    """
    handlers: dict[int, _Handler] = {}
    if threading.current_thread() is threading.main_thread():  # others may not set handlers
        stops = _Stops()
        numbers = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
        handlers = dict.fromkeys(numbers, stops.stop) | {signal.SIGINT: _interrupt}
    waiting = _Waiting()
    before = {number: signal.getsignal(number) for number in handlers}
    usual = (signal.SIG_DFL, signal.default_int_handler)
    handled = [number for number in handlers if before[number] in usual]
    try:
        for number in handled:
            signal.signal(number, waiting.after_imports(handlers[number]))
        yield
    finally:
        waiting.end()
        for number in handled:
            signal.signal(number, before[number])


class _Stops:
    """Signals to stop, of which several within some seconds are one."""

    def __init__(self) -> None:
        self._last = -float("inf")

    def stop(self, number: int, _: FrameType | None) -> None:
        """Raise Stopped."""
        if time.monotonic() - self._last > _ONCE:
            self._last = time.monotonic()
            raise Stopped(number)


def _interrupt(number: int, frame: FrameType | None) -> None:
    signal.default_int_handler(number, frame)


class _Waiting:
    """Signals that came while a module was imported, and are sent again a moment later."""

    def __init__(self) -> None:
        self._timers: dict[int, threading.Timer] = {}
        self._since: dict[int, float] = {}

    def after_imports(self, handler: _Handler) -> _Handler:
        """Return a handler that is called once no module is being imported."""

        def handle(number: int, frame: FrameType | None) -> None:
            since = self._since.setdefault(number, time.monotonic())
            if _is_importing(frame) and time.monotonic() - since < _LONGEST_IMPORT:
                self._again(number)
                return
            del self._since[number]
            self._end(number)
            handler(number, frame)

        return handle

    def end(self) -> None:
        """Send nothing more."""
        for number in [*self._timers]:
            self._end(number)

    def _again(self, number: int) -> None:
        self._end(number)
        self._timers[number] = timer = threading.Timer(_MOMENT, _send, (number,))
        timer.daemon = True
        timer.start()

    def _end(self, number: int) -> None:
        if number in self._timers:
            self._timers.pop(number).cancel()


def _send(number: int) -> None:
    """Send a signal to the main thread, which may wait in a call of the system."""
    main = threading.main_thread().ident
    if hasattr(signal, "pthread_kill") and main is not None:
        signal.pthread_kill(main, number)
    else:
        signal.raise_signal(number)


def _is_importing(frame: FrameType | None) -> bool:
    """Return whether a module is being imported by what runs now."""
    while frame is not None:
        if frame.f_code.co_filename == _IMPORTING:
            return True
        frame = frame.f_back
    return False

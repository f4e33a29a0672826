"""The worker inside its own process, and the watch over its memory."""

from __future__ import annotations

import mmap
import os
import pickle
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mdtree.executors.config import ExecutorConfig
from mdtree.progress import listening

__all__ = ["TOO_LARGE", "Worker", "too_large"]

TOO_LARGE = 77  # exit code of a worker that exceeded its memory limit
_PERIOD = 0.05  # seconds between two checks
_REPORTS = 0.5  # seconds between two reports from inside an item
_STATM = Path("/proc/self/statm")


class Worker:
    """Runs one task: first `ready()`, then `work(item)` for each item, all of it pickled.

    An answer is (kind of the event, result, error).
    """

    def __init__(
        self,
        task: bytes,
        executor: ExecutorConfig,
        send: Callable[[bytes], None] | None = None,  # what happens inside an item
    ) -> None:
        self._pickled, self._executor, self._send = task, executor, send
        self._task: Callable[[Any], Any] = lambda item: item
        self._reported = -float("inf")

    def ready(self) -> bytes:
        """Load the task, and report that work can begin."""
        return _answer("ready", self._prepare)

    def change_task(self, task: bytes) -> bytes:
        """Load another task, and report that work can go on."""
        self._pickled = task
        return _answer("ready", self._load)

    def work(self, item: bytes) -> bytes:
        """Run the task on one item."""
        self._reported = -float("inf")
        with listening(None if self._send is None else self._report):
            return _answer("finished", lambda: self._task(pickle.loads(item)))  # noqa: S301 - ours

    def _report(self, share: float, stage: str) -> None:
        """Send what happens inside an item now and then: others would wait for the pipe."""
        now = time.monotonic()
        if self._send is not None and now - self._reported >= _REPORTS:
            self._reported = now
            self._send(pickle.dumps(("inside", (share, stage), None)))

    def _prepare(self) -> None:
        if self._executor.threads is not None:
            _limit_threads(self._executor.threads)
        self._load()
        if self._executor.memory is not None:
            threading.Thread(target=self._watch, args=(self._executor.memory,), daemon=True).start()

    def _load(self) -> None:
        self._task = pickle.loads(self._pickled)  # noqa: S301 - a name, from the one who calls

    def _watch(self, limit: int) -> None:
        """End this process, from a separate thread, once it uses more than `limit` bytes."""
        while _resident_bytes() <= limit:
            time.sleep(_PERIOD)
        self._end()

    def _end(self) -> None:
        os._exit(TOO_LARGE)


def too_large(executor: ExecutorConfig) -> str:
    """Return why a worker that exceeded its memory limit was ended."""
    return f"took more than {(executor.memory or 0) / 2**30:.3g} GiB of memory"


def _answer(kind: str, work: Callable[[], Any]) -> bytes:
    try:
        return _pickled(kind, work())
    except BaseException as error:  # noqa: BLE001 - the scheduler raises it
        error.add_note("in a worker:\n" + "".join(traceback.format_exception(error)))
        return _raised(error)


def _pickled(kind: str, result: Any) -> bytes:
    try:
        return pickle.dumps((kind, result, None))
    except Exception as error:
        raise RuntimeError(f"the result cannot be sent: {error}") from error


def _raised(error: BaseException) -> bytes:
    """Pickle an error, or one with the same text if it cannot be pickled."""
    try:
        content = pickle.dumps(("raised", None, error))
        pickle.loads(content)  # noqa: S301 - ours; what an error holds may not fit its class
    except Exception:  # noqa: BLE001 - whatever keeps it from being sent
        text = "".join(traceback.format_exception_only(error)).strip()
        return pickle.dumps(("raised", None, RuntimeError(text)))
    return content


def _limit_threads(count: int) -> None:
    """Limit the threads of linear algebra, whether it is loaded already or later."""
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(count))
    if "torch" in sys.modules:  # by the user's own script, which has called us
        import torch

        torch.set_num_threads(count)


def _resident_bytes() -> int:
    """Return the bytes that this process uses, or the peak where only that is known.

    Mapped files are not counted: their pages are released when memory is short.
    """
    try:
        _, resident, shared, *_ = _STATM.read_text().split()
        return (int(resident) - int(shared)) * mmap.PAGESIZE
    except OSError:
        import resource  # which some systems do not have

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024

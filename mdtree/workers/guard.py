"""What every worker process does before its first item, and what watches over it."""

from __future__ import annotations

import mmap
import os
import pickle
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["TOO_LARGE", "answer", "limit_threads", "watch_memory"]

TOO_LARGE = 77  # the exit code of a worker that held more memory than it may
_PERIOD = 0.05  # seconds between two looks
_STATM = Path("/proc/self/statm")


def limit_threads(count: int) -> None:
    """Let linear algebra use that many threads, whether it is loaded already or will be."""
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(count))
    if "torch" in sys.modules:  # by the user's own script, which has called us
        import torch

        torch.set_num_threads(count)


def watch_memory(limit: int) -> None:
    """End this process, from a thread of its own, once it holds more than `limit` bytes."""
    threading.Thread(target=_watch, args=(limit,), daemon=True).start()


def answer(task: Callable[[Any], Any], item: Any) -> tuple[Any, BaseException | None]:
    """Run the task; what it raises is an answer too, if it can be carried to the foreman."""
    try:
        return task(item), None
    except BaseException as error:  # noqa: BLE001 - the foreman raises it
        return None, _portable(error)


def _portable(error: BaseException) -> BaseException:
    """Give the error itself, or one that says the same where it cannot be sent."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    except Exception:  # noqa: BLE001 - whatever keeps it from being sent
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _watch(limit: int) -> None:
    while _held() <= limit:
        time.sleep(_PERIOD)
    os._exit(TOO_LARGE)


def _held() -> int:
    """Count the bytes of this process that are in memory; where only the peak is known, that."""
    try:
        return int(_STATM.read_text().split()[1]) * mmap.PAGESIZE
    except OSError:
        import resource  # which some systems do not have

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024

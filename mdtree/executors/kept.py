"""Worker processes that are kept for later work, instead of being started anew for it.

A start takes about two seconds, most of it the import of torch.  Only workers without an item are
kept, and all of them end with the context.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from mdtree.executors.config import ExecutorConfig

__all__ = ["GRACE", "KeptWorkers", "WorkerProcess", "end_all", "keeper", "kept_workers"]

# Seconds to wait for the end of a killed or dying process.  Usually it ends at once; only a process
# that waits for a dead file server takes longer.
GRACE = 60.0


@dataclass(frozen=True, kw_only=True)
class WorkerProcess:
    """A process, and the pipe to it."""

    process: BaseProcess
    pipe: Connection
    device: str | None


class KeptWorkers:
    """Workers without an item, by the configuration that they were started with."""

    def __init__(self) -> None:
        self._workers: dict[ExecutorConfig, list[WorkerProcess]] = {}

    def keep(self, executor: ExecutorConfig, worker: WorkerProcess) -> None:
        """Keep a worker."""
        self._workers.setdefault(executor, []).append(worker)

    def take(self, executor: ExecutorConfig) -> WorkerProcess | None:
        """Return a worker that is kept and alive, if there is one."""
        workers = self._workers.get(executor, [])
        while workers:
            worker = workers.pop()
            if worker.process.is_alive():
                return worker
            end_all([worker])
        return None

    def close(self) -> None:
        """Kill all workers."""
        workers = [worker for each in self._workers.values() for worker in each]
        self._workers.clear()
        end_all(workers)


_keeper: ContextVar[KeptWorkers | None] = ContextVar("kept workers", default=None)


def keeper() -> KeptWorkers | None:
    """Return what keeps workers here, if anything does."""
    return _keeper.get()


@contextlib.contextmanager
def kept_workers() -> Iterator[None]:
    """Keep workers inside the context, for whoever asks for the same configuration."""
    kept = KeptWorkers()
    token = _keeper.set(kept)
    try:
        yield
    finally:
        _keeper.reset(token)
        kept.close()


def end_all(workers: Sequence[WorkerProcess]) -> None:
    """Kill workers, and wait for all of them together."""
    for worker in workers:
        worker.process.kill()
    deadline = time.monotonic() + GRACE
    for worker in workers:
        worker.pipe.close()
        worker.process.join(max(0.0, deadline - time.monotonic()))
        if worker.process.exitcode is not None:  # else it still waits for a dead file server
            worker.process.close()

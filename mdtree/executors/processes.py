"""A worker pool of processes on this machine."""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from multiprocessing.resource_tracker import ensure_running
from typing import Generic, TypeVar

from mdtree.executors.config import ExecutorConfig
from mdtree.executors.pool import WorkerEvent
from mdtree.executors.worker import TOO_LARGE, Worker, too_large

__all__ = ["ProcessPool"]

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

# signals that end a command: Ctrl-C, the system, a terminal that is closed
_STOPS = {getattr(signal, n) for n in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, n)}
# Seconds to wait for the end of a killed or dying process.  Usually it ends at once; only a process
# that waits for a dead file server takes longer.
_GRACE = 60.0


@dataclass(frozen=True, kw_only=True)
class _Process:
    process: BaseProcess
    pipe: Connection
    device: str | None


class ProcessPool(Generic[ItemT, ResultT]):
    """New processes (a forked torch can hang), each with a pipe to this one."""

    def __init__(self, task: Callable[[ItemT], ResultT], executor: ExecutorConfig) -> None:
        self._task = pickle.dumps(task)
        self._executor = executor
        self._worker_ids = itertools.count()
        self._workers: dict[int, _Process] = {}

    def size(self) -> int:
        """Return the configured number of workers."""
        return self._executor.workers or 1

    def now(self) -> float:
        """Return the monotonic time in seconds."""
        return time.monotonic()

    def start(self) -> int:
        """Start a process, on the GPU with the fewest processes."""
        used = Counter(worker.device for worker in self._workers.values())
        device = min(self._executor.devices, key=lambda name: used[name], default=None)
        context = multiprocessing.get_context("spawn")
        pipe, worker_pipe = context.Pipe()
        process = context.Process(
            target=_serve, args=(worker_pipe, self._task, self._executor, device)
        )
        worker_id = next(self._worker_ids)
        with _signals_blocked():
            process.start()
            self._workers[worker_id] = _Process(process=process, pipe=pipe, device=device)
        worker_pipe.close()  # so that the worker's death is seen here
        return worker_id

    def submit(self, worker_id: int, item: ItemT) -> None:
        """Send an item; if the worker died meanwhile, `wait` reports it."""
        content = pickle.dumps(item)
        with contextlib.suppress(OSError):
            self._workers[worker_id].pipe.send_bytes(content)

    def kill(self, worker_id: int) -> None:
        """Kill a worker, and wait until it is gone."""
        self._kill_all([worker_id])

    def wait(self, seconds: float | None) -> list[WorkerEvent[ResultT]]:
        """Wait for messages on the pipes, or for their end."""
        pipes = {worker.pipe: worker_id for worker_id, worker in self._workers.items()}
        return [self._event(pipes[pipe]) for pipe in wait(list(pipes), seconds)]  # type: ignore[index]

    def close(self) -> None:
        """Kill all workers."""
        self._kill_all(list(self._workers))

    def _kill_all(self, worker_ids: list[int]) -> None:
        """Kill workers, and wait for all of them together."""
        for worker_id in worker_ids:
            self._workers[worker_id].process.kill()
        deadline = time.monotonic() + _GRACE
        for worker_id in worker_ids:
            worker = self._workers.pop(worker_id)
            worker.pipe.close()
            worker.process.join(max(0.0, deadline - time.monotonic()))
            if worker.process.exitcode is not None:  # else it still waits for a dead file server
                worker.process.close()

    def _event(self, worker_id: int) -> WorkerEvent[ResultT]:
        worker = self._workers[worker_id]
        try:
            content = worker.pipe.recv_bytes()
        except (EOFError, OSError):
            worker.process.join(_GRACE)
            reason = self._end(worker.process.exitcode)
            self.kill(worker_id)
            return WorkerEvent(worker_id=worker_id, kind="lost", reason=reason)
        kind, result, error = pickle.loads(content)  # noqa: S301 - our worker's
        if kind == "inside":
            share, stage = result
            return WorkerEvent(worker_id=worker_id, kind=kind, share=share, stage=stage)
        return WorkerEvent(worker_id=worker_id, kind=kind, result=result, error=error)

    def _end(self, code: int | None) -> str:
        """Return why a worker died."""
        if code == TOO_LARGE and self._executor.memory is not None:
            return too_large(self._executor)
        if code is not None and code < 0:
            with contextlib.suppress(ValueError):
                name = signal.Signals(-code).name
                return f"the worker process died of {name} (killed, or out of memory)"
        return f"the worker process died with exit code {code}"


def _serve(pipe: Connection, pickled: bytes, executor: ExecutorConfig, device: str | None) -> None:
    """Run items until the pipe is closed: the main function of a worker."""
    # Ctrl-C reaches every process of a terminal; only the parent of the workers handles it.  If the
    # parent is killed, its workers end with it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPS)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if device is not None:  # before CUDA is initialised; the device is cuda:0 here
        os.environ["CUDA_VISIBLE_DEVICES"] = device
    worker = Worker(pickled, executor, pipe.send_bytes)
    answer = worker.ready()
    with contextlib.suppress(EOFError, OSError):  # until the parent closes the pipe
        while True:
            pipe.send_bytes(answer)
            answer = worker.work(pipe.recv_bytes())


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextlib.contextmanager
def _signals_blocked() -> Iterator[None]:
    """Defer Ctrl-C and similar signals, here and in a process that is started meanwhile."""
    if not hasattr(signal, "pthread_sigmask"):  # not every system has it
        yield
        return
    ensure_running()  # the resource tracker, which would start now and unblock all signals
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

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
from multiprocessing.connection import Connection, wait
from multiprocessing.resource_tracker import ensure_running
from typing import Generic, TypeVar

from mdtree.executors.config import ExecutorConfig
from mdtree.executors.kept import GRACE, WorkerProcess, end_all, keeper
from mdtree.executors.pool import WorkerEvent
from mdtree.executors.worker import TOO_LARGE, Worker, too_large

__all__ = ["ProcessPool"]

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

# signals that end a command: Ctrl-C, the system, a terminal that is closed
_STOPS = {getattr(signal, n) for n in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, n)}
_NEW_TASK = b""  # instead of an item: a task follows


class ProcessPool(Generic[ItemT, ResultT]):
    """New processes (a forked torch can hang), each with a pipe to this one.

    Inside `kept_workers`, processes that have no item are kept in the end, and taken again.
    """

    def __init__(self, task: Callable[[ItemT], ResultT], executor: ExecutorConfig) -> None:
        self._task = pickle.dumps(task)
        self._executor = executor
        self._worker_ids = itertools.count()
        self._workers: dict[int, WorkerProcess] = {}
        self._idle: set[int] = set()  # without an item, in good order
        self._keeper = keeper()

    def size(self) -> int:
        """Return the configured number of workers."""
        return self._executor.workers or 1

    def now(self) -> float:
        """Return the monotonic time in seconds."""
        return time.monotonic()

    def start(self) -> int:
        """Start a process, on the GPU with the fewest processes, or take one that is kept."""
        worker_id = next(self._worker_ids)
        if self._keeper is not None:
            with _signals_blocked():
                kept = self._keeper.take(self._executor)
                if kept is not None:
                    self._workers[worker_id] = kept
            if kept is not None:
                with contextlib.suppress(OSError):  # if it died meanwhile, `wait` reports it
                    kept.pipe.send_bytes(_NEW_TASK)
                    kept.pipe.send_bytes(self._task)
                return worker_id
        used = Counter(worker.device for worker in self._workers.values())
        device = min(self._executor.devices, key=lambda name: used[name], default=None)
        context = multiprocessing.get_context("spawn")
        pipe, worker_pipe = context.Pipe()
        process = context.Process(
            target=_serve, args=(worker_pipe, self._task, self._executor, device)
        )
        with _signals_blocked():
            process.start()
            self._workers[worker_id] = WorkerProcess(process=process, pipe=pipe, device=device)
        worker_pipe.close()  # so that the worker's death is seen here
        return worker_id

    def submit(self, worker_id: int, item: ItemT) -> None:
        """Send an item; if the worker died meanwhile, `wait` reports it."""
        content = pickle.dumps(item)
        self._idle.discard(worker_id)
        with contextlib.suppress(OSError):
            self._workers[worker_id].pipe.send_bytes(content)

    def kill(self, worker_id: int) -> None:
        """Kill a worker, and wait until it is gone; one without an item may be kept instead."""
        self._kill_all([worker_id])

    def wait(self, seconds: float | None) -> list[WorkerEvent[ResultT]]:
        """Wait for messages on the pipes, or for their end."""
        pipes = {worker.pipe: worker_id for worker_id, worker in self._workers.items()}
        return [self._event(pipes[pipe]) for pipe in wait(list(pipes), seconds)]  # type: ignore[index]

    def close(self) -> None:
        """Kill all workers; those without an item may be kept instead."""
        self._kill_all(list(self._workers))

    def _kill_all(self, worker_ids: list[int]) -> None:
        idle = self._idle.intersection(worker_ids)
        self._idle -= idle
        if self._keeper is not None:
            with _signals_blocked():
                for worker_id in idle:
                    self._keeper.keep(self._executor, self._workers.pop(worker_id))
        left = [worker_id for worker_id in worker_ids if worker_id in self._workers]
        for worker_id in left:  # before any is forgotten: Ctrl-C may come
            self._workers[worker_id].process.kill()
        end_all([self._workers.pop(worker_id) for worker_id in left])

    def _event(self, worker_id: int) -> WorkerEvent[ResultT]:
        worker = self._workers[worker_id]
        try:
            content = worker.pipe.recv_bytes()
        except (EOFError, OSError):
            self._idle.discard(worker_id)
            worker.process.join(GRACE)
            reason = self._end(worker.process.exitcode)
            self.kill(worker_id)
            return WorkerEvent(worker_id=worker_id, kind="lost", reason=reason)
        kind, result, error = pickle.loads(content)  # noqa: S301 - our worker's
        if kind == "inside":
            share, stage = result
            return WorkerEvent(worker_id=worker_id, kind=kind, share=share, stage=stage)
        if kind != "raised":
            self._idle.add(worker_id)
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
            content = pipe.recv_bytes()
            is_item = content != _NEW_TASK
            answer = worker.work(content) if is_item else worker.change_task(pipe.recv_bytes())


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

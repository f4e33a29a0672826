"""The scheduler: gives items to workers one at a time, and loses none if a worker dies.

An item whose worker dies, or that takes too long, is tried again by another worker up to `retries`
times, and is then returned with the reason.  Items are drawn only when a worker is free, so a
million of them take no memory: at most as many items as workers are in progress, and at most as
many results wait for the caller.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from mdtree.exceptions import MdtreeError
from mdtree.executors.config import ExecutorConfig
from mdtree.executors.pool import TaskResult, WorkerEvent, WorkerPool

__all__ = ["Scheduler"]

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

_STARTS = 3  # failed starts in a row that are tolerated, besides a whole pool


@dataclass(kw_only=True)
class _RunningTask(Generic[ItemT]):
    """An item in progress."""

    item: ItemT
    tries: int = 0
    deadline: float = float("inf")


class Scheduler(Generic[ItemT, ResultT]):
    """`Scheduler(pool, items, executor).work()` yields a result for each item, as they finish."""

    def __init__(
        self,
        pool: WorkerPool[ItemT, ResultT],
        items: Iterable[ItemT],
        executor: ExecutorConfig,
        *,
        inside: Callable[[ItemT, float, str], None] | None = None,
    ) -> None:
        self._pool = pool
        self._inside = inside
        self._items = iter(items)
        self._executor = executor
        self._waiting: deque[_RunningTask[ItemT]] = deque()
        self._busy: dict[int, _RunningTask[ItemT]] = {}
        self._idle: set[int] = set()
        self._starting: set[int] = set()
        self._failed_starts = 0
        self._done: list[TaskResult[ItemT, ResultT]] = []  # not yet yielded
        self._error: BaseException | None = None  # that ends the work

    def work(self) -> Iterator[TaskResult[ItemT, ResultT]]:
        """Work until all items are done; closing the generator early kills all workers."""
        try:
            while self._assign_items():
                done = self._collect_results()
                try:
                    self._assign_next()
                except BaseException:
                    yield from done
                    raise
                yield from done
        finally:
            self._pool.close()

    def _assign_next(self) -> None:
        """Assign the next items before the caller processes the results."""
        if self._error is not None:
            raise self._error
        self._assign_items()

    def _collect_results(self) -> list[TaskResult[ItemT, ResultT]]:
        """Handle the events of workers, and kill workers whose item is overdue."""
        events = self._pool.wait(self._seconds_left())
        ended = {event.worker_id for event in events if event.kind != "inside"}
        overdue = self._overdue() - ended
        for worker_id in overdue:
            self._pool.kill(worker_id)
            self._lost(worker_id, f"took longer than {self._executor.timeout:g} seconds")
        for event in events:
            if event.kind != "inside":
                self._handle(event)
            elif self._inside is not None and event.worker_id in self._busy:
                item = self._busy[event.worker_id].item
                self._inside(item, event.share, event.stage)
        done, self._done = self._done, []
        return done

    def _assign_items(self) -> bool:
        """Assign an item to every worker, if there are any; return whether any is in progress.

        Workers are started when there is work for them.
        """
        size = self._pool.size()
        free = max(0, size - len(self._busy) - len(self._waiting))
        self._waiting.extend(
            _RunningTask(item=item) for item in itertools.islice(self._items, free)
        )
        started = len(self._busy) + len(self._idle) + len(self._starting)
        for _ in range(min(size, len(self._busy) + len(self._waiting)) - started):
            self._starting.add(self._pool.start())
        while self._idle and self._waiting:
            self._submit(self._idle.pop(), self._waiting.popleft())
        self._kill_idle()
        return bool(self._busy or self._waiting)

    def _kill_idle(self) -> None:
        """Kill workers without an item: there are no more items.

        The death of an idle worker would go unnoticed, and an item could be assigned to it again;
        besides, others may need its place.
        """
        for worker_id in self._idle:
            self._pool.kill(worker_id)
        self._idle.clear()

    def _submit(self, worker_id: int, running: _RunningTask[ItemT]) -> None:
        running.tries += 1
        if self._executor.timeout is not None:
            running.deadline = self._pool.now() + self._executor.timeout
        self._busy[worker_id] = running
        self._pool.submit(worker_id, running.item)

    def _seconds_left(self) -> float | None:
        """Return the seconds until the next item is overdue."""
        if self._executor.timeout is None or not self._busy:
            return None
        return max(0.0, min(running.deadline for running in self._busy.values()) - self._pool.now())

    def _overdue(self) -> set[int]:
        """Return the workers whose item is overdue."""
        if self._executor.timeout is None:
            return set()
        now = self._pool.now()
        return {worker_id for worker_id, running in self._busy.items() if running.deadline <= now}

    def _handle(self, event: WorkerEvent[ResultT]) -> None:
        worker_id = event.worker_id
        if event.kind == "lost":
            self._lost(worker_id, event.reason)
            return
        self._starting.discard(worker_id)
        self._failed_starts = 0
        running = self._busy.pop(worker_id, None)
        self._idle.add(worker_id)
        if event.error is not None:
            self._fail(event.error)
        elif running is not None:
            self._done.append(TaskResult(item=running.item, result=event.result, error=None))

    def _fail(self, error: BaseException) -> None:
        if self._error is None:
            self._error = error

    def _lost(self, worker_id: int, reason: str) -> None:
        """Remove a lost worker, and try its item again if retries are left."""
        self._idle.discard(worker_id)
        if worker_id in self._starting:
            self._starting.remove(worker_id)
            self._failed_starts += 1
            if self._failed_starts >= _STARTS + self._pool.size():
                self._fail(
                    MdtreeError(
                        f"workers fail to start: {reason}. See their output for the cause; "
                        "a script must call mdtree inside `if __name__ == '__main__':`"
                    )
                )
        running = self._busy.pop(worker_id, None)
        if running is None:
            return
        if running.tries <= self._executor.retries:
            self._waiting.appendleft(running)
            return
        times = "" if running.tries == 1 else f", {running.tries} times"
        self._done.append(TaskResult(item=running.item, result=None, error=f"{reason}{times}"))

"""Workers: plain tasks, run here or in processes, results as they finish.

`run(task, items)` yields one Done for each item.  A worker process that dies takes only its own
items with it: they come back as Done with an error, and the others go on in new processes.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["Done", "run"]

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

_AHEAD = 2  # items handed out for each worker; the rest waits, so a million items cost no memory


@dataclass(frozen=True, kw_only=True)
class Done(Generic[ItemT, ResultT]):
    """An item and what became of it."""

    item: ItemT
    result: ResultT | None
    error: str | None  # why there is no result


def run(
    task: Callable[[ItemT], ResultT], items: Iterable[ItemT], *, workers: int = 1
) -> Iterator[Done[ItemT, ResultT]]:
    """Run `task` on every item: here for one worker, else in processes with one thread each.

    `task` must be a function of a module and items must be picklable.  What `task` raises here is
    raised; errors that belong to an item are the task's own business.
    """
    if workers == 1:
        for item in items:
            yield Done(item=item, result=task(item), error=None)
        return
    yield from _in_processes(task, items, workers)


def _in_processes(
    task: Callable[[ItemT], ResultT], items: Iterable[ItemT], workers: int
) -> Iterator[Done[ItemT, ResultT]]:
    waiting = iter(items)
    running: dict[Future[ResultT], ItemT] = {}
    others = set(multiprocessing.active_children())
    pool = _pool(workers)
    try:
        while True:
            for item in itertools.islice(waiting, workers * _AHEAD - len(running)):
                running[_submitted(pool, task, item)] = item
            if not running:
                break
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            whole = [f for f in finished if not isinstance(f.exception(), BrokenProcessPool)]
            for future in whole:
                yield Done(item=running.pop(future), result=future.result(), error=None)
            if len(whole) < len(finished):
                # a process died, and with it the pool; which item did it is not known, so each
                # that was under way is tried once more in a process of its own
                pool.shutdown(wait=False, cancel_futures=True)
                for item in running.values():
                    yield _alone(task, item)
                running.clear()
                pool = _pool(workers)
    except BaseException:  # interrupted, or nobody wants the rest: do not wait for running items
        children = set(multiprocessing.active_children()) - others
        for child in children:
            child.kill()
        for child in children:
            child.join()
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()


def _submitted(
    pool: ProcessPoolExecutor, task: Callable[[ItemT], ResultT], item: ItemT
) -> Future[ResultT]:
    """Hand out an item; if the pool broke meanwhile, the item is one of those under way."""
    try:
        return pool.submit(task, item)
    except BrokenProcessPool as error:
        future: Future[ResultT] = Future()
        future.set_exception(error)
        return future


def _alone(task: Callable[[ItemT], ResultT], item: ItemT) -> Done[ItemT, ResultT]:
    """Run a suspect in a process of its own, so that it can only harm itself."""
    pool = _pool(1)
    future = pool.submit(task, item)
    wait([future])
    pool.shutdown()
    if isinstance(future.exception(), BrokenProcessPool):
        reason = "the worker process died (killed, or out of memory)"
        return Done(item=item, result=None, error=reason)
    return Done(item=item, result=future.result(), error=None)


def _pool(workers: int) -> ProcessPoolExecutor:
    """Start processes afresh (spawn): a forked torch can hang."""
    return ProcessPoolExecutor(
        workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_prepare,
    )


def _prepare() -> None:
    """Give each worker one thread: N workers with N threads each fight for the cores.

    Ctrl-C reaches every process of a terminal; only the first one, which started the workers,
    decides what to do about it.  If that one is killed, its workers end with it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}  # for what is loaded later
    if "torch" in sys.modules:  # by the user's own script, which has called us
        import torch

        torch.set_num_threads(1)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)

"""Workers: plain tasks, run here or in processes, results as they finish.

`run(task, items)` yields one Done for each item.  A worker process that dies takes only its own
items with it: they come back as Done with an error, and the others go on in new processes.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
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
                running[pool.submit(task, item)] = item
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
        for child in set(multiprocessing.active_children()) - others:
            child.terminate()
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _alone(task: Callable[[ItemT], ResultT], item: ItemT) -> Done[ItemT, ResultT]:
    """Run a suspect in a process of its own, so that it can only harm itself."""
    with _pool(1) as pool:
        try:
            return Done(item=item, result=pool.submit(task, item).result(), error=None)
        except BrokenProcessPool:
            reason = "the worker process died (killed, or out of memory)"
            return Done(item=item, result=None, error=reason)


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
    decides what to do about it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["OMP_NUM_THREADS"] = "1"  # for whatever is loaded later
    import torch

    torch.set_num_threads(1)

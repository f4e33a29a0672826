"""Dispatch: plain tasks are run here, in processes or on Ray; results come as they finish.

run(task, items, executor) -> TaskResult, TaskResult, ...     one for each item

here        this very process
processes   on this machine, fresh ones; GPUs are shared out among them
cluster     actors of Ray, on many machines
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from mdtree.executors.config import HERE, ExecutorConfig
from mdtree.executors.gpu_sharing import sized
from mdtree.executors.pool import TaskResult, WorkerPool
from mdtree.executors.processes import ProcessPool
from mdtree.executors.scheduler import Scheduler

__all__ = ["run"]

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


def run(
    task: Callable[[ItemT], ResultT],
    items: Iterable[ItemT],
    executor: ExecutorConfig = HERE,
    *,
    gpu_memory_share: Callable[[ResultT], float | None] = lambda _: None,
) -> Iterator[TaskResult[ItemT, ResultT]]:
    """Run `task` on every item.

    `task` must be a function of a module and items must be picklable.  What `task` raises here is
    raised; errors that belong to an item are the task's own business.  A worker that dies, or
    takes more time or memory than the configuration allows, takes only its own item with it.

    `gpu_memory_share` tells from a result the share of a GPU's memory that its item took: where the
    configuration does not say how much of one a worker gets, the first item has one alone and
    finds out.
    """
    if executor.is_here:
        return (TaskResult(item=item, result=task(item), error=None) for item in items)
    return sized(_run, task, items, executor, gpu_memory_share)


def _run(
    task: Callable[[ItemT], ResultT], items: Iterable[ItemT], executor: ExecutorConfig
) -> Iterator[TaskResult[ItemT, ResultT]]:
    return Scheduler(_pool(task, executor), items, executor).work()


def _pool(task: Callable[[ItemT], ResultT], executor: ExecutorConfig) -> WorkerPool[ItemT, ResultT]:
    if executor.ray is None:
        return ProcessPool(task, executor)
    from mdtree.executors.ray_backend import RayPool

    return RayPool(task, executor)

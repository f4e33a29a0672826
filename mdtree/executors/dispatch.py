"""Dispatch: run a task on items here, in worker processes or on Ray, results as they finish.

run(task, items, executor) -> TaskResult, TaskResult, ...     one per item

here        in this process
processes   new processes on this machine, with the GPUs distributed among them
cluster     Ray actors, on many machines
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

    A worker that dies, or exceeds a limit of time or memory, loses only its own item.  An error
    that `task` raises is raised here and ends the work.

    Args:
        task: A function at the top level of a module.
        items: Picklable items.
        executor: The number and kind of workers, and the limits of an item.
        gpu_memory_share: Returns the share of GPU memory that a result's item used.  If the
            configuration does not set the GPUs per worker, the first item gets a whole GPU, and the
            share that it used decides for the others.

    Returns:
        An iterator over one result per item, in the order in which they finish.

    Raises:
        MdtreeError: The workers cannot be started.
        MissingExtraError: Ray is not installed.
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

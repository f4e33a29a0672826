"""Dispatch: run a task on items here, in worker processes or on Ray, results as they finish.

run(task, items, executor) -> TaskResult, TaskResult, ...     one per item

here        in this process
processes   new processes on this machine, with the GPUs distributed among them
cluster     Ray actors, on many machines
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TypeVar

from mdtree.executors.config import HERE, ExecutorConfig
from mdtree.executors.gpu_sharing import sized
from mdtree.executors.pool import TaskResult, WorkerPool
from mdtree.executors.processes import ProcessPool
from mdtree.executors.scheduler import Scheduler
from mdtree.progress import listening

__all__ = ["run"]

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

Inside = Callable[[ItemT, float, str], None]


def run(
    task: Callable[[ItemT], ResultT],
    items: Iterable[ItemT],
    executor: ExecutorConfig = HERE,
    *,
    gpu_memory_share: Callable[[ResultT], float | None] = lambda _: None,
    inside: Inside[ItemT] | None = None,
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
        inside: Told what a task reports while it works on an item (`mdtree.progress.report`): the
            item, the share of it that is done, and what is done now.

    Returns:
        An iterator over one result per item, in the order in which they finish.

    Raises:
        MdtreeError: The workers cannot be started.
        MissingExtraError: Ray is not installed.
    """
    if executor.is_here:
        return (_run_here(task, item, inside) for item in items)
    return sized(partial(_run, inside=inside), task, items, executor, gpu_memory_share)


def _run_here(
    task: Callable[[ItemT], ResultT], item: ItemT, inside: Inside[ItemT] | None
) -> TaskResult[ItemT, ResultT]:
    with listening(None if inside is None else partial(inside, item)):
        return TaskResult(item=item, result=task(item), error=None)


def _run(
    task: Callable[[ItemT], ResultT],
    items: Iterable[ItemT],
    executor: ExecutorConfig,
    *,
    inside: Inside[ItemT] | None,
) -> Iterator[TaskResult[ItemT, ResultT]]:
    return Scheduler(_pool(task, executor), items, executor, inside=inside).work()


def _pool(task: Callable[[ItemT], ResultT], executor: ExecutorConfig) -> WorkerPool[ItemT, ResultT]:
    if executor.ray is None:
        return ProcessPool(task, executor)
    from mdtree.executors.ray_backend import RayPool

    return RayPool(task, executor)

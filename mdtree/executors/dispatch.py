"""Dispatch: run a task on items here, in worker processes or on Ray, results as they finish.

run(task, items, executor) -> TaskResult, TaskResult, ...     one per item

here        in this process
processes   new processes on this machine, with the GPUs distributed among them
cluster     Ray actors, on many machines; several small models share one GPU
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import TypeVar

from mdtree.executors.config import HERE, ExecutorConfig
from mdtree.executors.pool import TaskResult, WorkerPool
from mdtree.executors.processes import ProcessPool
from mdtree.executors.scheduler import Scheduler
from mdtree.progress import listening

__all__ = ["gpu_share", "run", "sized"]

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

Inside = Callable[[ItemT, float, str], None]

Run = Callable[
    [Callable[[ItemT], ResultT], Iterable[ItemT], ExecutorConfig],
    Iterator[TaskResult[ItemT, ResultT]],
]

_MARGIN = 1.5  # other items may need more memory than the first
_MOST = 16  # workers per GPU; more would only wait for each other


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


def gpu_share(memory_share: float | None) -> float:
    """Return the share of a GPU per worker, such that a whole number of workers fit.

    >>> gpu_share(0.1), gpu_share(0.5), gpu_share(None)
    (0.16666666666666666, 1.0, 1.0)
    """
    if memory_share is None:
        return 1.0
    fit = int(1 / max(memory_share * _MARGIN, 1 / _MOST))
    return 1.0 / max(1, fit)


def sized(
    run: Run[ItemT, ResultT],
    task: Callable[[ItemT], ResultT],
    items: Iterable[ItemT],
    executor: ExecutorConfig,
    gpu_memory_share: Callable[[ResultT], float | None],
) -> Iterator[TaskResult[ItemT, ResultT]]:
    """Run the first item on a whole GPU, and the others on the share that it used."""
    if executor.ray is None or executor.gpus is not None:
        yield from run(task, items, executor)
        return
    rest = iter(items)
    share = None
    for first in rest:
        for done in run(task, [first], replace(executor, workers=1, gpus=1.0)):
            share = None if done.result is None else gpu_memory_share(done.result)
            yield done
        break
    yield from run(task, rest, replace(executor, gpus=gpu_share(share)))

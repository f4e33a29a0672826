"""GPU sharing: several small models on one GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TypeVar

from mdtree.executors.config import ExecutorConfig
from mdtree.executors.pool import TaskResult

__all__ = ["gpu_share", "sized"]

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

Run = Callable[
    [Callable[[ItemT], ResultT], Iterable[ItemT], ExecutorConfig],
    Iterator[TaskResult[ItemT, ResultT]],
]

_MARGIN = 1.5  # other items may need more memory than the first
_MOST = 16  # workers per GPU; more would only wait for each other


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

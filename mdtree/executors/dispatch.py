"""Workers: plain tasks, run here, in processes or on Ray; results as they finish.

run(task, items, crew) -> Done, Done, ...     one for each item

here        this very process
processes   on this machine, fresh ones; GPUs are shared out among them
cluster     actors of Ray, on many machines
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from mdtree.executors.config import HERE, Crew
from mdtree.executors.gpu_sharing import sized
from mdtree.executors.pool import Done, Team
from mdtree.executors.processes import Processes
from mdtree.executors.scheduler import Foreman

__all__ = ["run"]

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


def run(
    task: Callable[[ItemT], ResultT],
    items: Iterable[ItemT],
    crew: Crew = HERE,
    *,
    held: Callable[[ResultT], float | None] = lambda _: None,
) -> Iterator[Done[ItemT, ResultT]]:
    """Run `task` on every item.

    `task` must be a function of a module and items must be picklable.  What `task` raises here is
    raised; errors that belong to an item are the task's own business.  A worker that dies, or
    takes more time or memory than the crew may, takes only its own item with it.

    `held` tells from a result the share of a GPU's memory that its item took: where the crew does
    not say how much of one a worker gets, the first item has one alone and finds out.
    """
    if crew.is_here:
        return (Done(item=item, result=task(item), error=None) for item in items)
    return sized(_run, task, items, crew, held)


def _run(
    task: Callable[[ItemT], ResultT], items: Iterable[ItemT], crew: Crew
) -> Iterator[Done[ItemT, ResultT]]:
    return Foreman(_team(task, crew), items, crew).work()


def _team(task: Callable[[ItemT], ResultT], crew: Crew) -> Team[ItemT, ResultT]:
    if crew.ray is None:
        return Processes(task, crew)
    from mdtree.executors.ray_backend import Cluster

    return Cluster(task, crew)

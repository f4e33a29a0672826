"""The worker pool: what the scheduler needs of workers, whatever they run on; and their events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar

__all__ = ["TaskResult", "WorkerEvent", "WorkerPool"]

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")
GivenT_contra = TypeVar("GivenT_contra", contravariant=True)
MadeT_co = TypeVar("MadeT_co", covariant=True)


@dataclass(frozen=True, kw_only=True)
class TaskResult(Generic[ItemT, ResultT]):
    """An item and what became of it."""

    item: ItemT
    result: ResultT | None
    error: str | None  # why there is no result


@dataclass(frozen=True, kw_only=True)
class WorkerEvent(Generic[MadeT_co]):
    """What a worker reports: it can start, it has finished, its task raised, or it is no more."""

    worker_id: int
    kind: Literal["ready", "finished", "raised", "lost"]
    result: MadeT_co | None = None
    error: BaseException | None = None  # of `raised`
    reason: str = ""  # of `lost`


class WorkerPool(Protocol[GivenT_contra, MadeT_co]):
    """Workers, known by their numbers.  A worker has one item at a time, so blame is certain."""

    def size(self) -> int:
        """Say how many workers there is room for now; at least one."""

    def now(self) -> float:
        """Tell the time in seconds, from any beginning."""

    def start(self) -> int:
        """Begin to start a worker: its first event is `ready`, or `lost`."""

    def submit(self, worker_id: int, item: GivenT_contra) -> None:
        """Give an item to a worker that is ready or has finished."""

    def kill(self, worker_id: int) -> None:
        """Kill a worker, whatever it does; it has no more events."""

    def wait(self, seconds: float | None) -> Sequence[WorkerEvent[MadeT_co]]:
        """Wait for events, no longer than that; there may be none."""

    def close(self) -> None:
        """Kill all workers that are left."""

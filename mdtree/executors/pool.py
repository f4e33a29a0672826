"""The worker pool: the interface between the scheduler and workers of any kind."""

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
    """An item, and its result or the reason why it has none."""

    item: ItemT
    result: ResultT | None
    error: str | None  # why there is no result


@dataclass(frozen=True, kw_only=True)
class WorkerEvent(Generic[MadeT_co]):
    """A report of a worker: it is ready, goes on, has finished, its task raised, or it died."""

    worker_id: int
    kind: Literal["ready", "inside", "finished", "raised", "lost"]
    result: MadeT_co | None = None
    error: BaseException | None = None  # of `raised`
    reason: str = ""  # of `lost`
    share: float = 0.0  # of the item that is done, of `inside`
    stage: str = ""  # what is done in it now, of `inside`


class WorkerPool(Protocol[GivenT_contra, MadeT_co]):
    """Numbered workers.  A worker has one item at a time, so it is clear which item killed it."""

    def size(self) -> int:
        """Return the number of workers that there is room for now, at least one."""

    def now(self) -> float:
        """Return the time in seconds, from any origin."""

    def start(self) -> int:
        """Start a worker in the background: its first event is `ready` or `lost`."""

    def submit(self, worker_id: int, item: GivenT_contra) -> None:
        """Send an item to a worker that is ready or has finished."""

    def kill(self, worker_id: int) -> None:
        """Kill a worker; it reports no further events."""

    def wait(self, seconds: float | None) -> Sequence[WorkerEvent[MadeT_co]]:
        """Wait for events, at most this long; there may be none."""

    def close(self) -> None:
        """Kill all remaining workers."""

"""A team of Ray actors, on one machine or many: the one file that imports Ray."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import pickle
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from mdtree.exceptions import MdtreeError, MissingExtraError
from mdtree.workers.crew import Crew
from mdtree.workers.guard import TOO_LARGE, answer, limit_threads, watch_memory
from mdtree.workers.team import News

try:
    import ray
    from ray.exceptions import RayError
except ImportError as error:
    raise MissingExtraError(
        'work on a cluster needs Ray: pip install "mdtree-diagnosis[ray]"'
    ) from error

__all__ = ["Cluster"]

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

_LOOK = 5.0  # seconds between two looks at what the cluster has


class Cluster(Generic[ItemT, ResultT]):
    """Actors with one core each, and a share of a GPU where the crew says so.

    Ray decides where they run.  A machine that goes takes its actors with it: their items are
    tried again elsewhere.  A machine that comes gets some.
    """

    def __init__(self, task: Callable[[ItemT], ResultT], crew: Crew) -> None:
        self._task = pickle.dumps(task)
        self._crew = crew
        self._origin = _Origin(folder=str(Path.cwd()), paths=tuple(sys.path))
        self._numbers = itertools.count()
        self._actors: dict[int, Any] = {}
        self._awaited: dict[Any, tuple[int, bool]] = {}  # reference -> (worker, whether it starts)
        self._looked = -float("inf")
        self._room = 1
        self._started = _connect(crew)

    def size(self) -> int:
        """Say how many actors the cluster has room for; it may grow and shrink."""
        if self._crew.workers is not None:
            return self._crew.workers
        if self.now() - self._looked > _LOOK:
            self._looked = self.now()
            has = ray.cluster_resources()
            room = has.get("CPU", 0.0)
            if self._crew.gpus:
                room = min(room, has.get("GPU", 0.0) / self._crew.gpus)
            self._room = max(1, int(room + 1e-9))
        return self._room

    def now(self) -> float:
        """Tell the time."""
        return time.monotonic()

    def hire(self) -> int:
        """Ask for an actor; it starts once the cluster has room."""
        number = next(self._numbers)
        options = {"num_cpus": 1, "num_gpus": self._crew.gpus or 0, "max_restarts": 0}
        actor = ray.remote(**options)(_Actor).remote(self._task, self._crew, self._origin)
        self._actors[number] = actor
        self._awaited[actor.ready.remote()] = number, True
        return number

    def give(self, hand: int, item: ItemT) -> None:
        """Send an item to an actor."""
        self._awaited[self._actors[hand].work.remote(item)] = hand, False

    def dismiss(self, hand: int) -> None:
        """Kill an actor."""
        actor = self._actors.pop(hand)
        self._awaited = {ref: who for ref, who in self._awaited.items() if who[0] != hand}
        with contextlib.suppress(RayError):
            ray.kill(actor)

    def wait(self, seconds: float | None) -> list[News[ResultT]]:
        """Wait for the answer of some actor, but look at the cluster now and then."""
        patience = _LOOK if seconds is None else min(seconds, _LOOK)
        waiting = list(self._awaited)
        found, rest = ray.wait(waiting, num_returns=1, timeout=patience)
        if found and rest:
            found += ray.wait(rest, num_returns=len(rest), timeout=0)[0]
        return [self._news(reference) for reference in found]

    def close(self) -> None:
        """Kill all actors, and the cluster if it was started here."""
        for number in list(self._actors):
            self.dismiss(number)
        if self._started:
            ray.shutdown()

    def _news(self, reference: Any) -> News[ResultT]:
        hand, starting = self._awaited.pop(reference)
        try:
            result, error = ray.get(reference)
        except RayError as broken:
            self.dismiss(hand)
            return News(hand=hand, kind="lost", reason=self._end(broken))
        if error is not None:
            return News(hand=hand, kind="raised", error=error)
        if starting:
            return News(hand=hand, kind="ready")
        return News(hand=hand, kind="finished", result=result)

    def _end(self, error: RayError) -> str:
        """Say why an actor ended that was not asked to."""
        said = str(error)
        if f"exit code {TOO_LARGE}" in said and self._crew.memory is not None:
            return f"took more than {self._crew.memory / 2**30:g} GiB of memory"
        first = next(iter(said.splitlines()), "") or type(error).__name__
        return f"the worker process died ({type(error).__name__}: {first})"


@dataclass(frozen=True, kw_only=True)
class _Origin:
    """Where the one who calls stands: paths that items name, and modules, begin there."""

    folder: str
    paths: tuple[str, ...]

    def enter(self) -> None:
        """Stand there too; machines of a cluster share their files."""
        sys.path += [path for path in self.paths if path not in sys.path]
        try:
            os.chdir(self.folder)
        except OSError as error:
            raise MdtreeError(
                f"{self.folder} is not on {platform.node()}: machines of a cluster need shared "
                "files under the same path (or checkpoints in an object storage)"
            ) from error


class _Actor:
    """A worker: it lives in a process of Ray's."""

    def __init__(self, pickled: bytes, crew: Crew, origin: _Origin) -> None:
        self._pickled, self._crew, self._origin = pickled, crew, origin
        self._task: Callable[[Any], Any] = lambda item: item

    def ready(self) -> tuple[None, BaseException | None]:
        """Load the task, and say that it can start."""
        return answer(self._prepare, None)

    def work(self, item: Any) -> tuple[Any, BaseException | None]:
        """Do one item."""
        return answer(self._task, item)

    def _prepare(self, _: None) -> None:
        self._origin.enter()
        if self._crew.threads is not None:
            limit_threads(self._crew.threads)
        self._task = pickle.loads(self._pickled)  # noqa: S301 - a name, from the one who calls
        if self._crew.memory is not None:
            watch_memory(self._crew.memory)


def _connect(crew: Crew) -> bool:
    """Join the cluster, unless this process is in one already; say whether one was begun."""
    if ray.is_initialized():
        return False
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": True}
    try:
        if crew.ray == "local":
            ray.init(num_cpus=crew.workers, include_dashboard=False, **quiet)
        else:
            ray.init(address=crew.ray, **quiet)
    except (RayError, OSError, ValueError, RuntimeError) as error:
        raise MdtreeError(
            f"no Ray cluster can be reached at {crew.ray!r}: {error} "
            "(--ray alone starts one on this machine)"
        ) from error
    return True

"""A worker pool of Ray actors, on one machine or many: the only file that imports Ray."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import pickle
import platform
import socket
import sys
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from mdtree.exceptions import MdtreeError, MissingExtraError
from mdtree.executors.config import ExecutorConfig
from mdtree.executors.pool import WorkerEvent
from mdtree.executors.worker import Worker, too_large
from mdtree.runtime.requirements import refuse_older

try:
    import ray
    from ray.exceptions import RayError
    from ray.experimental.internal_kv import (
        _internal_kv_del,
        _internal_kv_get,
        _internal_kv_put,
    )
except ImportError as error:
    raise MissingExtraError(
        'running on a cluster needs Ray: pip install "mdtree-diagnosis[ray]"'
    ) from error
refuse_older("ray", ray.__version__)

__all__ = ["RayPool"]

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

_LOOK = 5.0  # seconds between two checks of the cluster's size
_NEWS = 1.0  # seconds between two looks for what happens inside of items
_ASKED = 32  # actors in one look; each is a question to the head of the cluster
_SPACE = "mdtree"  # of keys in the store of the cluster
_ANSWER = 10.0  # seconds in which a cluster must answer


class RayPool(Generic[ItemT, ResultT]):
    """Actors with one core each, and a share of a GPU if the configuration says so.

    Ray decides where they run.  If a machine leaves the cluster, the items of its actors are tried
    again elsewhere.  A machine that joins gets actors too.
    """

    def __init__(self, task: Callable[[ItemT], ResultT], executor: ExecutorConfig) -> None:
        self._task = pickle.dumps(task)
        self._executor = executor
        self._origin = _Origin(
            folder=str(Path.cwd()), paths=tuple(sys.path), shared=executor.shared
        )
        self._name = f"mdtree-{uuid.uuid4().hex}"
        self._worker_ids = itertools.count()
        self._actors: dict[int, Any] = {}
        self._awaited: dict[Any, int] = {}  # reference -> worker
        self._busy: deque[int] = deque()  # in the order in which they are asked for news
        self._heard: dict[int, bytes] = {}  # worker -> its latest news
        self._looked = self._asked = -float("inf")
        self._capacity = 1
        self._started = _connect(executor)
        if executor.ray == "local" and executor.gpus and not ray.cluster_resources().get("GPU"):
            self.close()  # a local cluster never gets one later
            raise MdtreeError("Ray finds no GPU on this machine: use --device cpu")
        needs = {"num_cpus": 1, "num_gpus": executor.gpus or 0, "max_restarts": 0}
        self._actor = ray.remote(**needs)(_Actor)

    def size(self) -> int:
        """Return how many actors the cluster has room for; it may grow and shrink."""
        if self._executor.workers is not None:
            return self._executor.workers
        if self.now() - self._looked > _LOOK:
            self._looked = self.now()
            self._capacity = max(1, _capacity(ray.cluster_resources(), self._executor.gpus or 0.0))
        return self._capacity

    def now(self) -> float:
        """Return the monotonic time in seconds."""
        return time.monotonic()

    def start(self) -> int:
        """Request an actor; it starts once the cluster has room."""
        worker_id = next(self._worker_ids)
        actor = self._actor.remote(
            self._task,
            self._executor,
            self._origin,
            self._too_large_key(worker_id),
            self._news_key(worker_id),
        )
        self._actors[worker_id] = actor
        self._awaited[actor.ready.remote()] = worker_id
        return worker_id

    def submit(self, worker_id: int, item: ItemT) -> None:
        """Send an item to an actor."""
        self._forget(worker_id)
        self._busy.append(worker_id)
        self._awaited[self._actors[worker_id].work.remote(pickle.dumps(item))] = worker_id

    def kill(self, worker_id: int) -> None:
        """Kill an actor."""
        actor = self._actors.pop(worker_id)
        self._forget(worker_id)
        self._awaited = {ref: owner for ref, owner in self._awaited.items() if owner != worker_id}
        with contextlib.suppress(RayError):
            ray.kill(actor)

    def wait(self, seconds: float | None) -> list[WorkerEvent[ResultT]]:
        """Wait for the answer of any actor, at most until the next look for news of the others."""
        patience = _NEWS if seconds is None else min(seconds, _NEWS)
        waiting = list(self._awaited)
        finished, pending = ray.wait(waiting, num_returns=1, timeout=patience)
        if finished and pending:
            finished += ray.wait(pending, num_returns=len(pending), timeout=0)[0]
        events = [self._event(reference) for reference in finished]
        return [*events, *self._news()]

    def _news(self) -> Iterator[WorkerEvent[ResultT]]:
        """Yield what actors report from inside their items, at most of so many at once."""
        if not self._busy or self.now() - self._asked < _NEWS:
            return
        self._asked = self.now()
        for worker_id in list(itertools.islice(self._busy, _ASKED)):
            self._busy.rotate(-1)
            content = None
            with contextlib.suppress(Exception):  # of the store: what it tells changes no result
                content = _internal_kv_get(self._news_key(worker_id), namespace=_SPACE)
            if content and content != self._heard.get(worker_id):
                self._heard[worker_id] = content
                kind, (share, stage), _ = pickle.loads(content)  # noqa: S301 - our actor's
                yield WorkerEvent(worker_id=worker_id, kind=kind, share=share, stage=stage)

    def _forget(self, worker_id: int) -> None:
        """Forget what an actor reported from inside an item that is done."""
        if worker_id in self._busy:
            self._busy.remove(worker_id)
        if self._heard.pop(worker_id, None) is not None:
            with contextlib.suppress(Exception):
                _internal_kv_del(self._news_key(worker_id), namespace=_SPACE)

    def close(self) -> None:
        """Kill all actors, and the cluster if it was started here."""
        for worker_id in list(self._actors):
            self.kill(worker_id)
        if self._started:
            ray.shutdown()

    def _event(self, reference: Any) -> WorkerEvent[ResultT]:
        worker_id = self._awaited.pop(reference)
        self._forget(worker_id)
        try:
            content = ray.get(reference)
        except RayError as broken:
            self.kill(worker_id)
            return WorkerEvent(
                worker_id=worker_id, kind="lost", reason=self._end(worker_id, broken)
            )
        kind, result, error = pickle.loads(content)  # noqa: S301 - our actor's
        return WorkerEvent(worker_id=worker_id, kind=kind, result=result, error=error)

    def _end(self, worker_id: int, error: RayError) -> str:
        """Return why an actor died."""
        if _internal_kv_del(self._too_large_key(worker_id), namespace=_SPACE):
            return too_large(self._executor)
        lines = str(error).splitlines() or [type(error).__name__]
        if any("its node has died" in line for line in lines):
            return "the worker's machine left the cluster"
        cause = lines[-1 if "creation task" in lines[0] else 0]
        return f"the worker process died ({cause.strip()})"

    def _too_large_key(self, worker_id: int) -> str:
        """Return the key under which an actor records that it exceeded its memory limit."""
        return f"{self._name}-{worker_id}"

    def _news_key(self, worker_id: int) -> str:
        """Return the key under which an actor reports from inside an item."""
        return f"{self._name}-{worker_id}-news"


def _capacity(resources: dict[str, float], gpus: float) -> int:
    """Count the actors that a cluster has room for; a fraction of a GPU must be on one GPU."""
    cores = int(resources.get("CPU", 0.0))
    if not gpus:
        return cores
    gpu_count = resources.get("GPU", 0.0)
    return min(cores, int(gpu_count) * int(1 / gpus + 1e-6) if gpus < 1 else int(gpu_count / gpus))


@dataclass(frozen=True, kw_only=True)
class _Origin:
    """The caller's working directory and module path, which items and tasks refer to."""

    folder: str
    paths: tuple[str, ...]
    shared: bool  # whether other machines must have the folder

    def enter(self) -> None:
        """Use the caller's directory and module path in this process."""
        sys.path += [path for path in self.paths if path not in sys.path]
        try:
            os.chdir(self.folder)
        except OSError as error:
            if not self.shared:
                return
            raise MdtreeError(
                f"{self.folder} does not exist on {platform.node()}: machines of a cluster need "
                "shared files under the same path (or checkpoints in an object storage)"
            ) from error


class _Actor(Worker):
    """A worker in a Ray process; Ray does not report exit codes, so a key is set instead.

    What happens inside an item is a key as well: an actor answers no other call meanwhile.
    """

    def __init__(
        self,
        task: bytes,
        executor: ExecutorConfig,
        origin: _Origin,
        too_large_key: str,
        news_key: str,
    ) -> None:
        super().__init__(task, executor, self._tell)
        self._origin, self._too_large_key, self._news_key = origin, too_large_key, news_key

    def _tell(self, content: bytes) -> None:
        with contextlib.suppress(Exception):  # of the store: the item goes on
            _internal_kv_put(self._news_key, content, overwrite=True, namespace=_SPACE)

    def _prepare(self) -> None:
        self._origin.enter()
        super()._prepare()

    def _end(self) -> None:
        _internal_kv_put(self._too_large_key, b"too large", namespace=_SPACE)
        super()._end()


def _connect(executor: ExecutorConfig) -> bool:
    """Join the cluster, unless this process is in one already; return whether it was started."""
    if ray.is_initialized():
        return False
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        if executor.ray == "local":
            ray.init("local", num_cpus=executor.workers, include_dashboard=False, **quiet)
        else:
            _check_reachable(executor.ray or "auto")
            ray.init(executor.ray, **quiet)
    except (RayError, OSError, ValueError, RuntimeError) as error:
        attempt = "start a" if executor.ray == "local" else f"reach the {executor.ray!r}"
        raise MdtreeError(
            f"cannot {attempt} Ray cluster: {error} (--ray alone starts one on this machine)"
        ) from error
    return True


def _check_reachable(address: str) -> None:
    """Fail quickly if nobody listens at an address: Ray itself tries for many minutes."""
    if address == "auto":
        address = os.environ.get("RAY_ADDRESS", "")
    host, colon, port = address.rpartition(":")
    if colon and "//" not in host:  # the client for ray:// does not try for long
        socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER).close()

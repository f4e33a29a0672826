"""Executor configuration: how many workers there are, and what one item may take."""

from __future__ import annotations

from dataclasses import dataclass

from mdtree.exceptions import MdtreeError

__all__ = ["HERE", "ExecutorConfig"]


@dataclass(frozen=True, kw_only=True)
class ExecutorConfig:
    """How many workers there are, of which kind, and what they may take."""

    workers: int | None = None  # None: one, or on Ray as many as the cluster has room for
    ray: str | None = None  # the address of a Ray cluster; "local": one that is started here
    gpus: float | None = 0.0  # of a worker on Ray; None: what the first item turns out to hold
    devices: tuple[str, ...] = ()  # GPUs over which processes are spread, as CUDA names them
    timeout: float | None = None  # seconds for one item
    memory: int | None = None  # bytes that a worker may hold
    shared: bool = True  # machines of a cluster see the same files under the same paths
    retries: int = 1  # further tries of an item whose worker died, or took too much

    def __post_init__(self) -> None:
        for name, least in (("workers", 1), ("timeout", 0), ("memory", 1), ("retries", 0)):
            value = getattr(self, name)
            if value is not None and not value >= least:
                raise MdtreeError(f"{name} must be at least {least}; got {value}")
        share = self.gpus or 0.0
        if not 0 <= share <= 1 and share % 1:
            raise MdtreeError(f"GPUs per worker are a fraction of one, or whole; got {share:g}")

    @property
    def is_here(self) -> bool:
        """Say whether the work is done by this very process, which nothing can limit."""
        alone = self.ray is None and self.workers in (None, 1)
        return alone and self.timeout is None and self.memory is None

    @property
    def threads(self) -> int | None:
        """Give the threads of each worker: N workers with N threads each fight for the cores."""
        return None if self.ray is None and self.workers in (None, 1) else 1


HERE = ExecutorConfig()

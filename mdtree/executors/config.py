"""Executor configuration: the number and kind of workers, and the limits of an item."""

from __future__ import annotations

from dataclasses import dataclass

from mdtree.exceptions import MdtreeError

__all__ = ["HERE", "ExecutorConfig"]


@dataclass(frozen=True, kw_only=True)
class ExecutorConfig:
    """The number and kind of workers, and the limits of an item.

    Raises:
        MdtreeError: A number is out of range.
    """

    workers: int | None = None  # None: one, or on Ray as many as the cluster has room for
    ray: str | None = None  # the address of a Ray cluster; "local": start one here
    gpus: float | None = 0.0  # per worker on Ray; None: what the first item needs
    devices: tuple[str, ...] = ()  # GPUs for the worker processes, as CUDA names them
    timeout: float | None = None  # seconds per item
    memory: int | None = None  # bytes per worker
    shared: bool = True  # machines of a cluster see the same files under the same paths
    retries: int = 1  # further attempts for an item whose worker died or exceeded a limit

    def __post_init__(self) -> None:
        for name, least in (("workers", 1), ("timeout", 0), ("memory", 1), ("retries", 0)):
            value = getattr(self, name)
            if value is not None and not value >= least:
                raise MdtreeError(f"{name} must be at least {least}, got {value}")
        share = self.gpus or 0.0
        if not 0 <= share <= 1 and share % 1:
            raise MdtreeError(
                f"GPUs per worker must be from 0 to 1, or a whole number, got {share:g}"
            )

    @property
    def is_here(self) -> bool:
        """Whether the work is done in this process, without limits."""
        alone = self.ray is None and self.workers in (None, 1)
        return alone and self.timeout is None and self.memory is None

    @property
    def threads(self) -> int | None:
        """Threads per worker: one if there are several, which would compete for the cores."""
        return None if self.ray is None and self.workers in (None, 1) else 1


HERE = ExecutorConfig()

"""Executors: run tasks in this process, in worker processes or on Ray, results as they finish."""

from typing import TYPE_CHECKING

from mdtree.late import late

if TYPE_CHECKING:
    from mdtree.executors.config import HERE, ExecutorConfig
    from mdtree.executors.dispatch import run
    from mdtree.executors.kept import kept_workers
    from mdtree.executors.pool import TaskResult, WorkerEvent, WorkerPool
    from mdtree.executors.scheduler import Scheduler
else:
    __getattr__, __dir__ = late(
        __name__,
        {
            "config": "HERE ExecutorConfig",
            "dispatch": "run",
            "kept": "kept_workers",
            "pool": "TaskResult WorkerEvent WorkerPool",
            "scheduler": "Scheduler",
        },
    )

__all__ = [
    "HERE",
    "ExecutorConfig",
    "Scheduler",
    "TaskResult",
    "WorkerEvent",
    "WorkerPool",
    "kept_workers",
    "run",
]

"""Executors: run tasks in this process, in worker processes or on Ray, results as they finish."""

from mdtree.executors.config import HERE, ExecutorConfig
from mdtree.executors.dispatch import run
from mdtree.executors.kept import kept_workers
from mdtree.executors.pool import TaskResult, WorkerEvent, WorkerPool
from mdtree.executors.scheduler import Scheduler

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

"""Workers that are ready at once, for tests of what they do and not of how they start.

A worker spends two seconds on importing torch.  These are forked from a process that has imported
it and does nothing else: the same pickled task, environment, folder and pipe, and still a process
for each worker.  How they really start is tested in tests/executors and wherever this is not used.
"""

from __future__ import annotations

import multiprocessing
import os
from multiprocessing import forkserver

import pytest

from mdtree.executors import processes

WAY = "forkserver"
# what measuring and training import, and what torch does when it differentiates twice
_LOADED = ["mdtree.measurement", "mdtree.zoo", "torch.fx.experimental.symbolic_shapes"]
# and what tests of commands do
_LOADED += ["mdtree.cli.measure", "mdtree.cli.diagnose", "mdtree.cli.zoo", "pytest"]


class Context:
    """Like a context of multiprocessing, as far as a pool needs it."""

    def __init__(self):
        self._context = multiprocessing.get_context(WAY)
        self._context.set_forkserver_preload(_LOADED)
        self.Pipe = self._context.Pipe

    def Process(self, *, target, args):  # noqa: N802 - its name there
        return self._context.Process(target=_in_environment, args=(dict(os.environ), target, args))


def _in_environment(environment, target, args):
    """Take over the environment of now: the forking process has that of its own start."""
    os.environ.clear()
    os.environ.update(environment)
    target(*args)


class _Multiprocessing:
    parent_process = staticmethod(multiprocessing.parent_process)

    @staticmethod
    def get_context(_):
        return Context()


def fork_workers():
    """Let workers of this process be ready at once."""
    processes.multiprocessing = _Multiprocessing()


@pytest.fixture(scope="session")
def _forking():
    """Start the process that forks, before a test has temporary files in a place of its own."""
    if WAY not in multiprocessing.get_all_start_methods():
        return False
    Context()
    forkserver.ensure_running()
    return True


@pytest.fixture
def ready_workers(_forking, monkeypatch):
    """Let workers of this test be ready at once, where the system can fork."""
    if _forking:
        monkeypatch.setattr(processes, "multiprocessing", _Multiprocessing())

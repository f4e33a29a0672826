"""Tasks for workers, which they must be able to import, and what waits for them without a clock.

No torch here: it makes a process slow to start.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import time
from pathlib import Path

import pytest

from mdtree.executors import dispatch
from tests.support.paths import ROOT

LONG = 600  # seconds; no test takes that long, unless something hangs
PATH = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])


@pytest.fixture(scope="module")
def cluster():
    """Ray on this machine, which says that it has a GPU: teams use what they find."""
    ray = pytest.importorskip("ray")
    quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": logging.ERROR}
    ray.init("local", num_cpus=2, num_gpus=1, **quiet)
    yield ray
    ray.shutdown()


def threads(_):
    import torch

    return torch.get_num_threads()


def square(number):
    return number * number


class Patient:
    """A team for which time passes only once all items under way are stuck.

    So a limit of time stops what never ends, and nothing else, however busy the machine is.
    """

    def __init__(self, pool, stuck):
        self._pool, self._stuck = pool, stuck
        self._time = 0.0
        self._held = {}  # worker -> item

    def __getattr__(self, name):
        return getattr(self._pool, name)

    def now(self):
        return self._time

    def submit(self, worker_id, item):
        self._held[worker_id] = item
        self._pool.submit(worker_id, item)

    def kill(self, worker_id):
        self._held.pop(worker_id, None)
        self._pool.kill(worker_id)

    def wait(self, seconds):
        while not (news := self._pool.wait(0.05)):
            if self._held and all(map(self._stuck, self._held.values())):
                self._time += seconds
                break
        for each in news:
            if each.kind != "inside":  # the item goes on
                self._held.pop(each.worker_id, None)
        return news


@pytest.fixture
def patience(monkeypatch):
    """Let real teams have the time of `Patient`: patience(stuck) says which items are stuck."""
    pool = dispatch._pool

    def patience(stuck):
        monkeypatch.setattr(dispatch, "_pool", lambda *executor: Patient(pool(*executor), stuck))

    return patience


def eventually(happened):
    """Wait until something has happened; only what hangs takes longer than the limit."""
    deadline = time.monotonic() + LONG / 2
    while not happened():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def wait_for_file(path):
    """Work until a file is there."""
    if not eventually(path.exists):
        raise TimeoutError(f"{path} did not come")
    return path.name


def pid_after(seconds):
    time.sleep(seconds)
    return os.getpid()


def alive(pids):
    return [pid for pid in pids if is_alive(pid)]


def is_alive(pid):
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat")
        return not (state.exists() and ") Z" in state.read_text())  # dead, and nobody has asked
    except OSError:
        return False


def child_pids():
    """Name the processes that this one has started, and which are not gone to the last trace."""
    return {child.pid for child in multiprocessing.active_children()}


def wait_until_ended(pids):
    """Wait until processes are gone; not for longer than those live that do nothing but wait."""
    pids = list(pids)
    return eventually(lambda: not alive(pids))

"""Tasks for workers, which they must be able to import, and a Ray cluster for many tests.

No torch here: it makes a process slow to start.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import time
from pathlib import Path

import pytest

LONG = 100  # seconds; no test waits that long, unless it fails
PATH = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])


@pytest.fixture(scope="module")
def cluster():
    """Ray on this machine, which says that it has a GPU: teams use what they find."""
    ray = pytest.importorskip("ray")
    quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": logging.ERROR}
    ray.init("local", num_cpus=2, num_gpus=1, **quiet)
    yield ray
    ray.shutdown()


def square(number):
    return number * number


def until(path):
    """Work until a file is there, but far longer than that takes."""
    deadline = time.monotonic() + LONG / 2
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    return path.name


def process(seconds):
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


def children():
    return alive(child.pid for child in multiprocessing.active_children())


def ended(pids):
    """Wait until processes are gone, or far longer than that takes."""
    deadline = time.monotonic() + LONG / 2
    while alive(pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not alive(pids)

"""Tasks for workers, which they must be able to import, and what waits for them without a clock.

Neither torch nor pytest here: they make a process slow to start.
"""

from __future__ import annotations

import mmap
import multiprocessing
import os
import time
from pathlib import Path

from mdtree.progress import report
from tests.support.paths import ROOT

LONG = 600  # seconds; no test takes that long, unless something hangs
PATH = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])


def threads(_):
    import torch

    return torch.get_num_threads()


def square(number):
    return number * number


def square_of_even(number):
    return number * number if number % 2 == 0 else None


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


def folder(_):
    return os.getcwd()  # noqa: PTH109 - what a relative path begins at


def picky(number):
    if number == 3:
        raise ValueError("not three", os.getpid())
    return number


def quits(kind):
    raise kind("enough")


def gpu(room):
    """Tell the GPU, once all three workers are there: none does the work of another."""
    folder, name = room
    (folder / name).touch()
    for other in "abc":
        wait_for_file(folder / other)
    return os.environ.get("CUDA_VISIBLE_DEVICES")


def mark(path):
    """Leave a file: the last thing that a worker does before it tells that it is done."""
    path.touch()


def telling(number):
    """Report half of the work, and wait until somebody has heard it, if anybody can."""
    report(number / 10, "halfway")
    report(0.9, "too soon after the last report, in another process")
    return number


def told(path):
    """Report, and go on only when that was heard: during the work, not after it."""
    report(0.25, "hessian")
    wait_for_file(path)
    return path.name


def meets(item):
    """Be there until the other is there too: done only by workers at once."""
    folder, name, other = item
    (folder / name).touch()
    return wait_for_file(folder / other)


def works_alone(item):
    """Say whether nobody else was there meanwhile: whoever would be allowed to has time to come."""
    folder, name = item
    (folder / name).touch()
    time.sleep(0.3)
    others = len(list(folder.iterdir())) - 1
    (folder / name).unlink()
    return others


def greedy(mega):
    """Hold memory and touch it."""
    block = b"x" * (mega * 2**20)
    time.sleep(1 if mega < 500 else LONG)
    return len(block)


def mapped(path):
    """Read all of a mapped file, and stay for several looks at the memory."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        total = sum(content[place] for place in range(0, len(content), mmap.PAGESIZE))
        time.sleep(0.5)
    return total

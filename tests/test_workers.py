"""Real processes throughout: each test that starts some takes about two seconds to start them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mdtree.workers import Crew, Done, run  # and no torch, which makes a process slow to start

HERE = Path(__file__).parent
PATH = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
LONG = 100  # seconds; no test waits that long, unless it fails


def square(number):
    return number * number


def threads(_):
    import torch

    return torch.get_num_threads()


def sleepy(seconds):
    time.sleep(seconds)
    return seconds


def mortal(item):
    """Kill the worker at `die`; say everything else back."""
    if item == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if item == "die later":
        time.sleep(1)
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def picky(number):
    if number == 3:
        raise ValueError("not three")
    return number


class Counted:
    """Items without end, and how many were drawn."""

    def __init__(self):
        self.drawn = 0

    def __iter__(self):
        while True:
            self.drawn += 1
            yield self.drawn


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


def test_one_worker_and_two_give_the_same():
    alone = list(run(square, range(9)))

    assert [Done(item=n, result=n * n, error=None) for n in range(9)] == alone
    assert alone == sorted(run(square, range(9), Crew(workers=2)), key=lambda done: done.item)


@pytest.mark.parametrize("workers", [1, 2])
def test_no_items_are_no_results_and_no_processes(workers):
    others = children()
    assert list(run(square, [], Crew(workers=workers))) == []
    assert others == children()


def test_results_come_as_they_finish_and_not_in_the_order_of_the_items():
    assert [done.item for done in run(sleepy, [2.0, 0.0], Crew(workers=2))] == [0.0, 2.0]


@pytest.mark.parametrize("script", ["", "import torch"])
def test_each_worker_has_one_thread_whoever_has_loaded_torch(tmp_path, script):
    (tmp_path / "script.py").write_text(f"""{script}
import test_workers
from mdtree.workers import Crew, run
if __name__ == "__main__":
    print(*(done.result for done in run(test_workers.threads, range(2), Crew(workers=2))))
""")
    ran = subprocess.run(
        [sys.executable, tmp_path / "script.py"],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": PATH, "OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"},
        text=True,
        check=True,
    )
    assert ran.stdout == "1 1\n"


@pytest.mark.parametrize("workers", [1, 2])
def test_items_are_drawn_when_they_are_needed(workers):
    items = Counted()
    results = run(square, items, Crew(workers=workers))
    for taken in range(1, 11):
        next(results)
        assert taken <= items.drawn <= taken + 2 * workers
    results.close()


def test_a_worker_that_dies_costs_its_own_item_alone():
    items = ["a", "die", *"bcde"]

    done = list(run(mortal, items, Crew(workers=2)))

    assert sorted(items) == sorted(each.item for each in done)
    lost = [each for each in done if each.result is None]
    assert [each.item for each in lost] == ["die"]
    assert "the worker process died" in lost[0].error
    assert all(each.item == each.result and each.error is None for each in done if each.result)


def test_a_worker_may_die_while_the_caller_is_busy_with_a_result():
    results = []
    for done in run(mortal, iter(["a", "die later", *"bcd"]), Crew(workers=2)):
        results.append(done)
        time.sleep(1.5 if len(results) == 1 else 0)

    assert [done.item for done in results if done.error] == ["die later"]
    assert [*"abcd"] == sorted(done.result for done in results if done.result)


@pytest.mark.parametrize("workers", [1, 2])
def test_what_a_task_raises_is_raised_and_ends_the_workers(workers):
    with pytest.raises(ValueError, match="not three"):
        list(run(picky, range(9), Crew(workers=workers)))
    assert ended(children())


def test_whoever_wants_no_more_results_leaves_no_process_behind():
    assert ended(children())
    results = run(sleepy, [0, 0, LONG, LONG, LONG], Crew(workers=2))
    next(results)
    before = children()
    results.close()

    assert len(before) == 2
    assert alive(before) == []


def test_closing_spares_processes_of_others():
    other = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(LONG,))
    other.start()
    try:
        results = run(sleepy, [0, LONG], Crew(workers=2))
        next(results)
        results.close()
        assert is_alive(other.pid)
    finally:
        other.kill()
        other.join()


SCRIPT = """
import os, multiprocessing, test_workers
from mdtree.workers import Crew, run
if __name__ == "__main__":
    for done in run(test_workers.sleepy, [0, 0, test_workers.LONG], Crew(workers=2)):
        print(*(child.pid for child in multiprocessing.active_children()), flush=True)
"""


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_the_process_that_started_them(tmp_path, kill):
    (tmp_path / "script.py").write_text(SCRIPT)
    process = subprocess.Popen(
        [sys.executable, tmp_path / "script.py"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": PATH},
        text=True,
    )
    try:
        workers = [int(pid) for pid in process.stdout.readline().split()]
        process.send_signal(kill)
        process.wait()
    finally:
        process.kill()
        process.stdout.close()

    assert len(workers) == 2
    assert ended(workers)

"""Misfortunes of single items, in real processes and real Ray actors."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import sys
import threading
import time
import uuid
from collections import Counter

import pytest

from mdtree.exceptions import MdtreeError
from mdtree.executors import ExecutorConfig, run
from tests.support.worker_tasks import LONG, greedy, mapped, square, wait_until_ended
from tests.support.workers import cluster, patience

__all__ = ["cluster", "patience"]

WAYS = ["processes", pytest.param("ray", marks=pytest.mark.slow)]


@pytest.fixture(params=WAYS)
def start(request):
    """Make an executor of two workers that are ready at once: config(retries=0, timeout=2)."""
    return _executor(request, "ready_workers")


@pytest.fixture(params=WAYS)
def start_anew(request):
    """The same, but every process is started as it is for users."""
    return _executor(request, None)


def _executor(request, for_processes):
    ray = "local" if request.param == "ray" else None
    needs = "cluster" if ray else for_processes
    if needs:
        request.getfixturevalue(needs)
    return lambda **limits: ExecutorConfig(workers=2, ray=ray, **limits)


def die(_=0, __=None):
    os.kill(os.getpid(), signal.SIGKILL)


def mortal(item):
    """Die where the name says so, once or always; every try leaves a file."""
    folder, name = item
    (folder / f"{name} {uuid.uuid4()}").touch()
    if name == "dies" or (name == "dies once" and len(list(folder.glob("dies once*"))) == 1):
        die()
    return name


def stuck(item):
    """Do not end, in one way or another; a file says that it has begun."""
    folder, way = item
    if way == "ignores signals":
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
    (folder / f"{way} {os.getpid()}").touch()
    if way == "holds the lock of Python":
        re.match(r"(a+)+$", "a" * 60 + "b")
    elif way != "ends":
        time.sleep(LONG)
    return way


def is_stuck(item):
    folder, way = item
    return way != "ends" and any(folder.glob(f"{way} *"))


def last_breath(item):
    """Give a result, and die in the same moment."""
    threading.Timer(item / 100, die).start()
    return item, bytes(2**22)


def large(seed):
    return bytes([seed]) * 8_000_000


def digest(content):
    return hashlib.sha256(content).hexdigest()


class Unreadable:
    """What can be sent but not received."""

    def __reduce__(self):
        return int, ("not a number",)


class PeculiarError(Exception):
    """An error that pickle can write but not read."""

    def __init__(self, one, other):
        super().__init__(f"{one} and {other}")


class LockedError(Exception):
    def __init__(self, text):
        super().__init__(text, threading.Lock())


class NamelessError(LockedError):
    def __str__(self):
        raise AttributeError("no text")


def raises(kind):
    raise PeculiarError(1, 2) if kind is PeculiarError else kind("a text")


def returns(what):
    return {"function": lambda: 0, "lock": threading.Lock(), "unreadable": Unreadable()}[what]


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_a_worker_that_dies_costs_its_own_item_alone(start, retries, tmp_path):
    names = ["a", "dies", "dies once", *"bcd"]

    done = {
        each.item[1]: each
        for each in run(mortal, [(tmp_path, name) for name in names], start(retries=retries))
    }

    assert sorted(names) == sorted(done)
    assert [*"abcd"] == [done[name].result for name in "abcd"]
    tries = Counter(path.name.rpartition(" ")[0] for path in tmp_path.iterdir())
    assert tries == {
        "dies": 1 + retries,
        "dies once": min(2, 1 + retries),
        **dict.fromkeys("abcd", 1),
    }
    assert done["dies"].result is None
    assert "the worker process died" in done["dies"].error
    assert done["dies"].error.endswith(f", {1 + retries} times") == (retries > 0)
    assert done["dies once"].result == ("dies once" if retries else None)


def test_what_never_ends_is_stopped_whatever_it_does_and_the_others_go_on(
    start, tmp_path, patience
):
    patience(is_stuck)
    ways = ["ends", "sleeps", "ignores signals", "holds the lock of Python", "ends"]

    items = [(tmp_path, way) for way in ways]
    done = list(run(stuck, items, start(timeout=2, retries=0)))

    assert sorted(items) == sorted(each.item for each in done)
    for _, way, error in [(*each.item, each.error) for each in done]:
        assert error == (None if way == "ends" else "took longer than 2 seconds")
    assert len(list(tmp_path.iterdir())) == len(ways)
    assert wait_until_ended(int(path.name.rpartition(" ")[2]) for path in tmp_path.iterdir())


def test_the_limit_of_time_is_in_seconds_of_the_clock(start, tmp_path):
    (done,) = run(stuck, [(tmp_path, "sleeps")], start(timeout=0.5, retries=0))
    assert done.error == "took longer than 0.5 seconds"


def test_an_item_that_takes_too_much_memory_is_stopped_and_the_others_go_on(start_anew):
    executor = start_anew(memory=500 * 2**20, retries=0)
    done = {each.item: each for each in run(greedy, [1, 600, 2, 3], executor)}

    assert done.keys() == {1, 600, 2, 3}
    assert done[600].error == "took more than 0.488 GiB of memory"
    assert [n * 2**20 for n in (1, 2, 3)] == [done[n].result for n in (1, 2, 3)]


def test_files_that_are_mapped_count_for_nothing(tmp_path):
    (tmp_path / "weights").write_bytes(bytes(2**28))
    executor = ExecutorConfig(workers=2, memory=2**27, retries=0)
    done = list(run(mapped, [tmp_path / "weights"], executor))
    assert [done[0].result, done[0].error] == [0, None]


def test_results_that_come_in_the_moment_of_the_death_come_once(start):
    items = range(5)
    done = list(run(last_breath, items, start(retries=3)))

    assert list(items) == sorted(each.item for each in done)
    for each in done:
        assert each.result == (each.item, bytes(2**22)) or "4 times" in each.error


def test_large_results_arrive_whole(start):
    sent = {each.item: digest(each.result) for each in run(large, [1, 2, 3], start())}
    assert {seed: digest(large(seed)) for seed in (1, 2, 3)} == sent


@pytest.mark.parametrize("what", ["function", "lock"])
def test_a_result_that_cannot_be_sent_is_an_error_that_says_so(start, what):
    with pytest.raises(RuntimeError, match="the result cannot be sent"):
        list(run(returns, [what], start()))


def test_a_result_that_cannot_be_received_is_an_error(start):
    with pytest.raises(ValueError, match="not a number"):
        list(run(returns, ["unreadable"], start()))


@pytest.mark.parametrize(
    "item", [lambda: 0, threading.Lock(), Unreadable()], ids=["lambda", "lock", "unreadable"]
)
def test_an_item_that_cannot_be_sent_or_received_is_an_error(start_anew, item):
    with pytest.raises(Exception, match=r"pickle|not a number"):
        list(run(square, [item], start_anew()))


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (PeculiarError, "PeculiarError: 1 and 2"),
        (LockedError, "LockedError: .*a text"),
        (NamelessError, "NamelessError"),
    ],
)
def test_an_error_that_cannot_be_sent_is_told_by_another(start, kind, said):
    with pytest.raises(RuntimeError, match=said) as raised:
        list(run(raises, [kind], start()))
    assert "Process" not in str(raised.value)


def test_a_task_that_workers_cannot_import_is_an_error(start_anew, tmp_path, monkeypatch):
    (tmp_path / "here_alone.py").write_text("def task(item): return item")
    monkeypatch.syspath_prepend(tmp_path)
    from here_alone import task

    (tmp_path / "here_alone.py").unlink()
    for cached in tmp_path.glob("__pycache__/*"):
        cached.unlink()
    with pytest.raises(ModuleNotFoundError, match="here_alone"):
        list(run(task, [1], start_anew()))
    del sys.modules["here_alone"]


def test_a_task_without_a_name_is_an_error(start):
    with pytest.raises(Exception, match="pickle"):
        list(run(lambda item: item, [1], start()))


def fatal(folder, monkeypatch, deaths):
    """Make a task whose module ends so many of the processes that import it, but not this one."""
    for number in range(deaths):
        (folder / f"death-{number}").touch()
    name = f"fatal_{uuid.uuid4().hex}"
    (folder / f"{name}.py").write_text(f"""
import contextlib, os, pathlib
if os.getpid() != {os.getpid()}:
    for death in pathlib.Path({str(folder)!r}).glob("death-*"):
        with contextlib.suppress(FileNotFoundError):  # somebody else's
            death.unlink()
            os._exit(3)
def task(item):
    return item
""")
    monkeypatch.syspath_prepend(folder)
    return __import__(name).task


def test_workers_that_always_die_while_they_start_end_the_work(start_anew, tmp_path, monkeypatch):
    task = fatal(tmp_path, monkeypatch, deaths=99)
    with pytest.raises(MdtreeError, match="workers fail to start: the worker process died"):
        list(run(task, [1], start_anew()))


def test_workers_that_die_while_they_start_cost_no_item(start_anew, tmp_path, monkeypatch):
    task = fatal(tmp_path, monkeypatch, deaths=2)
    done = list(run(task, [1, 2, 3], start_anew(retries=0)))
    assert [(n, None) for n in (1, 2, 3)] == sorted((each.result, each.error) for each in done)

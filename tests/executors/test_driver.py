"""The process that started the workers is interrupted or killed: nothing is left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.worker_tasks import LONG, PATH, wait_until_ended

SCRIPT = """
from tests.support import worker_tasks
from mdtree.executors import ExecutorConfig, run
if __name__ == "__main__":
    items = [0, 0, worker_tasks.LONG, worker_tasks.LONG]
    for done in run(worker_tasks.pid_after, items, ExecutorConfig(workers=2, ray={ray!r})):
        print(done.result, flush=True)
"""

WAYS = ["processes", pytest.param("ray", marks=pytest.mark.slow)]


@contextlib.contextmanager
def driver(folder, way):
    """Start a program in a session of its own, as a terminal does."""
    if way == "ray":
        pytest.importorskip("ray")
    (folder / "script.py").write_text(SCRIPT.format(ray="local" if way == "ray" else None))
    with subprocess.Popen(
        [sys.executable, folder / "script.py"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": PATH},
        start_new_session=True,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def offspring(pid):
    """Find all processes that a process has started, and those which they have."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended
            number, rest = stat.read_text().split(" (", 1)
            parents[int(number)] = int(rest.rpartition(") ")[2].split()[1])
    family = {pid}
    while more := {child for child, parent in parents.items() if parent in family} - family:
        family |= more
    return family - {pid}


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are found in /proc")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_the_process_that_started_them(tmp_path, way, kill):
    with driver(tmp_path, way) as process:
        worker = int(process.stdout.readline())
        started = offspring(process.pid)
        process.send_signal(kill)
        process.wait()
        printed = process.stderr.read() if kill == signal.SIGINT else ""

    assert worker in started
    if kill == signal.SIGKILL:
        # helpers of Ray look but once a minute whether they are still wanted
        assert wait_until_ended(started if way == "processes" else [worker])
    else:
        assert wait_until_ended(started)
        assert process.returncode == -signal.SIGINT
        assert printed.splitlines()[-1] == "KeyboardInterrupt"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are found in /proc")
@pytest.mark.parametrize("later", [0.0, 0.1, 0.3])
def test_an_interrupt_of_everybody_is_told_once(tmp_path, later):
    with driver(tmp_path, "processes") as process:
        while len(offspring(process.pid)) < 3:  # two workers, and what helps them
            assert process.poll() is None
        time.sleep(later)
        started = offspring(process.pid)
        os.killpg(process.pid, signal.SIGINT)
        printed = process.stderr.read()

    assert wait_until_ended(started)
    assert printed.count("Traceback") == 1


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="signals cannot be kept waiting")
def test_no_worker_can_be_interrupted_before_it_ignores_that(tmp_path):
    (tmp_path / "script.py").write_text("""
import os, pathlib, signal
from tests.support import worker_tasks
from mdtree.executors import ExecutorConfig, run
HERE = pathlib.Path(__file__).parent
def starts(_):
    return worker_tasks.eventually(lambda: len(list(HERE.glob("start *"))) == 2)
if __name__ == "__main__":
    assert all(done.result for done in run(starts, [0, 1], ExecutorConfig(workers=2)))
else:  # a worker that is starting
    blocked = signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    (HERE / f"start {os.getpid()} {blocked}").touch()
""")
    env = {**os.environ, "PYTHONPATH": PATH}
    subprocess.run([sys.executable, tmp_path / "script.py"], env=env, check=True)
    assert [path.name.split()[2] for path in tmp_path.glob("start *")] == ["True", "True"]


def test_a_script_that_does_not_guard_its_start_is_told_how(tmp_path):
    unguarded = SCRIPT.format(ray=None).replace('__name__ == "__main__"', "True")
    (tmp_path / "script.py").write_text(unguarded)
    ran = subprocess.run(
        [sys.executable, tmp_path / "script.py"],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": PATH},
        text=True,
        check=False,
        timeout=LONG,
    )
    assert ran.returncode == 1
    assert "if __name__ == '__main__':" in ran.stderr.splitlines()[-1]

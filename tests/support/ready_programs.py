"""Programs that are ready at once, for tests of what they do and not of how they start.

A new Python spends two seconds on importing torch.  These are forked from the process that
`ready_workers` forks from, which has imported it and does nothing else: a process with its own
environment, folder and output, which signals stop like any other.  How the real command starts and
stops is tested in tests/measurement/test_stopped.py, and wherever `subprocess` is used.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
from multiprocessing import forkserver
from pathlib import Path

import pytest

from tests.support.ready_workers import Context, fork_workers
from tests.support.stopping import stopped

_STOPS = [getattr(signal, n) for n in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, n)]
_SERVER = forkserver._forkserver
_KNOWN = ("_forkserver_address", "_forkserver_authkey")  # the second since Python 3.14
_TEMPORARY = tempfile.gettempdir()  # tests have temporary files in places of their own


class ReadyProgram:
    """A process that calls a function of some module: like subprocess.Popen, as far as needed."""

    def __init__(self, function, *args, env=None, cwd=None):
        self.returncode = None
        self._place = tempfile.TemporaryDirectory(dir=_TEMPORARY)
        self._output = [Path(self._place.name, name) for name in ("out", "err")]
        start = {
            "environment": {**os.environ, **(env or {})},
            "folder": str(cwd or Path.cwd()),
            "output": list(map(str, self._output)),
            "known": {name: getattr(_SERVER, name) for name in _KNOWN if hasattr(_SERVER, name)},
        }
        self._process = Context().Process(target=_begin, args=(start, function, args))
        self._process.start()

    def __enter__(self):
        return self

    def __exit__(self, failed, *_):
        if failed is not None:
            self.kill()
        self._process.join()
        self.poll()
        self._process.close()
        self._place.cleanup()

    def poll(self):
        if self.returncode is None:
            self.returncode = self._process.exitcode
        return self.returncode

    def send_signal(self, how):
        with contextlib.suppress(ProcessLookupError):  # it has ended
            os.kill(self._process.pid, how)

    def kill(self):
        self._process.kill()

    def communicate(self):
        """Wait for its end, and give what it has printed."""
        self._process.join()
        return tuple(path.read_text(encoding="utf-8") for path in self._output)


def _begin(start, function, args):
    """Be as a new Python is, but for what is imported, and call the function."""
    os.environ.clear()
    os.environ.update(start["environment"])
    os.chdir(start["folder"])
    tempfile.tempdir = None
    for name, number in zip(("stdout", "stderr"), (1, 2), strict=True):
        file = os.open(start["output"][number - 1], os.O_WRONLY | os.O_CREAT)
        os.dup2(file, number)
        stream = open(number, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - for all time
        setattr(sys, name, stream)
    for stop in _STOPS:
        usual = signal.default_int_handler if stop == signal.SIGINT else signal.SIG_DFL
        signal.signal(stop, usual)
    for name, value in start["known"].items():  # its workers are forked from the same process
        setattr(forkserver._forkserver, name, value)
    forkserver._forkserver.ensure_running = lambda: None
    try:
        function(*args)
    finally:
        atexit._run_exitfuncs()  # as at the end of Python: forked processes leave that out
        sys.stdout.flush()
        sys.stderr.flush()


def run_mdtree(args):
    """Be the command `mdtree`, whose workers are ready at once too."""
    from mdtree.cli import main

    fork_workers()
    main(args)


def run_code(code, path, args):
    """Be `python -c`, where `path` comes before all other places of modules."""
    sys.argv = ["-c", *args]
    if path is not None:
        sys.path.insert(0, path)
    exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})


@pytest.fixture(scope="session")
def ready_program(_forking):
    """Start code in a process that has torch: `with ready_program(code, arg) as program:`.

    It has neither torchvision nor scikit-learn nor transformers.  What is in the folder `path` is
    found before all other modules.
    """

    def start(code, *args, path=None, cwd=None):
        code, args = textwrap.dedent(code), list(map(str, args))
        path = None if path is None else str(path)
        if _forking:
            return ReadyProgram(run_code, code, path, args, cwd=cwd)
        places = os.pathsep.join(filter(None, [path, os.environ.get("PYTHONPATH")]))
        return subprocess.Popen(
            [sys.executable, "-c", code, *args],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": places},
        )

    return start


@pytest.fixture(scope="session")
def ready_code(ready_program):
    """Run such a program to its end: ready_code("print(1)").stdout == "1\\n"."""

    def run(code, *args, **places):
        with ready_program(code, *args, **places) as program:
            out, err = program.communicate()
        return subprocess.CompletedProcess(args, program.returncode, out, err)

    return run


@pytest.fixture
def stop_ready_command(_forking):
    """Stop a command that is ready at once: like tests.support.stopping.stop_command."""

    def start(args, env):
        return ReadyProgram(run_mdtree, args, env=env)

    def stop(args, how, *, until, count=1):
        return stopped(args, how, until=until, count=count, start=start if _forking else None)

    return stop

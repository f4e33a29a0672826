"""The real command, stopped in the middle by a signal; and a network that waits for it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.worker_tasks import PATH, eventually

PROGRESS = re.compile(r"^[\w ]+: \d+/\d+ .*\n", re.MULTILINE)

WAITING_NETWORK = """
import os, time
from pathlib import Path
from torch import nn
from mdtree.models import cnn
from tests.support.stopping import count_rows
class Net(nn.Sequential):
    def forward(self, x):
        while "UNTIL" in os.environ and count_rows(os.environ["UNTIL"]) >= int(os.environ["COUNT"]):
            Path(os.environ["WAITS"]).touch()
            time.sleep(0.02)
        return super().forward(x)
def net(width):
    return Net(*cnn(width=width))
"""


def count_rows(pattern):
    """Count the rows in files of that name in that folder or below; or files that hold no rows."""
    files = Path(pattern).parent.rglob(Path(pattern).name)
    return sum(p.read_bytes().count(b"\n") if p.suffix == ".jsonl" else 1 for p in files)


def stop_command(args, how, *, until, count=1):
    """Stop a command once so much is there; give its exit code and what it printed."""
    return stopped(args, how, until=until, count=count)


def stopped(args, how, *, until, count, start=None):
    """Start a command and stop it, as `stop_command` does.

    Once so much is there, its networks (`WAITING_NETWORK`) do nothing: it cannot end before the
    signal comes.  And the signal comes while one of them waits: Python loses what is raised in a
    destructor.
    """
    with tempfile.TemporaryDirectory() as place:
        waits = Path(place) / "waits"
        env = {"PYTHONPATH": PATH, "UNTIL": str(until), "COUNT": str(count), "WAITS": str(waits)}
        process = (start or _start)(list(map(str, args)), env)
        with process:
            try:
                assert eventually(lambda: process.poll() is not None or waits.exists())
                process.send_signal(how)
                out, err = process.communicate()
            finally:
                process.kill()
    return process.returncode, out, PROGRESS.sub("", err)  # which a busy machine prints


def _start(args, env):
    return subprocess.Popen(
        [sys.executable, "-m", "mdtree", *args],
        env={**os.environ, **env},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

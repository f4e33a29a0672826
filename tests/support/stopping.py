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
    """Stop a command once so much is there; give its exit code and what it printed.

    From then on its networks (`WAITING_NETWORK`) do nothing: it cannot end before the signal comes.
    And the signal comes while one of them waits: Python loses what is raised in a destructor.
    """
    with tempfile.TemporaryDirectory() as place:
        return _stopped(args, how, until, count, Path(place) / "waits")


def _stopped(args, how, until, count, waits):
    process = subprocess.Popen(
        [sys.executable, "-m", "mdtree", *map(str, args)],
        env={
            **os.environ,
            "PYTHONPATH": PATH,
            "UNTIL": str(until),
            "COUNT": str(count),
            "WAITS": str(waits),
        },
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert eventually(lambda: process.poll() is not None or waits.exists())
            process.send_signal(how)
            out, err = process.communicate()
        finally:
            process.kill()
    return process.returncode, out, PROGRESS.sub("", err)  # which a busy machine prints

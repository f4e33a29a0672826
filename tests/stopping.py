"""The real command, stopped in the middle by a signal; and a network that takes its time."""

from __future__ import annotations

import os
import subprocess
import sys
import time

NAPPING = """
import os, time
from torch import nn
from mdtree.models import cnn
class Net(nn.Sequential):
    def forward(self, x):
        time.sleep(float(os.environ.get("NAP", "0")))
        return super().forward(x)
def net(width):
    return Net(*cnn(width=width))
"""


def stopped(args, how, *, nap, begun):
    """Start a command, stop it once something is there, and give its exit code and words."""
    process = subprocess.Popen(
        [sys.executable, "-m", "mdtree", *map(str, args)],
        env={**os.environ, "NAP": nap},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    with process:
        while process.poll() is None and not begun():
            time.sleep(0.02)
        process.send_signal(how)
        return process.wait(), process.stderr.read()

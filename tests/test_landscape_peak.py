"""Peak memory, measured in processes of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("resource")  # systems without it cannot tell the peak

HERE = Path(__file__).parent
# Eight tanhs of a million numbers for each item: activations dwarf weights and items.
SCRIPT = """
import resource, sys, torch
from torch import nn
from test_metrics_hessian import Once, subject
from mdtree.metrics.hessian import HESSIAN

class Wide(nn.Module):
    def __init__(self):
        super().__init__()
        self.scales = nn.Parameter(torch.linspace(0.5, 1.5, 8))
        self.refuses = False

    def forward(self, x):
        x = x.expand(-1, int(sys.argv[1]))
        for scale in self.scales:
            x = (x * scale).tanh()
        if self.refuses:
            x = Once.apply(x)
        return x[:, :3]

def measure(protocol, items, module):
    data = torch.linspace(-1, 1, items).reshape(-1, 1), torch.arange(items) % 3
    given = subject(module, [dict(module.state_dict())], data, protocol, batch_size=4)
    return HESSIAN.compute(given)

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

module = Wide()
"""


def peaks(work, numbers):
    """Give the peaks that a program prints."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT + work, str(numbers)],
        cwd=HERE,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [int(line) for line in done.stdout.split()]


def test_doubling_the_sample_does_not_raise_the_peak():
    (base,) = peaks("print(peak())", 1)
    (once,) = peaks("measure('standard-1', 8, module); print(peak())", 1_000_000)
    (twice,) = peaks("measure('standard-1', 16, module); print(peak())", 1_000_000)
    assert once - base > 300_000  # KiB: the test sees what it is about
    assert twice - base < 1.1 * (once - base)


@pytest.mark.parametrize("protocol", ["standard-1", "paper-1"])
@pytest.mark.parametrize("refuses", [False, True])
def test_fifty_measurements_do_not_grow_the_process(protocol, refuses):
    work = f"""
module.refuses = {refuses}
for number in range(53):
    measure({protocol!r}, 4, module)
    if number in (2, 52):
        print(peak())
"""
    before, after = peaks(work, 50_000)
    assert after < 1.1 * before  # one graph is some 20 MiB: fifty would be a gigabyte

"""Networks that make trouble while they are measured, each group in its own way."""

from __future__ import annotations

import subprocess
import sys

import pytest
import yaml

from mdtree.measurement import Request, measure
from mdtree.recipes import Trust, read_recipe
from tests.support.zoos import lines_of, write_zoo

MODULE = '''
import os, signal, time
from pathlib import Path
import torch
from torch import nn
from mdtree.models import cnn

HERE = Path(__file__).parent

def again(kind):
    """Make trouble until somebody writes the file `healed`; `once` makes it once."""
    if (HERE / "healed").exists():
        return False
    mark = HERE / f"was-{kind}"
    seen = mark.exists()
    mark.touch()
    return not (seen and kind.endswith("once"))

class Net(nn.Sequential):
    kind = "good"
    def forward(self, x):
        if self.kind != "good" and again(self.kind):
            trouble = self.kind.partition("-")[0]
            if trouble == "die":
                os.kill(os.getpid(), signal.SIGKILL)
            while trouble == "hang" and not (HERE / "released").exists():
                time.sleep(0.05)
            if trouble == "hoard":
                self.hoard = torch.ones(3 * 2**27)  # 1.5 GiB, until it is seen with it
                time.sleep(1000)
            if trouble == "raise":
                raise RuntimeError("\\x1b[31mred\\x1b[0m")
        return super().forward(x)

def net(width, kind):
    made = Net(*cnn(width=width))
    made.kind = kind
    return made
'''


def write_troubled_zoo(root, kinds):
    """Write a group of two networks for each kind of trouble; give the command that measures."""
    write_zoo(root, {f"{number}-{kind}": [number, 9] for number, kind in enumerate(kinds)})
    name = f"troubled_{abs(hash(str(root)))}"
    (root / f"{name}.py").write_text(MODULE)
    recipe = yaml.safe_load((root / "mdtree.yaml").read_text())
    recipe["model"] = {"factory": f"{name}:net", "kwargs": {"width": 2, "kind": "$kind"}}
    recipe["groups"] = [
        {"name": f"{n}-{kind}", "files": [f"{n}-{kind}"], "facts": {"kind": kind}}
        for n, kind in enumerate(kinds)
    ]
    (root / "mdtree.yaml").write_text(yaml.safe_dump(recipe))
    out = root / "rows.jsonl"
    return [
        *("measure", root, "--recipe", root / "mdtree.yaml", "--metrics", "error_rate"),
        *("--out", out, "--json", "--device", "cpu"),
    ]


def run_command(args, **options):
    """Run the real command."""
    return subprocess.run(
        [sys.executable, "-m", "mdtree", *map(str, args)],
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


def rows_without_times(path):
    """Give the rows without what differs between runs: the time that they took."""
    return sorted(lines_of(path), key=lambda row: row["group"])


def request(root):
    """Ask for what the command of `write_troubled_zoo` measures."""
    return Request(
        root=root,
        recipe=read_recipe(root / "mdtree.yaml"),
        folder=root,
        trust=Trust(any_factory=True, folders=(root,)),
        protocol="standard-1",
        metrics=("error_rate",),
        seed=0,
        device="cpu",
        allow_download=False,
    )


def rows_without_trouble(root):
    """Measure the same networks in this process, without any trouble, and give their rows."""
    healed = root / "healed"
    was = healed.exists()
    healed.touch()
    other = root / "without-faults.jsonl"
    assert measure(request(root), out=other).failed == {}
    if not was:
        healed.unlink()
    return rows_without_times(other)


EXECUTORS = [
    pytest.param(["--workers", 2], id="processes"),
    pytest.param(["--workers", 2, "--ray"], id="ray", marks=pytest.mark.slow),
]

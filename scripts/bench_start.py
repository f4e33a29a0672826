"""How soon mdtree begins, and what many small networks cost.

    python scripts/bench_start.py [--quick] [--json] [--before CHECKOUT] [--parts start,small]

start   a verdict from one row beside `python -c "import numpy, pydantic"`, and `mdtree diagnose
        DIR` up to its first forward pass beside `import torch`
small   `mdtree demo`, and `mdtree measure` of a zoo of small MLPs (64 groups, with --quick 16)

The rival of the second part is another checkout of mdtree (`git worktree add`), if one is named;
without one, it is the time that the figure may take.  Times are those of the processor, over all
processes of a command: other work on the machine changes them least.  Threads are those that a user
gets, and --threads 1 is one.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from benchmark import Comparison, announced, arguments, report, say

from mdtree.recipes import Trust, read_zoo
from mdtree.rows.row import row_to_json
from mdtree.trees.bundled import shipped_rows
from mdtree.zoo import train_zoo

HERE = Path(__file__).resolve().parent.parent
CONFIG = HERE / "configs" / "reference" / "mixture-rate.yaml"

# ends the process at its first forward pass, with all that it has loaded; torch is loaded where the
# command loads it
_UNTIL_FIRST_PASS = """
import importlib.abc, os, sys

class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "mdtree.metrics":
            from torch import nn
            nn.Linear.forward = lambda *_: os._exit(0)

sys.meta_path.insert(0, Finder())
from mdtree.cli import main
try:
    main()
finally:
    os._exit(1)  # there was no forward pass
"""


@dataclass(frozen=True, kw_only=True)
class _Command:
    arguments: tuple[str, ...]
    checkout: Path = HERE
    threads: int | None = None

    def seconds(self) -> float:
        """Run it, and return the seconds of the processor."""
        environment = os.environ | {"PYTHONPATH": str(self.checkout)}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # else all is compiled anew
        if self.threads is not None:
            environment["OMP_NUM_THREADS"] = str(self.threads)
        before = _spent()
        subprocess.run(
            [sys.executable, *self.arguments],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
        )
        return _spent() - before


def main() -> None:
    """Run all comparisons and print them."""
    options = arguments(__doc__, before="", parts="start,small", threads="")
    threads = int(options.threads) if options.threads else None
    before = Path(options.before).resolve() if options.before else None
    comparisons: list[Comparison] = []
    with tempfile.TemporaryDirectory() as folder:
        if "start" in options.parts:
            comparisons += announced(_starting(Path(folder), 3 if options.quick else 9))
        if "small" in options.parts:
            comparisons += announced(
                _small(Path(folder), before, threads=threads, quick=options.quick)
            )
    report(comparisons, as_json=options.json)


def _starting(folder: Path, runs: int) -> Iterator[Comparison]:
    row, small = folder / "row.jsonl", folder / "start"
    row.write_bytes(row_to_json(shipped_rows("digits-standard-1")[0]) + b"\n")
    _trained(small, groups=1)
    yield _compared(
        "a verdict from a row / import numpy, pydantic",
        _Command(arguments=("-c", "import numpy, pydantic")),
        _Command(arguments=("-m", "mdtree", "diagnose", str(row))),
        runs=runs,
        target=1.5,
    )
    yield _compared(
        "diagnose DIR until its first forward pass / import torch",
        _Command(arguments=("-c", "import os, torch; os._exit(0)")),
        _Command(arguments=("-c", _UNTIL_FIRST_PASS, "diagnose", str(small), "--device", "cpu")),
        runs=runs,
        target=1.2,
    )


def _small(
    folder: Path, before: Path | None, *, threads: int | None, quick: bool
) -> Iterator[Comparison]:
    zoo = folder / "small"
    count = _trained(zoo, groups=16 if quick else 64)
    cases = {
        "mdtree demo": (("-m", "mdtree", "demo", "--out", str(folder / "demo")), 50.0),
        f"mdtree measure, {count} groups of small MLPs": (
            ("-m", "mdtree", "measure", str(zoo), "--out", str(zoo / "rows.jsonl")),
            40.0 * count / 64,
        ),
    }
    for name, (words, allowed) in cases.items():
        ours = _Command(arguments=(*words, *(("--device", "cpu") if "measure" in words else ())))
        ours = replace(ours, threads=threads)
        rival = None if before is None else replace(ours, checkout=before)
        yield _compared(name, rival or allowed, ours, runs=1 if quick else 3, target=1.0)


def _compared(
    name: str, rival: _Command | float, ours: _Command, *, runs: int, target: float
) -> Comparison:
    """Run both in turn; a rival that is a number is the time that ours may take."""
    theirs: list[float] = []
    own: list[float] = []
    if target > 1:  # a start: compiled once, as after the first call
        ours.seconds()
    for _ in range(runs):
        _forget(ours)
        theirs.append(rival if isinstance(rival, float) else rival.seconds())
        _forget(ours)
        own.append(ours.seconds())
    say(f"{name}: {statistics.median(own):.2f} s")
    return Comparison(name=name, rival=theirs, ours=own, target=target)


def _forget(command: _Command) -> None:
    """Remove what an earlier run has written, so that each does all of the work."""
    if "--out" not in command.arguments:
        return
    out = Path(command.arguments[command.arguments.index("--out") + 1])
    if out.is_file():
        out.unlink()
    elif out.is_dir():
        subprocess.run(["rm", "-r", str(out)], check=True)


def _trained(folder: Path, *, groups: int) -> int:
    """Train the first groups of a zoo of the reference collection, without a download."""
    zoo = read_zoo(CONFIG)
    grid = dict(zoo.grid)
    for axis in list(grid):  # shortens axes, the last one first, until there are few enough
        while _size(grid) > groups and len(grid[axis]) > 1:
            grid[axis] = grid[axis][:-1]
    train_zoo(
        zoo.model_copy(update={"grid": grid}), folder=CONFIG.parent, out=folder, trust=Trust()
    )
    return _size(grid)


def _size(grid: dict[str, tuple[object, ...]]) -> int:
    size = 1
    for values in grid.values():
        size *= len(values)
    return size


def _spent() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()

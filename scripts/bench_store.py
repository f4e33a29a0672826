"""Whether the store of measurements stays as fast, and as small in memory, as it grows.

    python scripts/bench_store.py [--quick] [--json] [--runs 3]

Real rows of about 10 kB are appended, resumed from (each is asked for), tidied (one is measured
anew) and exported.  Beside many rows stand 1,000: what one row takes among many is held to what it
takes among 1,000, in time of the processor; and the peak of memory to that of 1,000 rows, 250 bytes
for each row more, and 8 MiB, in which 1,000 rows would not fit.  Each piece of work runs in a
process of its own; imports are not counted.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from benchmark import Comparison, arguments, report, say

from mdtree.rows import Detail, Row, Store, open_rows, write_csv, write_parquet
from mdtree.trees.bundled import shipped_rows

FEW = 1_000
MANY = (10_000, 100_000)
MIB = 2**20
INDEX = 250 / MIB  # of a row: in the index, while its table grows, and in the footer of Parquet
SLACK = 8.0  # MiB


def main() -> None:
    """Run all comparisons and print them."""
    if len(sys.argv) > 1 and sys.argv[1] in _WORK:
        _measure(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
        return
    options = arguments(__doc__, runs="3")
    sizes = MANY[:1] if options.quick else MANY
    comparisons: list[Comparison] = []
    for size in sizes:
        comparisons += _compared(size, runs=int(options.runs))
    report(comparisons, as_json=options.json)


def _compared(size: int, *, runs: int) -> Iterator[Comparison]:
    samples: dict[tuple[str, int], list[tuple[float, float]]] = {}
    for run, count in itertools.product(range(runs), (FEW, size)):
        with tempfile.TemporaryDirectory() as folder:
            for name in _WORK:
                measured = _in_its_own_process(name, Path(folder), count)
                samples.setdefault((name, count), []).append(measured)
                say(f"{run + 1}: {name}, {count} rows: {measured[0]:.1f} s, {measured[1]:.1f} MiB")
    for name in _WORK:
        few, many = samples[name, FEW], samples[name, size]
        yield Comparison(
            name=f"{name}, time of {FEW:,} rows: among {size:,} / among {FEW:,}",
            rival=[seconds for seconds, _ in few],
            ours=[seconds * FEW / size for seconds, _ in many],
            target=1.5,
        )
        yield Comparison(
            name=f"{name}, peak of memory (MiB) of {size:,} / allowed",
            rival=[peak + SLACK + INDEX * (size - FEW) for _, peak in few],
            ours=[peak for _, peak in many],
            target=1.0,
        )


def _in_its_own_process(name: str, folder: Path, count: int) -> tuple[float, float]:
    command = [sys.executable, __file__, name, str(folder), str(count)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds, peak = json.loads(done.stdout)
    return seconds, peak


def _append(folder: Path, count: int) -> None:
    with Store(folder / "rows.jsonl") as store:
        for row in _rows(count):
            store.append(row)


def _resume(folder: Path, count: int) -> None:
    with Store(folder / "rows.jsonl") as store:
        for row in _rows(count):
            assert store.index.latest(row.key) == row


def _tidy(folder: Path, count: int) -> None:
    with Store(folder / "rows.jsonl") as store:
        store.append(next(_rows(count)))
        assert len(store.index) == count


def _csv(folder: Path, _: int) -> None:
    write_csv(open_rows(folder / "rows.jsonl"), folder / "table.csv")


def _parquet(folder: Path, _: int) -> None:
    write_parquet(open_rows(folder / "rows.jsonl"), folder / "table.parquet")


_WORK = {
    "append": _append,
    "resume": _resume,
    "tidy": _tidy,
    "export as CSV": _csv,
    "export as Parquet": _parquet,
}


def _rows(count: int) -> Iterator[Row]:
    """Give real rows under other names, each with one more detail that makes it 10 kB large."""
    shipped = shipped_rows("digits-standard-1")
    curve = Detail(columns={"x": tuple(number / 7 for number in range(320))})
    for number in range(count):
        row = shipped[number % len(shipped)]
        details = {**(row.details or {}), "curve": curve}
        yield replace(row, group=f"{row.group}-{number}", details=details)


def _measure(name: str, folder: Path, count: int) -> None:
    with tempfile.TemporaryDirectory() as other:  # imports and caches, which all sizes have
        for work in ("append", name):
            _WORK[work](Path(other), 100)
    before = _memory("VmRSS")
    started = time.process_time()
    _WORK[name](folder, count)
    print(json.dumps([time.process_time() - started, _memory("VmHWM") - before]))


def _memory(key: str) -> float:
    """Read a line of /proc/self/status, in MiB."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(key):
            return int(line.split()[1]) / 1024
    raise KeyError(key)


if __name__ == "__main__":
    main()

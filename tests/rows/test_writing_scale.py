"""Many rows: memory that holds an index alone, and work that grows as the rows do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest

from mdtree.exceptions import RowsError
from mdtree.render.rows_table import rows_table
from mdtree.rows import (
    Detail,
    Index,
    Measured,
    Row,
    Store,
    StoredRows,
    open_rows,
    read_rows,
    scan_rows,
    write_csv,
    write_rows,
)
from mdtree.rows.row import row_to_json
from mdtree.trees.bundled import shipped_rows

linux = pytest.mark.skipif(sys.platform != "linux", reason="counts come from /proc")
FEW, MANY = 500, 2000
BYTES = 170  # of a row in the index, while its table is copied into a larger one


def row(group: str, value: float = 1.0, protocol: str = "p") -> Row:
    quantities = {"test_loss": Measured(value=value)}
    return Row(format=1, group=group, protocol=protocol, facts={}, quantities=quantities)


def large(count: int):
    """Real rows of 10 kB under other names."""
    shipped = shipped_rows("digits-standard-1")
    curve = Detail(columns={"x": tuple(number / 7 for number in range(300))})
    for number in range(count):
        original = shipped[number % len(shipped)]
        details = {**(original.details or {}), "curve": curve}
        yield replace(original, group=f"{number}-{original.group}", details=details)


@pytest.fixture(scope="module")
def stored(tmp_path_factory) -> dict[int, Path]:
    """Files of few and of many rows."""
    files = {count: tmp_path_factory.mktemp("rows") / f"{count}.jsonl" for count in (FEW, MANY)}
    for count, path in files.items():
        write_rows(path, large(count))
        assert 9_000 < path.stat().st_size / count < 12_000
    return files


def append(path: Path) -> None:
    with Store(path.with_suffix(".appended")) as store:
        for item in large(int(path.stem)):
            store.append(item)


def resume(path: Path) -> None:
    """Do what a run does where everything is measured: ask for each row."""
    with Store(path) as store:
        known = sum(store.index.latest(item.key) is not None for item in large(int(path.stem)))
        assert known == len(store.index) == int(path.stem)


def tidy(path: Path) -> None:
    """Measure the first row anew, so that the file is written anew."""
    before = path.stat().st_size
    with Store(path) as store:
        store.append(next(large(1)))
        assert path.stat().st_size > before
    assert path.stat().st_size == before


def export(path: Path) -> None:
    write_csv(open_rows(path), path.with_suffix(".csv"))


def show(path: Path) -> None:
    assert f"... and {int(path.stem) - 40} more" in rows_table(open_rows(path))


WORK = [append, resume, tidy, export, show]


@pytest.mark.slow
@pytest.mark.parametrize("work", WORK)
def test_memory_grows_by_the_index_alone(stored, work):
    """A row that stayed in memory would take 10 kB or more."""
    peaks = []
    for path in (stored[FEW], stored[FEW], stored[MANY]):  # the first fills what is kept anyway
        tracemalloc.start()
        work(path)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] - peaks[1] < BYTES * (MANY - FEW) + 200_000


def moved() -> int:
    """Count the bytes that this process has read and written so far."""
    lines = Path("/proc/self/io").read_text().splitlines()
    counts = dict(line.split(": ") for line in lines)
    return int(counts["rchar"]) + int(counts["wchar"])


@linux
@pytest.mark.parametrize("work", WORK)
def test_four_times_the_rows_are_four_times_the_bytes_read_and_written(stored, work):
    counts = []
    for path in stored.values():
        before = moved()
        work(path)
        counts.append(moved() - before)
    assert 3 < counts[1] / counts[0] < 5


def index_size(path: Path) -> int:
    tracemalloc.start()
    index = Index(path)
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert len(index) == int(path.stem)
    return size


@pytest.mark.parametrize("name", ["{}", "{}" + "x" * 500], ids=["short names", "long names"])
def test_the_index_takes_less_than_150_bytes_for_a_row(tmp_path, name):
    sizes = []
    for count in (2_000, 8_000):
        path = tmp_path / f"{count}.jsonl"
        write_rows(path, (row(name.format(number)) for number in range(count)))
        sizes.append(index_size(path))
    assert (sizes[1] - sizes[0]) / 6_000 < 150


def test_asking_for_rows_opens_the_file_once(tmp_path, monkeypatch):
    path = tmp_path / "rows.jsonl"
    with Store(path) as store:
        store.append(row("a", 0))
        opened = []
        real = Path.open
        monkeypatch.setattr(
            Path,
            "open",
            lambda self, *args, **options: (opened.append(self), real(self, *args, **options))[1],
        )
        for number in range(50):
            store.append(row("a", number))
            store.append(row(f"b{number}", -number))
            assert store.index.latest(("a", "p")) == row("a", number)
            assert store.index.latest((f"b{number}", "p")) == row(f"b{number}", -number)
        assert opened == [path]
    assert len(read_rows(path)) == 51


def test_stored_rows_are_those_that_are_read(tmp_path):
    path = tmp_path / "rows.jsonl"
    texts = [row("b", 1), row("a", 2), row("b", 3, "q"), row("b", 4), row("c", 5), row("a", 6)]
    path.write_bytes(b"\r\n\n".join(map(row_to_json, texts)))
    rows = open_rows(path)
    assert list(rows) == list(rows) == read_rows(path)
    assert [item.quantities["test_loss"].value for item in rows] == [4, 6, 3, 5]
    assert len(rows) == 4
    assert row("b", 4) in rows
    assert row("b", 1) not in rows
    assert "b" not in rows
    first, second = iter(rows), iter(rows)  # side by side
    assert [next(first), next(second), next(first)] == [row("b", 4), row("b", 4), row("a", 6)]


def test_rows_from_a_pipe_are_read_once_and_held(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    text = row_to_json(row("a")) + b"\n" + row_to_json(row("b")) + b"\n"
    writer = threading.Thread(target=pipe.write_bytes, args=(text,))
    writer.start()
    rows = open_rows(pipe)
    writer.join()
    assert list(rows) == list(rows) == [row("a"), row("b")]


def test_stored_rows_must_exist_and_be_sound(tmp_path):
    path = tmp_path / "rows.jsonl"
    for read in (open_rows, StoredRows):
        with pytest.raises(RowsError, match="does not exist"):
            read(path)
    path.write_bytes(row_to_json(row("a")) + b"\nnonsense\n" + row_to_json(row("b")) + b"\n")
    with pytest.raises(RowsError, match=f"^{path}, line 2: Invalid JSON"):
        open_rows(path)
    assert [len(Index(path)), len(list(scan_rows(path)))] == [2, 3]


def test_rows_of_a_file_that_was_replaced_are_the_old_ones_or_an_error(tmp_path):
    path = tmp_path / "rows.jsonl"
    write_rows(path, [row("a"), row("b"), row("c")])
    late, early = open_rows(path), open_rows(path)
    rest = iter(early)
    assert next(rest) == row("a")
    write_rows(path, [row("b"), row("a"), row("c")])  # rows of the same lengths at other places
    assert list(rest) == [row("b"), row("c")]
    with pytest.raises(RowsError, match="changed while it was being read: try again"):
        list(late)


PEAK = """
import json, sys
from pathlib import Path
from mdtree.rows import open_rows, write_parquet

def memory(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key))

path, first = map(Path, sys.argv[1:])
write_parquet(open_rows(first), first.with_suffix(".parquet"), batch=50)  # imports
before = memory("VmRSS")
write_parquet(open_rows(path), path.with_suffix(".parquet"), batch=50)
print(json.dumps(memory("VmHWM") - before))
"""


@linux
def test_memory_of_a_parquet_table_does_not_grow_with_its_rows(stored):
    """All rows together would take 40 MB or more; the footer grows by each batch."""
    pytest.importorskip("pyarrow")
    command = [sys.executable, "-c", PEAK, str(stored[MANY]), str(stored[FEW])]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert json.loads(done.stdout) < 8_000  # kB

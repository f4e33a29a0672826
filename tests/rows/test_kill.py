"""A writer that is killed at any moment loses at most the row that it was writing."""

from __future__ import annotations

import contextlib
import subprocess
import sys

import pytest

from mdtree.exceptions import LockedError
from mdtree.rows import Index, Store, read_rows
from mdtree.rows.row import row_to_json
from tests.support.paths import ROOT
from tests.support.rows import numbered_row


def lines(count: int) -> bytes:
    return b"".join(row_to_json(numbered_row(number)) + b"\n" for number in range(count))


@pytest.fixture
def file(tmp_path):
    return tmp_path / "rows.jsonl"


def go_on(file, count: int) -> None:
    """Do what every run does: keep what is there, append the rest."""
    with Store(file) as store:
        for number in range(count):
            if store.index.latest(numbered_row(number).key) is None:
                store.append(numbered_row(number))


WRITER = """
import sys
from pathlib import Path
from mdtree.rows import Measured, Row, Store
from mdtree.rows.row import row_to_json
sys.path.insert(0, sys.argv[1])
from tests.support.rows import numbered_row

with Store(Path(sys.argv[2])) as store:
    {work}
"""
BETWEEN_ROWS = """
    for number in range(3):
        store.append(numbered_row(number))
    print("ready", flush=True)
    sys.stdin.read()
"""
INSIDE_A_ROW = """
    for number in range(3):
        store.append(numbered_row(number))
    store._file.write(row_to_json(numbered_row(3))[:40])
    print("ready", flush=True)
    sys.stdin.read()
"""
WITHOUT_REST = """
    print("ready", flush=True)
    for number in range(len(store.index), 1_000_000):
        store.append(numbered_row(number))
"""


@contextlib.contextmanager
def writer(work: str, file):
    """Start a real second process that writes, and kill it in the end."""
    script = WRITER.format(work=work.strip())
    command = [sys.executable, "-c", script, str(ROOT), str(file)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("work", [BETWEEN_ROWS, INSIDE_A_ROW], ids=["between rows", "inside a row"])
def test_a_killed_writer_leaves_whole_rows_a_free_lock_and_a_run_that_goes_on(file, work):
    with writer(work, file):
        assert read_rows(file) == [numbered_row(0), numbered_row(1), numbered_row(2)]
        with pytest.raises(LockedError, match=f"^{file} is being written by another mdtree: wait"):
            go_on(file, 5)
    assert read_rows(file) == [numbered_row(0), numbered_row(1), numbered_row(2)]
    go_on(file, 5)
    assert file.read_bytes() == lines(5)


def test_a_writer_killed_at_any_moment_leaves_the_first_rows_whole(file):
    count = 0
    for wait in (20, 300, 1000):
        with writer(WITHOUT_REST, file) as process:
            while len(Index(file)) < count + wait:
                assert process.poll() is None
        before, count = count, len(read_rows(file))
        assert count >= before + wait
        assert read_rows(file) == [numbered_row(number) for number in range(count)]
    go_on(file, count + 2)
    assert file.read_bytes() == lines(count + 2)


def test_a_file_cut_at_any_byte_gives_its_whole_rows_and_can_be_gone_on_with(file):
    """A row counts as whole without its line feed: it lacks nothing."""
    whole = lines(4)
    ends = [len(lines(count)) - 1 for count in range(1, 5)]
    for cut in range(len(lines(2)), len(whole) + 1):
        file.write_bytes(whole[:cut])
        assert read_rows(file) == [numbered_row(n) for n, end in enumerate(ends) if end <= cut]
        go_on(file, 4)
        assert file.read_bytes() == whole


def test_a_file_cut_inside_its_first_row_is_begun_anew(file):
    for cut in range(len(lines(1))):
        file.write_bytes(lines(1)[:cut])
        go_on(file, 2)
        assert file.read_bytes() == lines(2)


def test_zeros_that_a_crash_of_the_machine_leaves_at_the_end_are_cut_off(file):
    file.write_bytes(lines(3) + b"\0" * 4096)
    assert read_rows(file) == [numbered_row(0), numbered_row(1), numbered_row(2)]
    go_on(file, 4)
    assert file.read_bytes() == lines(4)

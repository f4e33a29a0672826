"""The store: one writer, whole rows, tidy when it closes; nothing of the user's is lost."""

from __future__ import annotations

import stat
import subprocess
import sys

import pytest

from mdtree.exceptions import LockedError, OutputError, RowsError
from mdtree.rows import Measured, Row, Store, read_rows, write_rows
from mdtree.rows.row import row_to_json


def row(group: str, value: float = 1.0) -> Row:
    quantities = {"test_loss": Measured(value=value)}
    return Row(format=1, group=group, protocol="standard-1", facts={}, quantities=quantities)


def lines(*rows: Row) -> bytes:
    return b"".join(row_to_json(item) + b"\n" for item in rows)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "rows.jsonl"


def test_rows_are_there_as_soon_as_they_are_appended(tmp_path):
    file = tmp_path / "new" / "folders" / "rows.jsonl"
    with Store(file) as store:
        for count, group in enumerate("abc", start=1):
            store.append(row(group))
            assert len(read_rows(file)) == count
    assert file.read_bytes() == lines(row("a"), row("b"), row("c"))


def test_the_next_writer_goes_on_where_the_last_one_stopped(file):
    for group in "abc":
        with Store(file) as store:
            store.append(row(group))
    assert file.read_bytes() == lines(row("a"), row("b"), row("c"))


def test_the_index_knows_what_was_there_and_what_was_appended(file):
    write_rows(file, [row("a", 1)])
    with Store(file) as store:
        assert store.index.latest(("a", "standard-1")) == row("a", 1)
        store.append(row("a", 2))
        store.append(row("b", 3))
        assert store.index.latest(("a", "standard-1")) == row("a", 2)
        assert store.index.latest(("b", "standard-1")) == row("b", 3)


def test_superseded_rows_vanish_when_the_writer_closes_and_the_order_stays(file):
    write_rows(file, [row("a", 1), row("b", 2), row("c", 3)])
    with Store(file) as store:
        store.append(row("b", 4))
        store.append(row("d", 5))
        store.append(row("b", 6))
        before = read_rows(file)
    assert file.read_bytes() == lines(row("a", 1), row("b", 6), row("c", 3), row("d", 5))
    assert before == read_rows(file)
    assert [path.name for path in file.parent.iterdir() if path.suffix != ".lock"] == [file.name]


def test_a_last_row_without_line_feed_is_tidied_like_the_others(file):
    file.write_bytes(lines(row("a", 1), row("b", 2), row("a", 3)).rstrip())
    with Store(file):
        pass
    assert file.read_bytes() == lines(row("a", 3), row("b", 2))


def test_rows_are_tidied_also_when_the_work_fails(file):
    def work():
        with Store(file) as store:
            store.append(row("a", 1))
            store.append(row("a", 2))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    assert file.read_bytes() == lines(row("a", 2))


def test_damaged_lines_are_moved_aside_and_the_rest_is_kept(file):
    aside = file.with_name("rows.jsonl.damaged")
    file.write_bytes(lines(row("a")) + b"half a r\xff\n" + lines(row("b")))
    with Store(file) as store:
        assert [damaged.line for damaged in store.index.damaged] == [2]
        store.append(row("c"))
    assert file.read_bytes() == lines(row("a"), row("b"), row("c"))
    assert aside.read_bytes() == b"half a r\xff\n"
    file.write_bytes(b'{"format":1,"group":"\n' + file.read_bytes())
    with Store(file):
        pass
    assert file.read_bytes() == lines(row("a"), row("b"), row("c"))
    assert aside.read_bytes() == b'half a r\xff\n{"format":1,"group":"\n'


@pytest.mark.parametrize(
    "content",
    [b"group,cka\na,1\n", b"no line feed", b'{"format": 1, "tree": []}', b'{"format":1,"tree":[]}'],
)
def test_a_file_of_another_kind_is_left_alone(file, content):
    file.write_bytes(content)
    with pytest.raises(
        RowsError, match="does not contain measurements: remove it, or name another file"
    ):
        Store(file).__enter__()
    assert file.read_bytes() == content


def test_a_link_stays_a_link_and_shares_its_lock_with_the_file(tmp_path, file):
    real = tmp_path / "scratch" / "real.jsonl"
    write_rows(real, [row("a", 1)])
    file.symlink_to(real)
    with Store(file) as store:
        store.append(row("a", 2))
        with pytest.raises(LockedError):
            Store(real).__enter__()
    assert file.is_symlink()
    assert real.read_bytes() == lines(row("a", 2))


def test_permissions_are_kept(file):
    write_rows(file, [row("a", 1)])
    file.chmod(0o600)
    with Store(file) as store:
        store.append(row("a", 2))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_write_rows_replaces_a_file_as_a_whole_or_not_at_all(file):
    def broken():
        yield row("b")
        raise ZeroDivisionError

    write_rows(file, [row("a")])
    with pytest.raises(ZeroDivisionError):
        write_rows(file, broken())
    assert file.read_bytes() == lines(row("a"))
    assert [path.name for path in file.parent.iterdir() if path.suffix != ".lock"] == [file.name]
    write_rows(file, [row("b")])
    assert file.read_bytes() == lines(row("b"))


def test_a_second_writer_in_the_same_process_is_turned_away(file):
    with Store(file) as store:
        store.append(row("a"))
        with pytest.raises(LockedError, match="is being written by another mdtree: wait until"):
            Store(file).__enter__()
        with pytest.raises(LockedError):
            write_rows(file, [])
    assert read_rows(file) == [row("a")]


def unwritable(tmp_path, kind):
    if kind == "below a file":
        (tmp_path / "file").write_text("x")
        return tmp_path / "file" / "rows.jsonl"
    return {"a folder": tmp_path, "long": tmp_path / ("x" * 300), "here": type(tmp_path)()}[kind]


@pytest.mark.parametrize("kind", ["below a file", "a folder", "long", "here"])
def test_a_place_that_cannot_be_written_is_an_output_error_that_says_what_to_do(tmp_path, kind):
    path = unwritable(tmp_path, kind)
    for write in (lambda: Store(path).__enter__(), lambda: write_rows(path, [row("a")])):
        with pytest.raises(OutputError, match=r"--out") as error:
            write()
        assert error.value.exit_code == 5


def test_a_file_that_would_not_be_tidied_is_refused_before_anything_is_appended(file):
    """Its first line makes it another kind of file, which is never replaced."""
    content = b"{\n" + lines(row("a"))[1:] + lines(row("b"))
    file.write_bytes(content)
    with (
        pytest.raises(OutputError, match="contains JSON and was not replaced"),
        Store(file) as store,
    ):
        store.append(row("c"))
    assert file.read_bytes() == content


@pytest.mark.parametrize("in_the_way", [".rows.jsonl.new", "rows.jsonl.damaged"])
def test_rows_stay_as_they_are_where_they_cannot_be_tidied(file, in_the_way):
    content = lines(row("a", 1)) + b"damage\n" + lines(row("a", 2))
    file.write_bytes(content)
    (file.parent / in_the_way).mkdir()
    with pytest.raises(OutputError, match="cannot be written"), Store(file):
        pass
    assert file.read_bytes() == content


FULL_DISK = """
import resource, sys
from pathlib import Path
from mdtree.exceptions import OutputError
from mdtree.rows import Measured, Row, Store

def row(number):
    quantities = {"test_loss": Measured(value=number)}
    return Row(format=1, group=f"g{number}", protocol="p", facts={}, quantities=quantities)

resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
with Store(Path(sys.argv[1])) as store:
    try:
        for number in range(100):
            store.append(row(number))
    except OutputError as error:
        print(number, error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    store.append(row(number))
"""


def test_a_full_disk_is_an_output_error_and_the_file_stays_whole(file):
    """The limit cuts through a row, as a disk that runs full does: part of it gets written."""
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, file], capture_output=True, text=True, check=True
    )
    number, _, message = done.stdout.strip().partition(" ")
    assert message == f"{file} cannot be written: File too large; name another file with --out"
    assert [item.group for item in read_rows(file)] == [f"g{n}" for n in range(int(number) + 1)]
    assert int(number) > 2

"""Rows that users name: files, tables, directories, and what is none of them."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from mdtree.exceptions import RowsError
from mdtree.rows import GroupFailure, joined_names, load_rows, write_rows
from tests.support.rows import row

TABLE = "bs,test_acc,train_error\n16,50,1\n64,60,2\n"


@pytest.fixture
def written(tmp_path):
    broken = row(
        "broken", cka=0.5, failure=GroupFailure(kind="UnreadableError", reason="no weights")
    )
    path = tmp_path / "rows.jsonl"
    write_rows(path, [row("a", cka=0.5), row("b", protocol="paper-1", cka=0.5), broken])
    return path


def groups(*args, **given):
    return [row.group for row in load_rows(*args, **given)]


def test_a_file_and_its_directory_are_the_same_rows_without_those_that_failed(written):
    assert groups(written) == groups(written.parent) == ["a", "b"]


@pytest.mark.parametrize(("protocol", "kept"), [("standard-1", ["a"]), ("paper-1", ["b"])])
def test_a_protocol_chooses_its_rows(written, protocol, kept):
    assert groups(written, protocol=protocol) == kept


@pytest.mark.parametrize("name", ["table.csv", "TABLE.CSV"])
def test_a_table_is_of_the_published_protocol_unless_one_is_named(tmp_path, name):
    path = tmp_path / name
    path.write_text(TABLE)
    assert {row.protocol for row in load_rows(path)} == {"paper-1"}
    assert {row.protocol for row in load_rows(path, protocol="standard-1")} == {"standard-1"}


def test_a_pipe_is_read(written):
    """As in `mdtree fit <(ssh host cat rows.jsonl)`."""
    pipe = written.with_name("pipe")
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(written.read_bytes()))
    writer.start()
    assert groups(pipe) == ["a", "b"]
    writer.join()


@pytest.mark.parametrize("name", ["nothing.jsonl", "x" * 5000])
def test_where_nothing_was_measured_the_error_says_what_to_do(tmp_path, name):
    with pytest.raises(
        RowsError, match=r"does not exist; measure the directory first: mdtree meas"
    ):
        load_rows(tmp_path / name)


def test_rows_of_no_use_are_refused(tmp_path, written):
    with pytest.raises(RowsError, match="has no measured rows of protocol 'paper-2'"):
        load_rows(written, protocol="paper-2")
    (tmp_path / "none.jsonl").write_text("")
    with pytest.raises(RowsError, match=r"has no measured rows$"):
        load_rows(tmp_path / "none.jsonl")


def test_the_whole_command_says_so_in_one_line_with_exit_code_2(tmp_path, mdtree):
    for call in (
        ("fit", tmp_path / "no", "--out", tmp_path / "t.json"),
        ("evaluate", "--train", tmp_path / "no", "--test", tmp_path / "no"),
        ("tree", "show", tmp_path / "no"),
    ):
        ran = mdtree(*call)
        assert (ran.code, ran.out) == (2, "")
        assert ran.err.startswith("error: ")
        assert ran.err.count("\n") == 1


@pytest.mark.parametrize(
    ("places", "names"),
    [
        (["/runs/run-1", "/runs/run-2"], "run-1+run-2"),
        (["/runs/a/out", "/runs/b/out"], "a+b"),
        (["/x/a/logs/out", "/y/a/logs/out"], "x+y"),
        (["/runs/a/out", "/runs/b/other"], "out+other"),
        (["/runs/out", "/runs/out"], "out+out"),
        (["/out", "/"], "out+"),
    ],
)
def test_directories_that_are_called_alike_are_named_by_what_differs(places, names):
    assert joined_names([Path(place) for place in places]) == names


def test_a_directory_without_a_name_is_called_as_it_is(tmp_path, monkeypatch):
    (tmp_path / "run-1").mkdir()
    monkeypatch.chdir(tmp_path / "run-1")
    assert joined_names([Path(), Path("../run-2")]) == "run-1+run-2"

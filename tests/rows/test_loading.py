"""Rows that users name: files, tables, directories with what our commands write for them."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from mdtree.exceptions import RowsError
from mdtree.rows import (
    GroupFailure,
    find_rows,
    is_rows,
    joined_names,
    joint_rows,
    load_rows,
    named_apart,
    rows_file,
    write_rows,
)
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
        (["/runs/a/out", "/runs/b/other"], "other+out"),
        (["/runs/out", "/runs/out"], "out+out"),
        (["/out", "/"], "+out"),
        (["/runs/run-2", "/runs/run-1"], "run-1+run-2"),
    ],
)
def test_directories_that_are_called_alike_are_named_by_what_differs(places, names):
    assert joined_names([Path(place) for place in places]) == names


def test_a_directory_without_a_name_is_called_as_it_is(tmp_path, monkeypatch):
    (tmp_path / "run-1").mkdir()
    monkeypatch.chdir(tmp_path / "run-1")
    assert joined_names([Path(), Path("../run-2")]) == "run-1+run-2"


@pytest.fixture
def runs(tmp_path):
    for name in ("run-0", "run-1", "run-10"):
        (tmp_path / "cold" / name).mkdir(parents=True)
    return tmp_path / "cold"


def test_what_is_written_for_a_directory_is_found_by_it(runs):
    path = rows_file(runs)
    write_rows(path, [row(cka=0.5)])
    assert find_rows(runs) == find_rows(runs / "model.safetensors") == path
    assert find_rows(path) == path


def test_rows_of_several_directories_are_found_by_their_parent_and_by_each_of_them(runs):
    joint = rows_file(runs / "run-0", None, [runs / "run-1"])
    write_rows(joint, [row(cka=0.5)])
    assert joint.name == "run-0+run-1.rows.jsonl"
    assert find_rows(runs) == find_rows(runs / "run-0") == find_rows(runs / "run-1") == joint
    with pytest.raises(RowsError, match=r"run-10 has no rows"):
        find_rows(runs / "run-10")


@pytest.mark.parametrize("name", ["run-0+run-1", "run-1+run-0"])
def test_the_order_of_directories_does_not_matter(runs, name):
    one, other = runs / "run-0", runs / "run-1"
    assert joint_rows(one, [other]) == rows_file(other, None, [one])
    write_rows(runs / f"{name}.rows.jsonl", [row(cka=0.5)])  # an older mdtree kept the order
    assert joint_rows(one, [other]) == joint_rows(other, [one]) == runs / f"{name}.rows.jsonl"
    assert rows_file(other, None, [one]) == runs / "run-0+run-1.rows.jsonl"
    assert joint_rows(one, [runs / "run-10"]) == runs / "run-0+run-10.rows.jsonl"


def test_relative_names_are_found_too(runs, monkeypatch):
    write_rows(runs / "run-0+run-1.rows.jsonl", [row(cka=0.5)])
    monkeypatch.chdir(runs / "run-1")
    assert find_rows(type(runs)()).name == "run-0+run-1.rows.jsonl"
    monkeypatch.chdir(runs)
    assert find_rows(type(runs)("run-1")).name == "run-0+run-1.rows.jsonl"


def test_rows_of_the_directory_itself_come_first(runs):
    for name in ("rows.jsonl", "run-0+run-1.rows.jsonl"):
        write_rows(runs / name, [row(cka=0.5)])
    assert find_rows(runs) == runs / "rows.jsonl"


def test_of_several_files_one_must_be_named(runs):
    for name in ("run-0+run-1.rows.jsonl", "run-0+run-10.rows.jsonl"):
        write_rows(runs / name, [row(cka=0.5)])
    with pytest.raises(RowsError, match=r"cold has 2 files of rows: name one of them \(.*run-1\."):
        find_rows(runs)
    assert find_rows(runs / "run-10").name == "run-0+run-10.rows.jsonl"


def test_an_error_lists_where_was_looked(runs):
    (runs / "rows.csv").write_text("no rows of ours")
    with pytest.raises(RowsError) as stop:
        find_rows(runs)
    places = (runs / "rows.jsonl", runs / "*.rows.jsonl", runs.parent / "*cold*.rows.jsonl")
    assert all(str(place) in str(stop.value) for place in places)
    assert f"mdtree measure {runs}" in str(stop.value)
    assert "--out or --rows" in str(stop.value)


@pytest.mark.parametrize("name", ["nothing.jsonl", "absent", "x" * 5000])
def test_what_does_not_exist_is_told(tmp_path, name):
    with pytest.raises(RowsError, match="does not exist; measure the directory first"):
        find_rows(tmp_path / name)


def test_rows_are_known_by_their_first_line(tmp_path):
    write_rows(tmp_path / "s3", [row(cka=0.5)])
    assert is_rows(tmp_path / "s3")


@pytest.mark.parametrize(
    "text",
    ["", "{", "{}", '{"format": 1}\n', "[1]", "PK", '{"a": \xff}', "{" * 200_000],
)
def test_other_files_are_no_rows(tmp_path, text):
    path = tmp_path / "file"
    path.write_text(text, encoding="latin-1")
    assert not is_rows(path)
    assert not is_rows(tmp_path)
    assert not is_rows(tmp_path / "absent")


def of_zoo(group, zoo=None):
    return replace(row(cka=0.5), group=group, facts={} if zoo is None else {"zoo": zoo})


@pytest.mark.parametrize(
    ("zoos", "names"),
    [
        (["a", "b"], ["a/w", "b/w"]),
        (["a", None], ["a/w", "w"]),
        ([1, "1"], ["1/w", '"1"/w']),
    ],
)
def test_groups_that_are_called_alike_are_named_after_their_zoo(zoos, names):
    rows = [of_zoo("w", zoo) for zoo in zoos]
    assert [each.group for each in named_apart(rows)] == names


def test_groups_of_several_zoos_with_names_of_their_own_keep_them():
    rows = [of_zoo("v", "a"), of_zoo("w", "b")]
    assert named_apart(rows) == rows

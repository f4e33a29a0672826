"""Rows are found wherever our own commands write them for a directory, and under any name."""

from __future__ import annotations

import pytest

from mdtree.exceptions import RowsError
from mdtree.rows import find_rows, is_rows, rows_file, write_rows
from tests.support.rows import row


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

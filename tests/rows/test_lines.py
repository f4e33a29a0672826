"""Lines of rows as other programs leave them: packed, marked, in an array, or cut off."""

from __future__ import annotations

import gzip

import pytest

from mdtree.exceptions import OutputError, RowsError
from mdtree.recipes import holds_only_rows
from mdtree.rows import Store, is_rows, load_rows, open_rows, read_rows, write_rows
from mdtree.rows import lines as rows_lines
from mdtree.rows.lines import cut_line
from tests.support.rows import row

ROWS = [row("a", {}, test_error=1.0), row("b", {}, test_error=2.0)]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "rows.jsonl"
    write_rows(path, ROWS)
    return path


def packed(file, content=None):
    path = file.with_name("packed.jsonl.gz")
    path.write_bytes(gzip.compress(file.read_bytes() if content is None else content))
    return path


def test_the_mark_of_an_editor_is_read_over(file):
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert read_rows(file) == ROWS
    assert list(open_rows(file)) == ROWS
    assert is_rows(file)
    with Store(file) as store:
        store.append(row("a", {}, test_error=3.0))  # the first line is replaced, and the mark goes
    assert [each.group for each in read_rows(file)] == ["a", "b"]
    assert not file.read_bytes().startswith(b"\xef")


def test_packed_rows_are_read_like_the_plain_file(file):
    path = packed(file)
    assert read_rows(path) == list(open_rows(path)) == load_rows(path) == ROWS
    assert holds_only_rows(path, None)


def test_a_packed_file_that_unpacks_to_too_much_is_refused(file, monkeypatch):
    monkeypatch.setattr(rows_lines, "_LARGEST", 10)
    with pytest.raises(RowsError, match="unpacks to more than 10 bytes: unpack it first"):
        read_rows(packed(file))
    assert read_rows(file) == ROWS  # the plain one has no limit


@pytest.mark.parametrize("damage", [lambda raw: raw[:-12], lambda raw: b"plain" + raw])
def test_a_packed_file_that_is_damaged_is_an_error(file, damage):
    path = packed(file)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(RowsError, match=r"packed\.jsonl\.gz cannot be read: "):
        read_rows(path)


def test_nothing_is_written_into_a_packed_file(file):
    path = packed(file)
    before = path.read_bytes()
    with pytest.raises(OutputError, match=r"rows are written plain: name a file that does not end"):
        write_rows(path, ROWS)
    with pytest.raises(OutputError, match="rows are written plain"), Store(path):
        pass
    assert path.read_bytes() == before


@pytest.mark.parametrize("end", ["", "\n"])
def test_an_array_is_told_with_the_way_to_lines(file, end):
    file.write_text("[" + ",".join(file.read_text().splitlines()) + "]" + end)
    with pytest.raises(RowsError, match=r"line 1: a JSON array; .*`jq -c '.\[\]' rows.jsonl`"):
        read_rows(file)


def test_a_last_line_that_was_cut_off_is_found(file):
    assert cut_line(file) is None
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])  # only its end is missing: it is a row
    assert (cut_line(file), len(read_rows(file))) == (None, 2)
    file.write_bytes(whole[:-9])
    assert (cut_line(file), len(read_rows(file))) == (2, 1)
    assert cut_line(file.with_name("none")) is None
    assert cut_line(packed(file)) is None


def test_a_file_that_is_nothing_but_a_cut_line_is_an_error(file):
    file.write_bytes(file.read_bytes()[:40])
    with pytest.raises(RowsError, match=r"rows.jsonl, line 1: "):
        read_rows(file)

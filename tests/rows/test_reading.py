"""Reading rows: whole rows only, each damaged line with its number, the latest row of each key."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from mdtree.exceptions import RowsError
from mdtree.rows import (
    Damaged,
    Index,
    Measured,
    Missing,
    Provenance,
    Row,
    Store,
    read_rows,
    scan_rows,
    write_rows,
)
from mdtree.rows.row import row_to_json


def row(group: str, value: float = 1.0, protocol: str = "standard-1") -> Row:
    quantities = {"test_error": Measured(value=value), "cka": Missing(missing="needs 2")}
    return Row(format=1, group=group, protocol=protocol, facts={"width": 8}, quantities=quantities)


def write_lines(path, *lines: bytes | Row):
    texts = (row_to_json(line) if isinstance(line, Row) else line for line in lines)
    path.write_bytes(b"".join(text + b"\n" for text in texts))
    return path


@pytest.fixture
def file(tmp_path):
    return tmp_path / "rows.jsonl"


def test_rows_come_back_in_the_order_of_their_keys_each_with_its_latest_content(file):
    write_lines(file, row("b", 1), row("a", 2), row("b", 3, "paper-1"), row("b", 4), row("c", 5))
    assert read_rows(file) == [row("b", 4), row("a", 2), row("b", 3, "paper-1"), row("c", 5)]
    assert len(list(scan_rows(file))) == 5


def test_an_empty_file_holds_no_rows(file):
    file.touch()
    assert read_rows(file) == []


DAMAGE = {
    "text": b"hello",
    "half": b'{"format":1,"group":"a"',
    "number": b"7",
    "list": b"[1, 2]",
    "nothing": b"null",
    "bytes": b"\xff\xfe\x00",
    "zeros": b"\x00" * 5000,
    "deep": b"[" * 100_000,
    "unknown key": row_to_json(row("b"))[:-1] + b',"colour":"red"}',
    "nan": row_to_json(row("b")).replace(b'"value":1.0', b'"value":NaN'),
    "huge number": row_to_json(row("b")).replace(b'"width":8', b'"width":' + b"9" * 5000),
    "half a character": row_to_json(row("b")).replace(b'"b"', rb'"\ud800"'),
    "older format": row_to_json(row("b")).replace(b'"format":1', b'"format":0'),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_line_is_named_by_read_rows_and_a_value_for_scan_rows(file, damage):
    write_lines(file, row("a"), damage, row("c"))
    with pytest.raises(RowsError, match=f"^{file}, line 2: ."):
        read_rows(file)
    first, damaged, last = scan_rows(file)
    assert [first, last] == [row("a"), row("c")]
    assert isinstance(damaged, Damaged)
    assert damaged.line == 2
    assert damaged.reason


def test_the_reason_says_which_part_of_a_row_is_wrong(file):
    write_lines(file, DAMAGE["unknown key"], DAMAGE["half"])
    assert [item.reason for item in scan_rows(file)] == [
        "colour: Unexpected keyword argument",
        "Invalid JSON: EOF while parsing an object at character 23",
    ]


def test_empty_lines_and_other_line_ends_of_an_editor_do_no_harm(file):
    file.write_bytes(row_to_json(row("a")) + b"\r\n\r\n\n  \n" + row_to_json(row("b")) + b"\r\n\n")
    assert read_rows(file) == [row("a"), row("b")]
    assert Index(file).latest(("b", "standard-1")) == row("b")
    write_lines(file, b"", b"x")
    assert [item.line for item in scan_rows(file)] == [2]


def test_a_row_of_a_newer_format_asks_for_a_newer_mdtree(file):
    newer = row_to_json(row("b")).replace(b'"format":1', b'"format":2,"tensor":[1]')
    write_lines(file, row("a"), newer)
    for read in (read_rows, lambda path: list(scan_rows(path)), Index):
        with pytest.raises(
            RowsError, match=r"line 2: the row has format 2.*install a newer mdtree"
        ):
            read(file)
    before = file.read_bytes()
    with pytest.raises(RowsError, match="install a newer mdtree"), Store(file):
        pass
    assert before == file.read_bytes()


def test_what_cannot_be_read_is_said(tmp_path):
    with pytest.raises(RowsError, match="does not exist"):
        read_rows(tmp_path / "none.jsonl")
    with pytest.raises(RowsError, match="cannot be read: Is a directory"):
        read_rows(tmp_path)
    with pytest.raises(RowsError, match="cannot be read"):
        Index(tmp_path / ("x" * 300))


def test_a_line_without_end_is_refused_in_bounded_memory(file):
    with file.open("wb") as out:
        out.truncate(1 << 25)
    with pytest.raises(RowsError, match="line 1: longer than"):
        read_rows(file)


def test_the_index_finds_the_latest_row_of_each_key(file):
    write_lines(file, row("a", 1), b"damage", row("b", 2), row("a", 3), row("a", 4, "paper-1"))
    index = Index(file)
    assert index.latest(("a", "standard-1")) == row("a", 3)
    assert index.latest(("b", "standard-1")) == row("b", 2)
    assert index.latest(("a", "paper-1")) == row("a", 4, "paper-1")
    assert index.latest(("b", "paper-1")) is None
    assert len(index) == 3
    assert index.superseded == 1
    assert [damaged.line for damaged in index.damaged] == [2]
    assert index.end == file.stat().st_size


def test_a_file_that_is_not_there_has_an_empty_index(tmp_path):
    index = Index(tmp_path / "folder" / "rows.jsonl")
    assert len(index) == index.end == 0
    assert index.latest(("a", "standard-1")) is None
    assert list(tmp_path.iterdir()) == []


def test_an_index_notices_that_the_file_has_changed(file):
    write_lines(file, row("first"), row("b"))
    index = Index(file)
    write_lines(file, row("b"))
    with pytest.raises(RowsError, match="changed while it was being read: try again"):
        index.latest(("b", "standard-1"))
    file.unlink()
    with pytest.raises(RowsError, match="changed while it was being read: try again"):
        index.latest(("b", "standard-1"))


def seconds_for(count: int, file) -> float:
    started = time.process_time()
    write_rows(file, (row(f"group-{number}") for number in range(count - 100)))
    with Store(file) as store:
        for number in range(count - 100, count):
            store.append(row(f"group-{number}"))
            assert store.index.latest((f"group-{number // 2}", "standard-1")) is not None
    rows = read_rows(file)
    assert [row.group for row in rows] == [f"group-{number}" for number in range(count)]
    return time.process_time() - started


def test_20000_rows_are_written_extended_and_read_without_quadratic_cost(tmp_path):
    """Four times the rows take four times as long; with quadratic cost it would be 16 times.

    Other work only adds to what they take, so the least of a few turns is that of the rows.
    """
    few = many = float("inf")
    for turn in range(9):
        few = min(few, seconds_for(5_000, tmp_path / f"{turn}-few.jsonl"))
        many = min(many, seconds_for(20_000, tmp_path / f"{turn}-many.jsonl"))
        if turn and many < 8 * few:
            return
    pytest.fail(f"5,000 rows take {few:.3g} seconds of the processor, and 20,000 take {many:.3g}")


def of_networks(group, *digests, facts=None, value=1.0):
    made = Provenance(
        weights={f"seed-{digest}.pt": digest for digest in digests},
        recipe="r",
        metrics=("similarity",),
        seed=0,
        device="cpu",
        seconds=1.0,
        versions={},
    )
    return replace(row(group, value), facts=facts or {}, provenance=made)


def test_zoos_are_told_apart_only_where_a_tree_learns(file):
    a, b = (of_networks("w8", name, facts={"zoo": name}) for name in "ab")
    write_lines(file, a, b)
    notices = []
    assert read_rows(file, by_zoo=True, notice=notices.append) == [a, b]
    assert notices == []
    assert read_rows(file) == [b]


def test_rows_of_other_networks_that_are_replaced_are_counted_and_named(file):
    groups = [of_networks(group, f"{group}{zoo}") for zoo in (1, 2, 3) for group in ("w8", "w16")]
    write_lines(file, *groups)
    notices = []
    assert read_rows(file, by_zoo=True, notice=notices.append) == groups[-2:]
    assert len(notices) == 1
    assert "4 rows left out" in notices[0]
    assert "(w8, w16)" in notices[0]
    assert "--fact zoo=NAME" in notices[0]


@pytest.mark.parametrize("seeds", [("a",), ("a", "b")])
def test_a_group_that_was_measured_again_replaces_its_row_without_a_word(file, seeds):
    again = of_networks("w8", *seeds, value=2.0)
    write_lines(file, of_networks("w8", "a"), again)
    assert read_rows(file, by_zoo=True, notice=pytest.fail) == [again]


def test_a_row_that_was_made_elsewhere_is_the_same_only_if_it_says_the_same(file):
    write_lines(file, row("a", 1), row("a", 1))
    assert read_rows(file, notice=pytest.fail) == [row("a", 1)]
    write_lines(file, row("a", 1), row("a", 2))
    notices = []
    assert read_rows(file, notice=notices.append) == [row("a", 2)]
    assert "1 row left out" in notices[0]

"""Nothing that was measured is lost: the failure of a later attempt stands behind it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdtree.diagnosis import Diagnoser
from mdtree.render.rows_table import rows_table
from mdtree.rows import (
    GroupFailure,
    Index,
    Measured,
    Missing,
    Provenance,
    Row,
    Store,
    load_rows,
    open_rows,
    read_rows,
    write_rows,
)
from mdtree.rows.row import row_to_json
from mdtree.trees.bundled import find_tree
from tests.support.rows import csv_text

KEY = ("g", "p")


def provenance(metrics=("error_rate",)):
    return Provenance(
        weights={"0.pt": "a" * 64},
        recipe="r",
        metrics=metrics,
        seed=0,
        device="cpu",
        seconds=1.0,
        versions={},
    )


def good(value: float, group="g", **changes) -> Row:
    row = Row(
        format=1,
        group=group,
        protocol="p",
        facts={"width": 8},
        quantities={"train_error": Measured(value=value), "test_error": Missing(missing="no data")},
        provenance=provenance(),
    )
    return replace(row, **changes)


def bad(reason: str, group="g") -> Row:
    return Row(
        format=1,
        group=group,
        protocol="p",
        facts={},
        quantities={"train_error": Missing(missing=f"the group failed: {reason}")},
        failure=GroupFailure(kind="MismatchError", reason=reason),
    )


def with_failure(row: Row, reason: str) -> Row:
    return replace(row, failure=bad(reason).failure)


def write(path, *rows):
    path.write_bytes(b"".join(row_to_json(row) + b"\n" for row in rows))
    return path


@pytest.fixture
def file(tmp_path):
    return tmp_path / "rows.jsonl"


def full(value: float, **changes) -> Row:
    row = good(value, **changes)
    both = {"train_error": Measured(value=value), "test_error": Measured(value=value)}
    return replace(row, quantities=both)


RETRAINED = replace(provenance(), weights={"0.pt": "b" * 64})

CASES = {  # rows of one key -> the latest of them, and the lines that count
    "failed once": ([bad("a")], bad("a"), [0]),
    "failed twice": ([bad("a"), bad("b")], bad("b"), [1]),
    "measured after it failed": ([bad("a"), good(1)], good(1), [1]),
    "failed after it was measured": ([good(1), bad("a")], with_failure(good(1), "a"), [0, 1]),
    "failed twice after": ([good(1), bad("a"), bad("b")], with_failure(good(1), "b"), [0, 2]),
    "mended": ([good(1), bad("a"), good(2)], good(2), [2]),
    "with fewer quantities": ([full(1), good(2)], good(2), [0, 1]),
    "with fewer again": ([full(1), good(2), good(3)], good(3), [0, 2]),
    "with all again": ([full(1), good(2), full(3)], full(3), [2]),
    "with fewer, and failed": ([full(1), good(2), bad("a")], with_failure(good(2), "a"), [0, 1, 2]),
    "with fewer, of other networks": (
        [full(1), good(2, provenance=RETRAINED)],
        good(2, provenance=RETRAINED),
        [1],
    ),
    "mended and failed again": ([bad("z"), good(1), bad("a")], with_failure(good(1), "a"), [1, 2]),
}


@pytest.mark.parametrize(("rows", "latest", "lines"), CASES.values(), ids=CASES)
def test_the_latest_row_is_the_latest_measurement_with_the_failure_after_it(
    file, rows, latest, lines
):
    write(file, *rows)
    assert read_rows(file) == list(open_rows(file)) == [latest]
    assert Index(file).latest(KEY) == latest
    assert Index(file).superseded == len(rows) - len(lines)
    with Store(file):
        pass
    assert file.read_bytes() == b"".join(row_to_json(rows[line]) + b"\n" for line in lines)
    assert read_rows(file) == [latest]


@pytest.mark.parametrize(("rows", "latest", "lines"), CASES.values(), ids=CASES)
def test_a_writer_keeps_what_readers_of_the_whole_file_would(file, rows, latest, lines):
    with Store(file) as store:
        for number, row in enumerate(rows):
            store.append(row)
            assert store.index.latest(KEY) == read_rows(file)[0]
            assert number < len(rows) - 1 or store.index.latest(KEY) == latest
    assert len(file.read_bytes().splitlines()) == len(lines)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.booleans()), min_size=1, max_size=12))
@settings(deadline=None, derandomize=True)
def test_readers_indexes_and_tidied_files_agree_whatever_happened(tmp_path_factory, attempts):
    file = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    rows = [
        good(number, name) if well else bad(f"{number}", name)
        for number, (name, well) in enumerate(attempts)
    ]
    write(file, *rows)
    before = read_rows(file)
    index = Index(file)
    assert list(index.rows()) == before
    for row in before:
        own = [attempt for attempt in rows if attempt.group == row.group]
        numbers = [attempt for attempt in own if attempt.failure is None]
        assert row.measured is bool(numbers)
        assert row.quantities == (numbers or own)[-1].quantities
        assert (row.failure is None) is (own[-1].failure is None)
    with Store(file):
        pass
    assert read_rows(file) == before
    assert len(file.read_bytes().splitlines()) == len(rows) - index.superseded


def test_a_group_that_is_as_it_was_when_it_was_measured_has_not_failed(file):
    write(file, good(1), bad("a"), bad("b", "other"))
    with Store(file) as store:
        assert store.index.settle(KEY) is True
        assert store.index.settle(KEY) is False
        assert store.index.settle(("other", "p")) is False  # there is nothing else of it
        assert store.index.settle(("unknown", "p")) is False
        assert store.index.latest(KEY) == good(1)
    assert read_rows(file) == [good(1), bad("b", "other")]


def test_a_row_from_elsewhere_is_kept_as_well(file):
    imported = good(1, provenance=None)
    with Store(file) as store:
        store.append(imported)
        store.append(bad("a"))
    assert read_rows(file) == [imported]
    assert len(file.read_bytes().splitlines()) == 2


def test_a_row_of_which_a_further_metric_failed_is_no_mere_failure(file):
    """So the group is written when a metric is added: all of before is in that row."""
    partly = good(1, failure=bad("no luck").failure)
    partly = replace(partly, quantities={**partly.quantities, "cka": Missing(missing="failed")})
    write(file, good(1), partly, bad("a"))
    assert read_rows(file) == [with_failure(partly, "a")]
    assert [partly.measured, partly.outlived] == [True, False]
    assert [with_failure(good(1), "a").outlived, good(1).outlived, bad("a").outlived] == [
        True,
        False,
        False,
    ]


def test_trees_are_fitted_on_what_was_measured(file):
    write(file, good(1), bad("a"), bad("b", "other"))
    assert load_rows(file) == [with_failure(good(1), "a")]
    assert len(load_rows(file, failed=True)) == 2


def test_a_table_and_the_terminal_show_the_numbers_and_the_failure(file):
    write(file, good(12.5), bad("a\nb"))
    header, line = csv_text(read_rows(file)).splitlines()[:2]
    assert dict(zip(header.split(","), line.split(","), strict=False))["train_error"] == "12.5"
    shown = rows_table(read_rows(file))
    assert "12.5" in shown
    assert "missing test_error: no data (1 of 1)" in shown
    assert "measured before; a later attempt failed: g: a\\nb" in shown


def test_a_verdict_rests_on_the_numbers_and_says_that_a_later_attempt_failed(file):
    write(file, good(12.5), bad("of another model"))
    diagnoser = Diagnoser(find_tree("digits-standard-1"), name="t", allow_protocol_mismatch=True)
    (row,) = read_rows(file)
    verdict, before = diagnoser(row), diagnoser(good(12.5))
    assert replace(verdict, basis=before.basis, checks=before.checks) == before
    assert set(verdict.basis.warnings) - set(before.basis.warnings) == {
        "the numbers come from an earlier measurement; a later attempt failed: of another model"
    }


def test_an_older_mdtree_reads_the_file(file):
    """It knows no keys but those that were there before."""
    with Store(file) as store:
        store.append(good(1))
        store.append(bad("a"))
    known = {"format", "group", "protocol", "facts", "quantities", "provenance", "failure"}
    assert all(json.loads(line).keys() <= known for line in file.read_text().splitlines())


def test_rows_that_are_written_whole_are_read_again(file):
    """What `rows show --json` prints, and what is exported and imported, has the same meaning."""
    rows = [with_failure(good(1), "a"), bad("b", "other")]
    write_rows(file, rows)
    assert read_rows(file) == rows

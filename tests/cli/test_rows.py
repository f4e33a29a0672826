"""`mdtree rows` and `mdtree quantities`."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mdtree.rows import FACTS, QUANTITIES, TEXT_FACTS, Measured, Row, read_rows, write_rows
from mdtree.rows.row import row_to_json
from tests.support.zoos import rows_of


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "rows.jsonl"
    write_rows(
        path,
        [
            Row(
                format=1,
                group=f"g{n}\x1b",
                protocol="standard-1",
                facts={"width": n},
                quantities={"train_error": Measured(value=n / 8, stderr=0.5)},
            )
            for n in range(45)
        ],
    )
    return path


@pytest.fixture
def here(rows, monkeypatch):
    """A folder with rows.jsonl, bad.jsonl and t.csv."""
    monkeypatch.chdir(rows.parent)
    (rows.parent / "bad.jsonl").write_text("nonsense\n")
    (rows.parent / "t.csv").write_text("train_error\n1\n")


def test_show_prints_a_table_of_the_first_forty_or_of_all(mdtree, rows):
    ran = mdtree("rows", "show", rows)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines()[-1] == "... and 5 more"
    assert r"g39\x1b" in ran.out
    assert "g40" not in ran.out
    assert "g44" in mdtree("rows", "show", rows, "--all").out


def test_show_json_gives_all_rows_as_they_are(mdtree, rows, tmp_path):
    (tmp_path / "copy.jsonl").write_text(mdtree("rows", "show", rows, "--json").out)
    assert read_rows(tmp_path / "copy.jsonl") == read_rows(rows)


def test_tables_and_measured_directories_are_shown_and_exported_too(mdtree, rows, tmp_path):
    table = tmp_path / "table.csv"
    assert mdtree("rows", "export", rows, "--out", table).code == 0
    first = mdtree("rows", "show", table)
    assert first.code == 0
    assert (
        first.out.splitlines()[2].split()[0]
        == mdtree("rows", "show", rows).out.splitlines()[2].split()[0]
    )

    (tmp_path / "runs").mkdir()
    shutil.copy(rows, tmp_path / "runs" / "rows.jsonl")
    assert mdtree("rows", "show", tmp_path / "runs").out == mdtree("rows", "show", rows).out
    own = mdtree("rows", "export", tmp_path / "runs", "--out", tmp_path / "runs" / "rows.jsonl")
    assert own.code != 0
    assert "holds the measurements themselves" in own.err


def test_export_is_the_same_on_the_terminal_and_in_a_file(mdtree, rows, tmp_path):
    ran = mdtree("rows", "export", rows, "--out", tmp_path / "t.csv")
    assert (ran.code, ran.out, ran.err) == (0, "", "")

    text = mdtree("rows", "export", rows).out

    assert (tmp_path / "t.csv").read_text() == text
    cells = list(csv.DictReader(io.StringIO(text)))
    assert [float(cell["train_error"]) for cell in cells] == [n / 8 for n in range(45)]


@pytest.mark.parametrize(
    ("out", "start"),
    [
        (["t.parquet"], b"PAR1"),
        (["T.PARQUET"], b"PAR1"),
        (["t", "--format", "parquet"], b"PAR1"),
        (["t"], b"group"),
        (["t.parquet", "--format", "csv"], b"group"),
    ],
)
def test_the_name_or_the_option_says_how_the_table_is_written(mdtree, here, out, start):
    pytest.importorskip("pyarrow")
    ran = mdtree("rows", "export", "rows.jsonl", "--out", *out)
    assert (ran.code, ran.out, ran.err) == (0, "", "")
    assert Path(out[0]).read_bytes().startswith(start)


def test_both_tables_hold_the_latest_row_of_each_group_in_the_order_of_the_groups(
    mdtree, rows, tmp_path
):
    pq = pytest.importorskip("pyarrow.parquet")
    first = read_rows(rows)[0]
    again = replace(first, quantities={"cka": Measured(value=0.25)})
    rows.write_bytes(rows.read_bytes() + row_to_json(again) + b"\n")
    mdtree("rows", "export", rows, "--out", tmp_path / "t.parquet")
    columns = pq.read_table(tmp_path / "t.parquet").to_pydict()
    lines = list(csv.DictReader(io.StringIO(mdtree("rows", "export", rows).out)))
    assert columns["group"] == [line["group"] for line in lines] == [f"g{n}\x1b" for n in range(45)]
    assert columns["cka"] == [0.25] + [None] * 44
    assert [line["cka"] for line in lines] == ["0.25"] + [""] * 44
    assert columns["train_error"] == [None, *(n / 8 for n in range(1, 45))]


def test_without_the_extra_a_parquet_table_is_refused_and_a_csv_table_is_written(
    mdtree, rows, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    ran = mdtree("rows", "export", rows, "--out", tmp_path / "t.parquet")
    assert (ran.code, ran.out) == (3, "")
    assert "pip install 'mdtree-diagnosis[parquet]'" in ran.err
    assert not (tmp_path / "t.parquet").exists()
    assert mdtree("rows", "export", rows, "--out", tmp_path / "t.csv").code == 0


@pytest.mark.parametrize("name", ["rows.jsonl", "link.jsonl"])
def test_rows_are_not_overwritten_by_their_own_table(mdtree, rows, tmp_path, name):
    (tmp_path / "link.jsonl").symlink_to(rows)
    before = rows.read_bytes()
    ran = mdtree("rows", "export", rows, "--out", tmp_path / name)
    assert (ran.code, rows.read_bytes()) == (5, before)
    assert "holds the measurements themselves: name another file" in ran.err


def test_what_is_exported_can_be_imported(mdtree, rows, tmp_path):
    table, back = tmp_path / "t.csv", tmp_path / "new" / "back.jsonl"
    mdtree("rows", "export", rows, "--out", table)
    ran = mdtree("rows", "import", table, "--out", back, "--protocol", "paper-1")

    assert ran.code == 0
    assert f"45 rows written to {back}" in ran.out
    assert "columns left out: failure" in ran.err
    (first, second) = list(rows_of(rows).values())[1], list(rows_of(back).values())[1]
    assert second.quantities == first.quantities
    assert second.facts == {"width": 1}
    assert second.protocol == "standard-1"  # the table says it


def test_published_tables_are_imported(mdtree, tmp_path):
    (tmp_path / "p.csv").write_text("width,hessian_e,train_error,color\n64,0,12.5,red\n")
    ran = mdtree("rows", "import", tmp_path / "p.csv", "--out", tmp_path / "r.jsonl")
    (row,) = read_rows(tmp_path / "r.jsonl")
    assert ran.code == 0
    assert "columns left out: color" in ran.err
    assert (row.protocol, row.quantities["hessian_top"]) == ("paper-1", Measured(value=1.0))


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["show", "no.jsonl"], 2, "no.jsonl does not exist"),
        (["show", "bad.jsonl"], 2, "bad.jsonl, line 1"),
        (["export", "bad.jsonl"], 2, "bad.jsonl, line 1"),
        (["export", "rows.jsonl", "--out", "no/t.csv"], 5, "cannot be written"),
        (["export", "rows.jsonl", "--out", "."], 5, "cannot be written"),
        (["export", "rows.jsonl", "--out", "no/t.parquet"], 5, "cannot be written"),
        (["export", "rows.jsonl", "--format", "parquet"], 2, "name a file with --out"),
        (["export", "bad.jsonl", "--out", "t.parquet"], 2, "bad.jsonl, line 1"),
        (["import", "bad.jsonl", "--out", "r.jsonl"], 2, "no column with a quantity"),
        (["import", "bad.jsonl"], 2, "Missing option '--out'"),
        (["import", "t.csv", "--out", "bad.jsonl/r.jsonl"], 5, "cannot be written"),
        (["import", "t.csv", "--out", "r.jsonl", "--protocol", "mine"], 2, "'mine'"),
    ],
)
def test_what_cannot_be_done_is_told(mdtree, here, args, code, words):
    ran = mdtree("rows", *args)
    assert (ran.code, ran.out) == (code, "")
    assert words in ran.err


def test_quantities_explains_every_quantity_and_fact(mdtree):
    ran = mdtree("quantities")
    assert (ran.code, ran.err) == (0, "")
    for quantity in QUANTITIES.values():
        for words in (quantity.name, quantity.meaning, quantity.low, quantity.high):
            assert words in ran.out
    assert [fact for fact in FACTS if f"    {fact}: {FACTS[fact]}" not in ran.out] == []


def test_quantities_is_json_for_machines(mdtree):
    content = json.loads(mdtree("quantities", "--json").out)
    assert [quantity["name"] for quantity in content["quantities"]] == list(QUANTITIES)
    assert content["facts"] == {**FACTS, **TEXT_FACTS}


def test_a_table_is_not_overwritten_by_its_own_rows(mdtree, tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("group,train_error\na,1\n")
    ran = mdtree("rows", "import", table, "--out", table)
    assert (ran.code, table.read_text()) == (5, "group,train_error\na,1\n")
    assert "is the table itself" in ran.err

"""Impossible numbers are refused where rows are read, with place, name, value and range."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from importlib import resources

import pytest

from mdtree.exceptions import RowsError
from mdtree.rows import QUANTITIES, Diverged, Measured, load_rows, read_rows, scan_rows
from mdtree.rows.facts import FACT_RANGES
from mdtree.rows.quantity import Range
from mdtree.rows.ranges import impossible
from mdtree.rows.row import row_from_json, row_to_json
from tests.support.rows import row

CLASSES = "must be a whole number, 2 to 1000000"
LEAST, CKA = "must be at least 0", "must be -1 to 1"


def diverged(count, of):
    names = tuple(f"seed-{n}.pt" for n in range(count))
    return replace(row(test_error=25.0), diverged=Diverged(networks=names, of=of))


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        (row(test_error=250.0), "test_error is 250 %, and must be 0 to 100"),
        (row(test_error=-0.5), "test_error is -0.5 %, and must be 0 to 100"),
        (row(barrier=-101.0), "barrier is -101 %, and must be -100 to 100"),
        (row(connectivity_peak=3.0), "connectivity_peak is 3 %, and must be -100 to 0"),
        (row(cka=1.5), "cka is 1.5, and must be -1 to 1"),
        (row(weight_distance=-1.0), "weight_distance is -1, and must be at least 0"),
        (row(alpha=Measured(value=2, stderr=-1)), "stderr of alpha is -1, and must be at least 0"),
        (
            row(hessian_top=Measured(value=2, iterations=-7)),
            "iterations of hessian_top is -7, and must be at least 0",
        ),
        (
            row(test_error=Measured(value=50, members=(0, 100.5))),
            "test_error of checkpoint 2 is 100.5 %, and must be 0 to 100",
        ),
        (row(facts={"conv_parameters": -3}), "fact conv_parameters is -3, and must be at least 0"),
        (row(facts={"label_noise": 7}), "fact label_noise is 7, and must be 0 to 1"),
        (row(facts={"classes": "ten"}), f"fact classes is 'ten', and {CLASSES}"),
        (row(facts={"classes": 10**40}), f"fact classes is 1{'0' * 40}, and {CLASSES}"),
        (row(facts={"classes": True}), f"fact classes is True, and {CLASSES}"),
        (row(facts={"classes": 2.5}), f"fact classes is 2.5, and {CLASSES}"),
        (row(facts={"classes": 0.5}), f"fact classes is 0.5, and {CLASSES}"),
        (diverged(0, -5), "diverged.of is -5, and must be at least 0"),
        (diverged(2, 1), "diverged names 2 networks, and must name at most 1"),
        (row(facts={"steps": -1}, cka=2), f"fact steps is -1, and {LEAST}; cka is 2, and {CKA}"),
    ],
)  # fmt: skip
def test_an_impossible_number_is_told_with_its_range(given, fault):
    assert impossible(given) == fault


@pytest.mark.parametrize(
    "given",
    [
        row(test_error=0, train_error=100.0, cka=-1, connectivity_peak=0),
        row(test_error=100 + 1e-9, cka=1 + 1e-12),  # rounding
        row(hessian_top=-3.0, train_loss=-7.0, hessian_trace=-1e300),  # any number can be
        row(of_mine=-1e9),
        row(facts={"classes": 10.0}),
        diverged(0, 0),  # only records are left
        diverged(2, 2),
        row(facts={"of_mine": -3, "width": "wide", "learning_rate": True, "target_accuracy": 0.9}),
    ],
)
def test_what_is_possible_or_unknown_is_read(given):
    assert impossible(given) is None
    assert row_from_json(row_to_json(given)) == given


@pytest.mark.parametrize(
    ("damaged", "fault"),
    [
        (diverged(0, -5), "diverged.of is -5, and must be at least 0"),
        (diverged(2, 1), "diverged names 2 networks"),
        (row(facts={"classes": "ten"}, test_error=25.0), "fact classes is 'ten'"),
    ],
)
def test_what_cannot_be_is_refused_with_its_line(tmp_path, mdtree, damaged, fault):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(row_to_json(row("a", cka=0.5)) + b"\n" + row_to_json(damaged) + b"\n")
    ran = mdtree("diagnose", path)
    assert (ran.code, ran.out) == (2, "")
    assert f"line 2: {fault}" in ran.err


def test_a_file_is_refused_with_its_line(tmp_path, mdtree):
    path = tmp_path / "rows.jsonl"
    lines = [row_to_json(row(name, test_error=error)) for name, error in (("a", 25.0), ("b", 250))]
    path.write_bytes(b"\n".join(lines) + b"\n")
    words = r"rows\.jsonl, line 2: test_error is 250 %, and must be 0 to 100"
    with pytest.raises(RowsError, match=words):
        read_rows(path)
    ran = mdtree("diagnose", path)
    assert ran.code == 2
    assert "line 2: test_error is 250 %, and must be 0 to 100" in ran.err
    assert [type(item).__name__ for item in scan_rows(path)] == ["Row", "Damaged"]


@pytest.mark.parametrize("number", ["NaN", "Infinity"])
def test_what_is_no_number_is_refused_as_before(tmp_path, number):
    path = tmp_path / "rows.jsonl"
    text = row_to_json(row(test_error=25.0)).decode().replace("25.0", number)
    path.write_text(text + "\n")
    with pytest.raises(RowsError, match=r"line 1: quantities\.test_error"):
        read_rows(path)


def test_the_table_of_quantities_owns_the_ranges(mdtree):
    percent = [quantity for quantity in QUANTITIES.values() if quantity.unit == "%"]
    assert all(quantity.range is not None for quantity in percent)
    listed = json.loads(mdtree("quantities", "--json").out)["quantities"]
    (error,) = (each for each in listed if each["name"] == "test_error")
    assert error["range"] == {"least": 0, "most": 100}
    assert "target_accuracy" not in FACT_RANGES  # in rows of elsewhere, the diagnosis judges it


def test_an_open_range_holds_everything():
    assert 1e300 in Range()
    assert str(Range()) == "any number"


def test_all_rows_that_come_with_mdtree_are_possible():
    data = resources.files("mdtree") / "data"
    counted = 0
    for folder in ("zoos", "reference"):
        for file in (data / folder).iterdir():
            if file.name.endswith((".jsonl", ".jsonl.gz")):
                content = file.read_bytes()
                text = gzip.decompress(content) if file.name.endswith(".gz") else content
                for line in text.splitlines():
                    assert impossible(row_from_json(line)) is None, file.name
                    counted += 1
    assert counted > 10_000
    assert len(load_rows(data / "published" / "cifar10-resnet18.csv.gz")) == 1690

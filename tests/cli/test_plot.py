"""`mdtree plot`, as a user meets it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

import mdtree as package
from mdtree.exceptions import RowsError
from mdtree.metrics import METRICS
from mdtree.metrics.budgets import ConnectivityBudget, StandardConnectivity, SurfaceBudget
from mdtree.metrics.surface import surface_metric
from mdtree.render.picture_file import KINDS
from mdtree.rows import Detail, Measured, write_rows
from tests.support.reports import whole_row
from tests.support.steps import epochs
from tests.support.zoos import rows_of

FEW = ConnectivityBudget(standard=StandardConnectivity(steps=8, check_every=4))


@pytest.fixture
def stored(tmp_path):
    path = tmp_path / "rows.jsonl"
    write_rows(path, [whole_row("wide"), whole_row("narrow\x1b[2J"), *epochs(30, 20)])
    return path


@pytest.mark.parametrize("what", KINDS)
def test_each_picture_is_written_or_printed(mdtree, stored, tmp_path, what):
    named = "run@epoch-1" if what == "history" else "wide"
    printed = mdtree("plot", stored, "--group", named, "--what", what)
    assert (printed.code, printed.err) == (0, "")
    ET.fromstring(printed.out)
    out = tmp_path / "picture.svg"
    ran = mdtree("plot", stored, "--group", named, "--what", what, "--out", out)
    assert (ran.code, ran.out) == (0, f"picture written to {out}\n")
    assert out.read_text() == printed.out
    assert mdtree("plot", stored, "--group", named, "--what", what, "--out", "-").out == printed.out


def test_a_picture_of_what_is_not_precise_says_so(mdtree, tmp_path):
    whole = whole_row()
    rough = Measured(value=10.0, stderr=4.0, converged=False)
    numbers = {**whole.quantities, "hessian_trace": rough, "hessian_top": rough}
    reach = {"hessian_trace": (8.0, 12.0)}  # the verdict needed no more of it
    coarse = replace(whole, quantities=numbers, provenance=replace(whole.provenance, reach=reach))
    write_rows(tmp_path / "rows.jsonl", [coarse])
    ran = mdtree("plot", tmp_path, "--what", "density")
    said = (
        "as precise as the verdict needs, not to the tolerance; mdtree measure goes on from there: "
        "Hessian trace; not converged: Hessian top"
    )
    assert " ".join(ran.err.split()) == f"note: {said}"
    words = " ".join("".join(ET.fromstring(ran.out).itertext()).split())
    assert said.replace(" ", "").lower() in words.replace(" ", "").lower()
    assert mdtree("plot", tmp_path, "--what", "cka").err == ""


def test_a_single_group_needs_no_name(mdtree, tmp_path):
    write_rows(tmp_path / "rows.jsonl", [whole_row()])
    assert mdtree("plot", tmp_path, "--what", "surface").out.startswith("<svg ")


def test_the_surface_of_checkpoints_from_the_command_to_the_picture(mdtree, zoo, monkeypatch):
    monkeypatch.setitem(METRICS, "surface", surface_metric(SurfaceBudget(side=3, curve=FEW)))
    ran = mdtree("measure", zoo, "--metrics", "error_rate", "--surface", "--group", "hot")
    assert ran.code == 0
    row = rows_of(zoo / "rows.jsonl")["hot"]
    assert row.provenance.metrics == ("error_rate", "surface")
    assert row.provenance.notes[-1].startswith("surface: the plane through the 2 checkpoints")
    assert len(package.arrays(row, "surface")["train_loss"]) == 9
    assert set(package.arrays(row, "surface_curve")) == {"t", "x", "y"}
    printed = mdtree("plot", zoo, "--what", "surface")
    assert (printed.code, printed.out) == (0, package.plot(row))


def test_a_surface_that_failed_says_why(mdtree, tmp_path):
    lost = Detail(columns={"missing": ("the network has no trainable parameters",)})
    write_rows(tmp_path / "rows.jsonl", [replace(whole_row("wide"), details={"surface": lost})])
    for what in ("surface", "surface-error"):
        ran = mdtree("plot", tmp_path, "--what", what)
        assert ran.code == 2
        assert f"group 'wide' has no {what}: the network has no trainable parameters" in ran.err
    assert mdtree("diagnose", tmp_path, "--html", tmp_path / "page.html").code == 0


def test_a_surface_is_planned_and_is_not_among_the_usual_metrics(mdtree, zoo):
    usual = mdtree("measure", zoo, "--dry-run").out
    assert "surface" not in usual
    alone = mdtree("measure", zoo, "--metrics", "surface", "--dry-run").out
    # 225 points and 2 networks, 50 items for the loss and the same for BatchNorm
    grid = 227 * 100
    # 600 steps on 50 items, of which each costs four passes, and 8 checks at 3 points
    curve = 600 * 50 * 4 + 8 * 3 * 50
    assert f"{2 * (grid + curve):,} forward passes" in alone
    names = "connectivity", "connectivity,surface"
    both = [mdtree("measure", zoo, "--metrics", each, "--dry-run").out for each in names]
    line, shared = (
        int(re.search(r"([\d,]+) forward passes", text)[1].replace(",", "")) for text in both
    )
    assert shared - line == 2 * grid  # the curve is trained once


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--group", "wide"), "Missing option '--what'"),
        (("--group", "wide", "--what", "surfaces"), "'surfaces' is not one of 'profile'"),
        (("--what", "surface"), "has 4 groups: name one with --group (wide, narrow"),
        (("--what", "surface", "--group", "wid"), "no measured group 'wid', did you mean 'wide'?"),
        (
            ("--what", "surface", "--group", "run@epoch-1"),
            "has no surface to draw (it has history); measure it with the metric surface",
        ),
        (("--what", "history", "--group", "wide"), "measure several checkpoints of its run"),
        (("--what", "surface", "--group", "wide", "--protocol", "paper-1"), "no measured rows"),
        (
            ("--what", "surface", "--group", "wide", "--out", "wide.PDF"),
            "wide.PDF would be PDF, but what is written is SVG or PNG: name a file that ends in",
        ),
    ],
)
def test_what_cannot_be_drawn(mdtree, stored, monkeypatch, words, message):
    monkeypatch.chdir(stored.parent)
    ran = mdtree("plot", stored, *words)
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err
    assert "\x1b" not in ran.err
    assert not (stored.parent / "wide.PDF").exists()


def test_a_group_under_two_protocols_needs_one(mdtree, tmp_path):
    path = tmp_path / "rows.jsonl"
    write_rows(path, [whole_row(), replace(whole_row(), protocol="paper-1")])
    ran = mdtree("plot", path, "--what", "density")
    assert ran.code == 2
    assert "several protocols (standard-1, paper-1): name one with --protocol" in ran.err
    assert mdtree("plot", path, "--what", "density", "--protocol", "paper-1").code == 0


def test_measurements_are_not_replaced_and_a_file_must_exist(mdtree, stored, tmp_path):
    before = stored.read_bytes()
    ran = mdtree("plot", stored, "--group", "wide", "--what", "density", "--out", stored)
    assert ran.code == 5
    assert "contains measurements and was not replaced" in ran.err
    assert stored.read_bytes() == before
    assert mdtree("plot", tmp_path / "none.jsonl", "--what", "density").code == 2


def test_from_python_a_row_that_lacks_it_is_an_error():
    with pytest.raises(RowsError, match="has no surface to draw"):
        package.plot(replace(whole_row(), details=None))


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "utf-8"])
def test_what_is_printed_is_xml_in_any_encoding(tmp_path, encoding):
    write_rows(tmp_path / "rows.jsonl", [whole_row("größe")])
    ran = subprocess.run(
        [sys.executable, "-m", "mdtree", "plot", tmp_path, "--what", "surface"],
        env={**os.environ, "PYTHONIOENCODING": encoding},
        capture_output=True,
        check=True,
    )
    picture = ET.fromstring(ran.stdout)  # bytes: UTF-8, as nothing else is said
    assert picture.attrib["aria-label"].startswith("größe ")
    assert (b"&#" in ran.stdout) == (encoding != "utf-8")


@pytest.mark.parametrize("name", ["mine.json", "zoo.yaml", "rows.jsonl", "page.html"])
def test_a_picture_replaces_no_other_file(mdtree, tmp_path, name):
    write_rows(tmp_path / "rows.jsonl", [whole_row()])
    if name != "rows.jsonl":
        (tmp_path / name).write_text("{}" if name == "mine.json" else "<html>")
    before = (tmp_path / name).read_bytes()
    ran = mdtree("plot", tmp_path, "--what", "surface", "--out", tmp_path / name)
    assert ran.code == 5
    assert "and was not replaced: " in ran.err
    assert (tmp_path / name).read_bytes() == before

"""The demo, as `make demo` runs it: its zoo, and on a smaller one everything that it measures."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from conftest import rows_of, write_zoo

from mdtree.cli import main
from mdtree.config import Digits, ModelSpec
from mdtree.metrics import METRICS
from mdtree.zoo import DEMO

USUAL = tuple(name for name, metric in METRICS.items() if not metric.on_request)

pytestmark = pytest.mark.slow  # four networks are trained


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Run the real thing once for all tests of this file; of the metrics, one shows the fault."""
    folder = tmp_path_factory.mktemp("demo") / "out"
    with pytest.MonkeyPatch.context() as patch:
        for name, metric in METRICS.items():
            patch.setitem(METRICS, name, replace(metric, on_request=name != "error_rate"))
        with pytest.raises(SystemExit) as stop:
            main(["demo", "--out", str(folder)])
    assert stop.value.code == 0
    return folder


def test_the_demo_leaves_a_zoo_of_two_groups_of_two_seeds_and_rows(demo):
    members = [f"batch-{size}/seed-{seed}" for size in (1024, 32) for seed in (0, 1)]
    assert sorted(path.relative_to(demo).as_posix() for path in demo.rglob("*.*")) == [
        ".rows.jsonl.lock",
        ".zoo.lock",
        *(f"{member}.{end}" for member in members for end in ("json", "safetensors")),
        "mdtree.yaml",
        "rows.jsonl",
        "zoo.yaml",
    ]


def test_the_planted_fault_is_seen(demo):
    rows = rows_of(demo / "rows.jsonl")
    good, bad = rows["batch-32"], rows["batch-1024"]

    assert (good.facts["batch_size"], bad.facts["batch_size"]) == (32, 1024)
    assert (good.facts["width"], good.facts["parameters"]) == (4, 44550)
    for name in ("train_error", "test_error", "train_loss", "test_loss"):
        better, worse = good.quantities[name], bad.quantities[name]
        assert len(better.members) == len(worse.members) == 2
        assert max(better.members) < min(worse.members)
    assert good.quantities["train_error"].value < 5 < bad.quantities["train_error"].value
    seeds = good.quantities["train_loss"].members
    assert seeds[0] != seeds[1]


def test_what_the_demo_measured_is_not_measured_again(mdtree, demo):
    before = (demo / "rows.jsonl").read_bytes()
    content = json.loads(mdtree("measure", demo, "--metrics", "error_rate", "--json").out)
    assert (content["measured"], content["already"], content["failed"]) == (0, 2, [])
    assert (demo / "rows.jsonl").read_bytes() == before


@pytest.mark.usefixtures("error_rates_only")
def test_what_the_demo_trained_is_not_trained_again(mdtree, demo):
    before = {path: path.stat().st_mtime_ns for path in demo.rglob("*/*")}
    ran = mdtree("demo", "--out", demo)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.endswith(f"measure them yourself: mdtree measure {demo}\n")
    assert before == {path: path.stat().st_mtime_ns for path in demo.rglob("*/*")}


def test_the_demo_measures_and_shows_all_that_is_usual(mdtree, tmp_path, monkeypatch):
    """A smaller zoo: the curves of the real one take a minute."""
    changes = {"model": ModelSpec(factory="cnn", kwargs={"width": 2}), "data": Digits(amount=50)}
    small = DEMO.model_copy(update={**changes, "grid": {"batch_size": (32,)}})
    monkeypatch.setattr("mdtree.zoo.DEMO", small)

    ran = mdtree("demo", "--out", tmp_path / "out")

    assert (ran.code, ran.err) == (0, "")
    (row,) = rows_of(tmp_path / "out" / "rows.jsonl").values()
    assert (row.failure, row.provenance.metrics) == (None, USUAL)
    for heading in ("test_error [%]", "hessian_trace", "barrier [%]", "cka", "alpha"):
        assert heading in ran.out


def test_another_recipe_is_not_overwritten(mdtree, tmp_path):
    write_zoo(tmp_path, {"mine": [0]})
    before = (tmp_path / "mdtree.yaml").read_bytes()

    ran = mdtree("demo", "--out", tmp_path)

    assert (ran.code, ran.out) == (5, "")
    assert "choose another --out" in ran.err
    assert (tmp_path / "mdtree.yaml").read_bytes() == before
    assert not (tmp_path / "batch-32").exists()


def test_a_place_that_cannot_be_written_is_told_before_anything_is_trained(mdtree, tmp_path):
    (tmp_path / "file").write_text("")
    ran = mdtree("demo", "--out", tmp_path / "file" / "out")
    assert (ran.code, ran.out) == (5, "")
    assert "cannot be written" in ran.err

"""The demo, as `make demo` runs it."""

from __future__ import annotations

import json

import pytest
from conftest import rows_of, write_zoo

from mdtree.cli import main

pytestmark = pytest.mark.slow  # four networks are trained


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Run the real thing once for all tests of this file."""
    folder = tmp_path_factory.mktemp("demo") / "out"
    with pytest.raises(SystemExit) as stop:
        main(["demo", "--out", str(folder)])
    assert stop.value.code == 0
    return folder


def test_the_demo_leaves_two_groups_of_two_seeds_a_recipe_and_rows(demo):
    assert sorted(path.relative_to(demo).as_posix() for path in demo.rglob("*.*")) == [
        ".rows.jsonl.lock",
        "batch-1024/seed-0.safetensors",
        "batch-1024/seed-1.safetensors",
        "batch-32/seed-0.safetensors",
        "batch-32/seed-1.safetensors",
        "mdtree.yaml",
        "rows.jsonl",
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
    content = json.loads(mdtree("measure", demo, "--json").out)
    assert (content["measured"], content["already"], content["failed"]) == (0, 2, [])
    assert (demo / "rows.jsonl").read_bytes() == before


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

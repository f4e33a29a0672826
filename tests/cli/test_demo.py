"""The demo, as `make demo` runs it: a fault is planted, measured and found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mdtree.cli import main
from mdtree.failure_modes import FAILURE_MODES
from mdtree.zoo import FAULTS, demo_zoo
from tests.support.zoos import rows_of, write_zoo

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Run the real thing once for all tests of this file."""
    folder = tmp_path_factory.mktemp("demo") / "out"
    with pytest.raises(SystemExit) as stop:
        main(["demo", "--out", str(folder)])
    assert stop.value.code == 0
    return folder / "temperature_low"


@pytest.mark.slow
def test_the_demo_leaves_a_group_of_two_seeds_its_recipe_and_its_row(demo):
    names = {path.relative_to(demo).as_posix() for path in demo.rglob("*.*")}
    members = {f"w32-r0.0005-d4096/seed-{seed}" for seed in (0, 1)}
    assert names >= {f"{member}.{end}" for member in members for end in ("json", "safetensors")}
    assert names >= {"mdtree.yaml", "report.html", "rows.jsonl", "zoo.yaml"}


@pytest.mark.slow
def test_the_planted_fault_is_found(mdtree, demo):
    ran = mdtree("demo", "--out", demo.parent)  # nothing is trained or measured twice
    assert (ran.code, ran.err) == (0, "")
    assert "planted: temperature_low\n" in ran.out
    assert "verdict: temperature_low (probability " in ran.out
    row = rows_of(demo / "rows.jsonl")["w32-r0.0005-d4096"]
    assert (row.facts["learning_rate"], row.facts["width"]) == (0.0005, 32)


@pytest.mark.slow
def test_the_demo_directory_can_be_measured_and_judged_by_hand(mdtree, demo):
    content = json.loads(mdtree("measure", demo, "--metrics", "error_rate", "--json").out)
    assert (content["measured"], content["already"], content["failed"]) == (0, 1, [])
    judged = mdtree("diagnose", demo)
    assert "verdict: temperature_low" in judged.out


def test_there_is_a_demo_for_each_failure_mode():
    assert FAULTS.keys() == FAILURE_MODES.keys()


@pytest.mark.parametrize("fault", FAULTS)
def test_each_demo_is_one_group_of_two_seeds_of_its_own(fault):
    width, learning_rate, data_amount = FAULTS[fault]
    zoos = [demo_zoo(fault, seed=seed) for seed in (0, 1, 7)]
    for zoo in zoos:
        (point,) = zoo.points()
        assert point == {
            "width": width,
            "learning_rate": learning_rate,
            "data_amount": data_amount,
        }
    assert [zoo.first_seed for zoo in zoos] == [0, 2, 14]


def test_no_zoo_of_the_collection_has_the_data_of_the_demo():
    """What the general trees have learnt from must not be what they are shown with."""
    source = demo_zoo("none").data.source
    configs = list(CONFIGS.rglob("*.yaml"))
    assert configs
    assert not [config.name for config in configs if source in config.read_text()]


def test_another_recipe_is_not_overwritten(mdtree, tmp_path):
    mine = write_zoo(tmp_path / "none", {"mine": [0]})
    before = (mine / "mdtree.yaml").read_bytes()
    ran = mdtree("demo", "--fault", "none", "--out", tmp_path)
    assert (ran.code, ran.out) == (5, "")
    assert "choose another --out" in ran.err
    assert (mine / "mdtree.yaml").read_bytes() == before


def test_a_place_that_cannot_be_written_is_told_before_anything_is_trained(mdtree, tmp_path):
    (tmp_path / "file").write_text("")
    ran = mdtree("demo", "--out", tmp_path / "file" / "out")
    assert (ran.code, ran.out) == (5, "")
    assert "cannot be written" in ran.err


def test_an_unknown_fault_is_refused(mdtree, tmp_path):
    ran = mdtree("demo", "--fault", "gremlins", "--out", tmp_path)
    assert ran.code == 2
    assert "temperature_low" in ran.err

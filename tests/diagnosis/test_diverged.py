"""Training that diverged: NaN in the weights is a verdict, with its evidence, and no failure."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.support.valleys import copy_of
from tests.support.zoos import write_zoo


@pytest.fixture
def diverged(tmp_path):
    """A group that is whole, and one whose second seed holds a NaN."""
    root = write_zoo(tmp_path / "zoo", {"hot": [0, 1], "cold": [2, 3]})
    path = root / "hot" / "seed-1.safetensors"
    weights = copy_of(load_file(path))
    weights["0.weight"].view(-1)[0] = torch.nan
    save_file(weights, path)
    return root


def test_a_group_that_diverged_was_too_hot(mdtree, diverged):
    ran = mdtree("diagnose", diverged, "--group", "hot", "--fact", "learning_rate=3")
    assert ran.code == 0
    assert "verdict: temperature_high" in ran.out
    assert "seed-1.safetensors contains NaN or infinite weights" in ran.out
    assert "learning rate 3 -> 0.3" in ran.out
    assert "failed" not in ran.err


def test_its_verdict_is_json_and_a_page_too(mdtree, diverged, tmp_path):
    page = tmp_path / "page.html"
    ran = mdtree("diagnose", diverged, "--group", "hot", "--json", "--html", page)
    (verdict,) = json.loads(ran.out)["verdicts"]
    assert (verdict["mode"], verdict["likely"]) == ("temperature_high", "temperature_high")
    assert "training diverged" in verdict["clues"][0]["says"]
    assert "training diverged" in page.read_text()


def test_what_fails_on_a_verdict_fails_on_this_one(mdtree, diverged):
    ran = mdtree("diagnose", diverged, "--group", "hot", "--fail-on", "temperature_high")
    assert ran.code == 6


def test_the_other_groups_are_judged_as_ever(mdtree, diverged):
    ran = mdtree("diagnose", diverged, "--json")
    assert {verdict["group"] for verdict in json.loads(ran.out)["verdicts"]} == {"hot", "cold"}
    again = mdtree("diagnose", diverged / "rows.jsonl", "--group", "hot", "--json")
    assert json.loads(again.out)["verdicts"][0]["mode"] == "temperature_high"


def test_weights_of_another_network_are_no_verdict(mdtree, diverged):
    for seed in (0, 1):
        save_file({"other": torch.ones(3)}, diverged / "hot" / f"seed-{seed}.safetensors")
    ran = mdtree("diagnose", diverged, "--group", "hot")
    assert ran.code == 2
    assert "nothing to diagnose" in ran.err

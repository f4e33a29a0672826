"""The Python interface does what the commands do."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch
from torch import nn

import mdtree
from mdtree import api
from mdtree.exceptions import MdtreeError, RecipeError
from mdtree.recipes import read_recipe
from mdtree.rows import Measured, Row, load_rows, write_rows
from mdtree.trees.bundled import find_tree, shipped_rows
from tests.support.zoos import rows_of, write_zoo

pytestmark = pytest.mark.usefixtures("short_curves")


def test_measure_gives_the_rows_that_the_command_writes(mdtree, zoo):
    rows = api.measure(zoo, metrics=["error_rate"], device="cpu")
    assert rows == list(rows_of(zoo / "rows.jsonl").values())
    content = json.loads(mdtree("measure", zoo, "--metrics", "error_rate", "--json").out)
    assert (content["measured"], content["already"]) == (0, 2)


@pytest.mark.parametrize("given", ["path", "recipe"])
def test_a_recipe_may_be_a_file_or_an_object(zoo, tmp_path, given):
    path = (zoo / "mdtree.yaml").rename(tmp_path / "mine.yaml")
    recipe = path if given == "path" else read_recipe(path)
    (cold, hot) = api.measure(zoo, recipe=recipe, metrics=["error_rate"], device="cpu")
    assert (cold.group, hot.group) == ("cold", "hot")


def test_a_group_that_fails_is_a_row_with_its_reason(zoo):
    (zoo / "hot" / "seed-0.safetensors").write_bytes(b"broken")
    rows = {row.group: row for row in api.measure(zoo, metrics=["error_rate"], device="cpu")}
    assert rows["cold"].failure is None
    assert "seed-0.safetensors" in rows["hot"].failure.reason
    assert [verdict.group for verdict in api.diagnose(zoo, device="cpu")] == ["cold"]


def test_fit_takes_a_file_as_well_as_rows(tmp_path):
    rows = shipped_rows("digits-standard-1")
    write_rows(tmp_path / "rows.jsonl", rows)
    path = tmp_path / "rows.jsonl"
    assert api.fit(rows).tree == api.fit(path).tree == api.fit(str(path)).tree


def test_fit_takes_the_method_that_the_command_takes(mdtree, tmp_path):
    path = tmp_path / "rows.jsonl"
    write_rows(path, shipped_rows("digits-standard-1"))
    assert mdtree("fit", path, "--out", tmp_path / "t.json").code == 0
    written, ours = find_tree(str(tmp_path / "t.json")), api.fit(path)
    assert (ours.method, ours.tree) == (written.method, written.tree) == ("grown", written.tree)


def test_a_prior_is_continued_by_name():
    rows = shipped_rows("digits-standard-1")
    continued = api.fit(rows, prior="digits-standard-1")
    assert continued.groups == 2 * find_tree("digits-standard-1").groups


def test_diagnose_says_what_the_command_says(mdtree, tmp_path):
    zoo = write_zoo(tmp_path, {"mine": [0, 1]})
    (verdict,) = api.diagnose(zoo, device="cpu")
    (printed,) = json.loads(mdtree("diagnose", zoo, "--json").out)["verdicts"]
    assert (verdict.mode, verdict.probability) == (printed["mode"], printed["probability"])
    assert api.diagnose(zoo / "rows.jsonl") == [verdict]


def test_rows_are_judged_as_they_are_and_facts_join_them():
    row = Row(
        format=1,
        group="g",
        protocol="paper-1",
        facts={},
        quantities={"train_error": Measured(value=20.0), "connectivity_peak": Measured(value=-40)},
    )
    (verdict,) = api.diagnose([row], facts={"width": 8})
    assert verdict.group == "g"
    assert {gain.old for gain in verdict.gains if gain.fact == "width"} == {8.0}
    assert row.facts == {}


def test_a_list_of_directories_is_one_group_as_with_others(tmp_path):
    runs = [write_zoo(tmp_path / name, {"mine": [seed]}) for seed, name in enumerate("ab")]
    (row,) = api.measure(runs, metrics="error_rate", device="cpu")
    assert len(row.provenance.weights) == 2
    (verdict,) = api.diagnose(runs, device="cpu")
    assert [verdict] == api.diagnose(runs[0], others=runs[1], device="cpu")
    with pytest.raises(MdtreeError, match="either rows or directories of runs"):
        api.diagnose([row, runs[0]])
    with pytest.raises(MdtreeError, match="rows come from one file"):
        api.fit(runs)


def test_rows_are_loaded_from_a_text_as_from_a_path(tmp_path):
    rows = shipped_rows("digits-standard-1")
    write_rows(tmp_path / "ok.jsonl", rows)
    assert load_rows(str(tmp_path / "ok.jsonl")) == load_rows(tmp_path / "ok.jsonl") == rows


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: api.diagnose([]), MdtreeError, "nothing to diagnose"),
        (lambda: api.measure("nowhere"), MdtreeError, "nowhere does not exist"),
        (lambda: api.measure("."), RecipeError, "mdtree.yaml"),
        (lambda: mdtree.diagnosis_of, AttributeError, "has no attribute 'diagnosis_of'"),
    ],
)
def test_mistakes_are_explained(monkeypatch, tmp_path, call, error, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=words):
        call()


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, mdtree; print({'torch', 'numpy', 'sklearn'} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert ran.stdout == "set()\n"


def test_quantities_are_refused_for_models_in_memory():
    data = torch.ones(4, 2), torch.zeros(4, dtype=torch.long)
    with pytest.raises(MdtreeError, match="name metrics for models"):
        mdtree.measure(models=[nn.Linear(2, 2)], train=data, quantities=["hessian_top"])

"""`mdtree fit`, `mdtree tree` and the trees that come with mdtree, as a user meets them."""

from __future__ import annotations

import dataclasses
import json
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from mdtree.api import fit
from mdtree.rows import read_rows, rows_from_csv, write_rows
from mdtree.trees import Leaf, PosteriorTree, leaves, read_tree, write_tree
from mdtree.trees.bundled import find_tree, shipped_trees
from mdtree.trees.examples import labelled
from mdtree.trees.fit import fit_tree
from mdtree.trees.posterior import averaged, posterior
from tests.support.paths import ROOT
from tests.support.same import assert_same_tree

NAME = "published-cifar10-resnet18"


@pytest.fixture(scope="module")
def published_rows(published_table):
    return rows_from_csv(published_table, protocol="paper-1").rows


@pytest.fixture(scope="module")
def small_table(published_table, tmp_path_factory):
    """A part of the published table that is a grid too: four of its ten amounts of data."""
    header, *lines = published_table.read_text().splitlines()
    column = header.split(",").index("data_amount")
    kept = [
        line for line in lines if line.split(",")[column] in ("5000", "20000", "35000", "50000")
    ]
    path = tmp_path_factory.mktemp("small") / "small.csv"
    path.write_text("\n".join([header, *kept]))
    return path


@pytest.fixture(scope="module")
def small_rows(small_table):
    return rows_from_csv(small_table, protocol="paper-1").rows


@pytest.mark.parametrize("task", ["failure", "temperature", "width", "data"])
@pytest.mark.parametrize("method", ["posterior", "mdtree", "cart"])
def test_every_tree_of_every_task_is_fitted_saved_and_shown(
    task, method, small_table, tmp_path, mdtree
):
    out = tmp_path / "tree.json"
    ran = mdtree("fit", small_table, "--task", task, "--tree", method, "--out", out)
    if (task, method) == ("failure", "mdtree"):
        assert (ran.code, out.exists()) == (2, False)
        assert "no tree for task 'failure': use posterior" in ran.err
        return
    assert ran.code == 0
    shown = mdtree("tree", "show", out, "--svg", tmp_path / "tree.svg")
    assert shown.code == 0
    saved = read_tree(out)
    answers = [leaf.answer for leaf in leaves(saved.tree)]
    assert [line for line in shown.out.splitlines() if "─" in line or "<=" in line]
    assert all(answer in shown.out for answer in answers)
    picture = ET.parse(tmp_path / "tree.svg").getroot()
    words = [element.text for element in picture.iter() if element.tag.endswith("text")]
    assert sorted(word for word in words if word in set(answers)) == sorted(answers)


def test_a_measured_directory_and_json_lines_give_the_same_tree(
    small_table, small_rows, tmp_path, mdtree
):
    write_rows(tmp_path / "rows.jsonl", small_rows)
    trees = []
    for source in (small_table, tmp_path / "rows.jsonl", tmp_path):
        out = tmp_path / "tree.json"
        assert mdtree("fit", source, "--task", "temperature", "--out", out).code == 0
        trees.append(read_tree(out).tree)
    assert trees[0] == trees[1] == trees[2]


def test_rows_that_others_replaced_are_told(small_rows, tmp_path, mdtree):
    rows = small_rows
    first = [dataclasses.replace(row, facts={**row.facts, "width": 1}) for row in rows[:3]]
    write_rows(tmp_path / "rows.jsonl", [*first, *rows])
    call = ("--task", "temperature", "--out", tmp_path / "tree.json")
    ran = mdtree("fit", tmp_path / "rows.jsonl", *call)
    assert ran.code == 0
    assert "3 rows left out" in ran.err
    with pytest.warns(UserWarning, match="3 rows left out") as told:
        fit(tmp_path / "rows.jsonl", task="temperature")
    assert told[0].filename == __file__
    path = tmp_path / "rows.jsonl"
    ran = mdtree("evaluate", "--train", path, "--test", path, "--methods", "majority")
    assert (ran.code, ran.err.count("3 rows left out")) == (0, 2)


def test_json_says_where_the_tree_is(published_table, tmp_path, mdtree):
    out = tmp_path / "tree.json"
    ran = mdtree("fit", published_table, "--out", out, "--json")
    assert json.loads(ran.out) == {
        "format": 1,
        "out": str(out),
        "task": "failure",
        "groups": 1690,
        "warning": None,
    }


def test_own_runs_continue_a_tree_that_comes_with_mdtree(published_rows, tmp_path, mdtree):
    own = [
        row
        for row in published_rows
        if row.facts["width"] == 8 and row.facts["data_amount"] == 50_000
    ]
    write_rows(tmp_path / "own.jsonl", own)
    out = tmp_path / "mine.json"
    prior = f"{NAME}-temperature"
    call = ("fit", tmp_path / "own.jsonl", "--task", "temperature", "--out", out)
    assert mdtree(*call, "--prior", prior).code == 0
    assert read_tree(out).groups == 1560 + 12


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (("--task", "width", "--prior", f"{NAME}-data"), "answers task 'data'"),
        (("--task", "data", "--tree", "cart", "--prior", f"{NAME}-data"), "only a posterior"),
        (("--task", "data", "--prior", "published-cifar-resnet18"), "did you mean"),
        (("--task", "data", "--tree", "mdtree", "--facts"), "leave out --facts"),
        (("--task", "weather"), "'weather' is not one of"),
        (("--protocol", "standard-1"), "no"),
    ],
)
def test_wrong_use_is_said(call, words, published_rows, tmp_path, mdtree):
    write_rows(tmp_path / "r.jsonl", published_rows[:40])
    ran = mdtree("fit", tmp_path / "r.jsonl", *call, "--out", tmp_path / "x.json")
    assert (ran.code, (tmp_path / "x.json").exists()) == (2, False)
    assert words in ran.err


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("bs,test_acc,hessian_t\n16,50,5\n64,60,6\n", "no line has all features"),
        ("bs,test_acc,train_error\n16,50,1\n", "need a grid"),
        ("bs,train_error\n16,1\n64,2\n", "has no test accuracy"),
        ("bs,test_acc,train_error\n16,50,1\n16,60,2\n", "second row"),
    ],
)
def test_tables_that_cannot_teach_are_refused(content, words, tmp_path, mdtree):
    (tmp_path / "t.csv").write_text(content)
    ran = mdtree("fit", tmp_path / "t.csv", "--task", "temperature", "--out", tmp_path / "x.json")
    assert ran.code == 2
    assert words in ran.err


def test_rows_that_failed_take_no_part(zoo, tmp_path, mdtree):
    (zoo / "hot" / "seed-0.safetensors").write_bytes(b"")
    assert mdtree("measure", zoo, "--metrics", "error_rate").code == 1
    assert [row.failure is None for row in read_rows(zoo / "rows.jsonl")].count(False) == 1
    ran = mdtree("fit", zoo, "--out", tmp_path / "x.json")
    assert ran.code == 2
    assert "need a grid" in ran.err


def test_all_trees_that_come_with_mdtree_are_listed(mdtree):
    listed = json.loads(mdtree("tree", "list", "--json").out)["trees"]
    known = {tree["name"]: (tree["task"], tree["groups"]) for tree in listed}
    assert {name: facts for name, facts in known.items() if name.startswith(NAME)} == {
        NAME: ("failure", 1690),
        f"{NAME}-temperature": ("temperature", 1560),
        f"{NAME}-width": ("width", 1669),
        f"{NAME}-data": ("data", 1649),
    }
    out = mdtree("tree", "list").out
    for name, tree in shipped_trees().items():
        assert name in out
        assert tree.provenance.get("accuracy", "").split(" (")[0] in out
        assert tree.provenance["data"] in out


PUBLISHED = [name for name in shipped_trees() if name.startswith(NAME)]


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_shipped_tree_says_where_it_comes_from(name, mdtree):
    shown = mdtree("tree", "show", name).out
    for words in ("protocol paper-1", "MIT License", "ICML 2024", "1,690 configurations"):
        assert words in shown


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_shipped_tree_is_what_fitting_the_table_gives(name, published_rows):
    """So the committed files and the code that reads them belong together."""
    saved = find_tree(name)
    rows = published_rows
    fresh = fit_tree(rows, task=saved.task)
    assert_same_tree(fresh.tree, saved.tree)
    kept, answers, _ = labelled(rows, saved.task)
    matrix = saved.matrix(kept)
    columns = {feature: number for number, feature in enumerate(saved.features)}
    parts = [(weight, posterior(binned)) for weight, binned in saved.components]
    estimator = PosteriorTree(task=saved.task).fit(matrix, np.array(answers))
    assert averaged(parts, matrix, columns) == pytest.approx(
        estimator.predict_proba(matrix), abs=1e-9
    )


def test_a_tree_from_elsewhere_sends_no_codes_to_the_terminal(tmp_path, mdtree):
    evil = "\x1b[2J\x07cold"
    saved = dataclasses.replace(
        find_tree(NAME),
        classes=(evil,),
        tree=Leaf(answer=evil, counts={evil: 1.0}),
        provenance={evil: evil},
        task=evil,
        components=(),
    )
    write_tree(tmp_path / "evil.json", saved)
    shown = mdtree("tree", "show", tmp_path / "evil.json")
    assert shown.code == 0
    assert "\\x1b[2J\\x07cold" in shown.out
    assert all(c.isprintable() or c == "\n" for c in shown.out)


def test_a_fitted_tree_names_its_rows_and_its_prior(small_table, tmp_path, mdtree):
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    call = ("fit", small_table, "--task", "temperature", "--out")
    assert mdtree(*call, first).code == mdtree(*call, second, "--prior", first).code == 0
    provenance = read_tree(second).provenance
    assert (provenance["rows"], provenance["prior"]) == (small_table.name, "first.json")


def test_a_case_that_needs_wider_networks_is_left_out_unless_it_is_named(mdtree):
    zoos = ROOT / "mdtree" / "data" / "zoos"
    sides = "--train", zoos / "digits-standard-1.jsonl", "--test", zoos / "animals-standard-1.jsonl"
    ran = mdtree("evaluate", *sides, "--methods", "majority", "--json")
    assert ran.code == 0, ran.err
    assert "case data is left out: it needs networks of width 32 or more on both sides" in ran.err
    found = [case["case"] for case in json.loads(ran.out)["cases"]]
    assert "1" in found
    assert "data" not in found
    named = mdtree("evaluate", *sides, "--methods", "majority", "--cases", "data")
    assert named.code != 0
    assert "case 'data': no labelled row takes part" in named.err

"""`mdtree adapt`, as a user meets it."""

from __future__ import annotations

import dataclasses
import json

import pytest

from mdtree.adaptation import adapt
from mdtree.rows import Measured, Row, read_rows, write_rows
from mdtree.trees import read_tree, write_tree
from mdtree.trees.fit import fit_tree

HIGH, LOW = "temperature_high", "temperature_low"


def run(number, label, *, error, protocol="standard-1"):
    quantities = {
        "train_error": error,
        "connectivity": 5.0,
        "connectivity_peak": -2.0,
        "hessian_top": 20.0,
        "hessian_trace": 300.0 + number,
        "cka": 0.5,
    }
    return Row(
        format=1,
        group=f"run {number}",
        protocol=protocol,
        facts={} if label is None else {"label": label},
        quantities={name: Measured(value=value) for name, value in quantities.items()},
    )


def expected(count, **given):
    """Networks that interpolate are LOW, the others HIGH: so says the tree, and so do these."""
    return [run(n, HIGH if n % 2 else LOW, error=10.0 * (n % 2), **given) for n in range(count)]


def shifted(count):
    return [run(n, LOW, error=10.0) for n in range(count)]


@pytest.fixture
def folder(tmp_path):
    for name, method in (("tree", "posterior"), ("cart", "cart")):
        saved = fit_tree(expected(12), method=method, provenance={"data": "twelve runs"})
        write_tree(tmp_path / f"{name}.json", saved)
    return tmp_path


@pytest.fixture
def adapted(folder, mdtree):
    def call(rows, *args, tree="tree.json"):
        write_rows(folder / "own.jsonl", rows)
        where = () if tree is None else ("--tree", folder / tree)
        return mdtree("adapt", folder / "own.jsonl", *where, "--out", folder / "mine.json", *args)

    return call


def test_a_gain_is_claimed_and_the_written_tree_holds_both_populations(adapted, folder, mdtree):
    ran = adapted(shifted(9))
    assert (ran.code, ran.err) == (0, "")
    assert "\nbetter: the log loss goes from " in ran.out
    assert "tree.json (posterior, temperature, protocol standard-1, 12 groups)" in ran.out
    assert f"your runs: 9 groups (9 {LOW}), each left out once" in ran.out
    assert f"note: all groups are labelled {LOW}" in ran.out
    saved = read_tree(folder / "mine.json")
    assert saved.groups == 12 + 9
    assert [binned.counts.sum() for _, binned in saved.components] == [12 + 9] * 3
    shown = mdtree("tree", "show", folder / "mine.json").out
    for words in (
        "continues: tree.json (12 groups)",
        "own groups: 9",
        "own rows: own.jsonl",
        "data: twelve runs; and 9 own groups",
    ):
        assert words in shown


def test_no_gain_is_said_and_the_tree_is_written_all_the_same(adapted, folder):
    ran = adapted(expected(6))
    assert (ran.code, ran.err) == (0, "")
    assert "\nno gain that stands out from the noise: " in ran.out
    assert "\nbetter" not in ran.out
    assert read_tree(folder / "mine.json").groups == 12 + 6


def test_json_holds_what_python_gives(adapted, folder):
    rows = [*expected(8), *shifted(5)]
    rows = [dataclasses.replace(row, group=f"g{number}") for number, row in enumerate(rows)]
    ran = adapted(rows, "--json", "--seed", 5)
    adaptation = adapt(
        read_rows(folder / "own.jsonl"), read_tree(folder / "tree.json"), name="tree.json", seed=5
    )
    assert json.loads(ran.out) == {
        "format": 1,
        "tree": "tree.json",
        "out": str(folder / "mine.json"),
        "task": "temperature",
        "groups": 13,
        "folds": 13,
        "before": dataclasses.asdict(adaptation.before),
        "after": dataclasses.asdict(adaptation.after),
        "gain": {"log_loss": adaptation.gain, "low": adaptation.low, "high": adaptation.high},
        "chance": adaptation.chance,
        "better": adaptation.better,
        "says": adaptation.says,
        "notes": [],
        "judged": [dataclasses.asdict(group) for group in adaptation.judged],
        "warning": None,
    }


def test_the_same_seed_prints_the_same(adapted):
    rows = [run(n, HIGH if n % 3 else LOW, error=10.0) for n in range(25)]
    first, same, other = (adapted(rows, "--json", "--seed", seed).out for seed in (1, 1, 2))
    assert first == same != other


def test_without_a_name_the_tree_of_the_rows_protocol_is_taken(adapted, folder):
    ran = adapted(expected(6, protocol="paper-1"), tree=None)
    assert ran.code == 0
    assert "tree: published-cifar10-resnet18 (posterior, failure, protocol paper-1" in ran.out
    saved = read_tree(folder / "mine.json")
    assert (saved.groups, saved.protocol) == (1690 + 6, "paper-1")
    assert "MIT License" in saved.provenance["licence of the data"]


def test_rows_of_two_protocols_are_refused_until_one_is_chosen(adapted):
    both = [*expected(6), *expected(6, protocol="paper-1")]
    refused = adapted(both)
    assert refused.code == 2
    assert "choose one with --protocol" in refused.err
    assert adapted(both, "--protocol", "standard-1").code == 0


def test_a_tree_of_another_protocol_is_continued_only_with_a_loud_flag(adapted, folder, mdtree):
    rows = expected(6, protocol="paper-1")
    refused = adapted(rows)
    assert (refused.code, (folder / "mine.json").exists()) == (2, False)
    assert "add --allow-protocol-mismatch" in refused.err
    allowed = adapted(rows, "--allow-protocol-mismatch", "--json")
    assert allowed.code == 0
    assert "WARNING" in allowed.err
    assert "'standard-1'" in json.loads(allowed.out)["warning"]
    assert "WARNING" in mdtree("tree", "show", folder / "mine.json").out


@pytest.mark.parametrize(
    ("rows", "tree", "words"),
    [
        (
            shifted(3),
            "tree.json",
            "takes at least 4 rows with an answer to the task 'temperature', got 3",
        ),
        (shifted(6), "cart.json", "cart.json is a cart tree without a posterior"),
        (shifted(6), "tre.json", "neither a file nor a tree that comes with mdtree"),
        ([run(n, None, error=1.0) for n in range(6)], "tree.json", "the fact 'label' in every row"),
        ([*shifted(5), run(5, None, error=1.0)], "tree.json", "no fact 'label'"),
        ([run(n, "too_hot", error=1.0) for n in range(6)], "tree.json", "is not a failure mode"),
    ],
)
def test_what_cannot_be_judged_is_refused_and_nothing_is_written(
    rows, tree, words, adapted, folder
):
    ran = adapted(rows, tree=tree)
    assert (ran.code, ran.out, (folder / "mine.json").exists()) == (2, "", False)
    assert words in ran.err


def test_a_tree_that_cannot_be_written_has_its_exit_code(adapted, folder):
    (folder / "mine.json").mkdir()
    ran = adapted(shifted(6))
    assert (ran.code, ran.out) == (5, "")
    assert "cannot be written" in ran.err


def test_the_old_name_of_the_command_works_and_is_not_in_the_help(folder, mdtree):
    write_rows(folder / "own.jsonl", shifted(6))
    args = (folder / "own.jsonl", "--tree", folder / "tree.json", "--json", "--out")
    old = mdtree("calibrate", *args, folder / "old.json")
    new = mdtree("adapt", *args, folder / "new.json")
    assert (old.code, old.err) == (new.code, new.err) == (0, "")
    assert (folder / "old.json").read_text() == (folder / "new.json").read_text()
    assert "calibrate" not in mdtree("--help").out


def test_runs_of_two_zoos_with_the_same_names_are_all_learnt_from(tmp_path, mdtree):
    tree = fit_tree(expected(8), task="temperature", method="grown")
    write_tree(tmp_path / "tree.json", tree)
    zoos = [
        dataclasses.replace(row, facts={**row.facts, "zoo": zoo})
        for zoo in ("a", "b")
        for row in expected(4)
    ]
    for rows, groups, notes in ((zoos, 8, ""), (expected(4) + shifted(4), 4, "4 rows left out")):
        write_rows(tmp_path / "own.jsonl", rows)
        call = ("adapt", tmp_path / "own.jsonl", "--tree", tmp_path / "tree.json")
        ran = mdtree(*call, "--out", tmp_path / "mine.json", "--json")
        assert (ran.code, json.loads(ran.out)["groups"]) == (0, groups)
        assert notes in ran.err
        assert ("left out" in ran.err) == bool(notes)

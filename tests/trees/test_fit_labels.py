"""Labels that a person gave, and rows of another protocol."""

from __future__ import annotations

import json

import pytest

from mdtree.exceptions import MdtreeError, ProtocolError, RowsError, TreeError
from mdtree.rows import Measured, Row, rows_from_csv, write_rows
from mdtree.trees.examples import labelled
from mdtree.trees.fit import fit_tree


def row(name, *, error=0.0, connectivity=0.0, protocol="paper-1", **facts):
    return Row(
        format=1,
        group=name,
        protocol=protocol,
        facts=facts,
        quantities={
            "train_error": Measured(value=error),
            "connectivity": Measured(value=connectivity),
        },
    )


def own_runs(protocol="paper-1"):
    """Six runs that are no grid: those that interpolate were labelled cold, the others hot."""
    return [
        row(
            f"run {n}",
            error=10.0 * (n % 2),
            connectivity=5.0 * (n % 2),
            protocol=protocol,
            label=mode,
        )
        for n, mode in enumerate(["temperature_low", "temperature_high"] * 3)
    ]


@pytest.mark.parametrize(
    ("task", "answers"),
    [
        ("failure", ["temperature_low", "model_small", "none"]),
        ("temperature", ["temperature_low"]),
        ("width", ["temperature", "model_small"]),
        ("data", ["temperature"]),
    ],
)
def test_a_label_answers_the_tasks_that_ask_for_it(task, answers):
    rows = [row(label, label=label) for label in ("temperature_low", "model_small", "none")]
    assert labelled(rows, task)[1] == answers


def test_own_runs_that_are_no_grid_continue_a_tree():
    first = fit_tree(own_runs(), task="temperature")
    second = fit_tree(own_runs(), task="temperature", prior=first)
    assert (first.groups, second.groups) == (6, 12)
    (_, binned), *_ = second.components
    assert binned.counts.sum() == 12


def test_an_unknown_label_is_refused_with_the_nearest_failure_mode():
    with pytest.raises(TreeError, match="did you mean 'temperature_low'"):
        labelled([row("a", label="temperature_lo")], "temperature")


def test_a_label_that_the_grid_contradicts_is_refused():
    """The larger batch is better, so the temperature of the smaller one is too high, not low."""
    rows = [
        row("small batch", batch_size=16, test_accuracy=70, label="temperature_low"),
        row("large batch", batch_size=64, test_accuracy=90, label="none"),
    ]
    with pytest.raises(
        TreeError, match="'small batch' has the label 'temperature_low', but the grid"
    ):
        labelled(rows, "temperature")
    agreeing = [row("small batch", batch_size=16, test_accuracy=70, label="temperature_high")]
    assert labelled([*agreeing, rows[1]], "temperature")[1] == ["temperature_high"]


def test_rows_half_with_labels_are_refused_unless_a_grid_labels_the_rest():
    with pytest.raises(TreeError, match="1 of 2 rows have no fact 'label'"):
        labelled([row("a", label="none"), row("b")], "failure")
    with pytest.raises(RowsError):
        labelled([row("a"), row("b")], "failure")
    grid = [
        row("a", batch_size=16, test_accuracy=70, label="temperature_high"),
        row("b", batch_size=64, test_accuracy=90),
    ]
    assert labelled(grid, "failure")[1] == ["temperature_high", "none"]


def test_a_label_must_be_a_word(tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("group,train_error,label\na,1,temperature_low\nb,2,\n")
    first, second = rows_from_csv(table, protocol="paper-1").rows
    assert (first.facts, second.facts) == ({"label": "temperature_low"}, {})
    with pytest.raises(MdtreeError, match="not a failure mode"):
        labelled([row("a", label=3)], "failure")


def test_rows_of_another_protocol_continue_a_tree_only_with_a_loud_flag(tmp_path, mdtree):
    ours, theirs = tmp_path / "ours.jsonl", tmp_path / "theirs.jsonl"
    write_rows(ours, own_runs("standard-1"))
    write_rows(theirs, own_runs("paper-1"))
    prior, out = tmp_path / "prior.json", tmp_path / "tree.json"
    fit = ("fit", ours, "--task", "temperature", "--out", out)
    assert mdtree("fit", theirs, "--task", "temperature", "--out", prior).code == 0

    refused = mdtree(*fit, "--prior", prior)
    assert (refused.code, out.exists()) == (2, False)
    assert "'paper-1'" in refused.err
    assert "'standard-1'" in refused.err

    allowed = mdtree(*fit, "--prior", prior, "--allow-protocol-mismatch", "--json")
    assert allowed.code == 0
    assert "WARNING" in allowed.err
    assert "'paper-1'" in json.loads(allowed.out)["warning"]
    assert "WARNING" in mdtree("tree", "show", out).out

    again = mdtree(
        "fit", ours, "--task", "temperature", "--prior", out, "--out", tmp_path / "x.json"
    )
    assert (again.code, "WARNING" in again.err) == (0, True)


def test_evaluation_compares_protocols_only_with_a_loud_flag(published_table, tmp_path, mdtree):
    rows = rows_from_csv(published_table, protocol="standard-1").rows
    other = tmp_path / "other.jsonl"
    write_rows(other, rows)
    call = ("evaluate", "--train", published_table, "--test", other, "--cases", "few")
    refused = mdtree(*call)
    assert refused.code == 2
    assert "--allow-protocol-mismatch" in refused.err
    allowed = mdtree(*call, "--methods", "no_fit", "--allow-protocol-mismatch", "--json")
    assert allowed.code == 0
    assert "WARNING" in allowed.err
    assert json.loads(allowed.out)["protocols"] == ["paper-1", "standard-1"]


def test_a_prior_of_another_protocol_is_refused_in_python_too():
    prior = fit_tree(own_runs("paper-1"), task="temperature")
    with pytest.raises(ProtocolError):
        fit_tree(own_runs("standard-1"), task="temperature", prior=prior)

"""A run goes on where an earlier one stopped, and measures again what has changed."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from mdtree.landscape import ComputeCost
from mdtree.metrics import METRICS, Metric, MetricResult
from mdtree.rows import Measured, Missing
from tests.support.valleys import copy_of
from tests.support.zoos import change_recipe, lines_of, rows_of

pytestmark = pytest.mark.usefixtures("error_rates_only")


def on_arrays(zoo):
    np.savez(zoo / "train.npz", x=np.ones((4, 1, 8, 8)), y=np.arange(4))
    change_recipe(zoo, data={"source": "tensors", "train": "train.npz"})


def counts(ran):
    """Read `2 measured, 0 already there, 1 failed` from the last line."""
    words = ran.out.splitlines()[-1].split()
    return tuple(int(words[words.index(word) - 1]) for word in ("measured,", "already", "failed;"))


def test_a_second_run_measures_nothing_and_leaves_the_file_as_it_is(mdtree, zoo):
    assert counts(mdtree("measure", zoo)) == (2, 0, 0)
    before = (zoo / "rows.jsonl").read_bytes()
    assert counts(mdtree("measure", zoo)) == (0, 2, 0)
    assert (zoo / "rows.jsonl").read_bytes() == before


def weights(zoo):
    file = zoo / "hot" / "seed-0.safetensors"
    tensors = copy_of(load_file(file))
    tensors["9.bias"] = tensors["9.bias"] + 1e-3
    save_file(tensors, file)


def one_more_member(zoo):
    save_file(load_file(zoo / "hot" / "seed-0.safetensors"), zoo / "hot" / "seed-5.safetensors")


def one_member_less(zoo):
    (zoo / "hot" / "seed-0.safetensors").unlink()


def another_name(zoo):
    (zoo / "hot" / "seed-0.safetensors").rename(zoo / "hot" / "seed-8.safetensors")


def data(zoo):
    np.savez(zoo / "train.npz", x=np.ones((4, 1, 8, 8)), y=np.arange(4) + 1)


def comment(zoo):
    text = (zoo / "mdtree.yaml").read_text()
    (zoo / "mdtree.yaml").write_text("# a comment\n" + text + "format: 1  # which is the default\n")


def order_of_keys(zoo):
    content = yaml.safe_load((zoo / "mdtree.yaml").read_text())
    reverse = dict(reversed(content.items()))
    (zoo / "mdtree.yaml").write_text(yaml.safe_dump(reverse, sort_keys=False))


def same_bytes(zoo):
    for file in (zoo / "train.npz", zoo / "hot" / "seed-0.safetensors"):
        content = file.read_bytes()
        file.unlink()
        file.write_bytes(content)


@pytest.mark.parametrize(
    ("touch", "args", "expected"),
    [
        (weights, [], (1, 1, 0)),
        (one_more_member, [], (1, 1, 0)),
        (one_member_less, [], (1, 1, 0)),
        (another_name, [], (1, 1, 0)),
        (data, [], (2, 0, 0)),
        (lambda zoo: change_recipe(zoo, batch_size=3), [], (2, 0, 0)),
        (lambda zoo: change_recipe(zoo, facts={"epochs": 9}), [], (2, 0, 0)),
        (lambda zoo: change_recipe(zoo, loss={"factory": "cross_entropy"}), [], (0, 2, 0)),
        (comment, [], (0, 2, 0)),
        (order_of_keys, [], (0, 2, 0)),
        (same_bytes, [], (0, 2, 0)),
        (lambda zoo: None, ["--seed", 1], (2, 0, 0)),
        (lambda zoo: None, ["--fact", "epochs=9"], (2, 0, 0)),
        (lambda zoo: None, ["--protocol", "paper-1"], (2, 0, 0)),
        (lambda zoo: None, ["--workers", 2], (0, 2, 0)),
    ],
)
def test_changed_inputs_are_measured_again_and_nothing_else(mdtree, zoo, touch, args, expected):
    on_arrays(zoo)
    assert counts(mdtree("measure", zoo)) == (2, 0, 0)
    touch(zoo)

    assert counts(mdtree("measure", zoo, *args)) == expected
    assert counts(mdtree("measure", zoo, *args)) == (0, 2, 0)
    assert len(rows_of(zoo / "rows.jsonl")) == 2


def test_the_row_of_changed_inputs_replaces_the_old_one(mdtree, zoo):
    mdtree("measure", zoo)
    old = rows_of(zoo / "rows.jsonl")["hot"]
    weights(zoo)
    mdtree("measure", zoo)

    assert len((zoo / "rows.jsonl").read_text().splitlines()) == 2
    assert rows_of(zoo / "rows.jsonl")["hot"].quantities != old.quantities


def test_a_group_that_failed_is_tried_again_until_it_is_mended(mdtree, zoo):
    file = zoo / "hot" / "seed-0.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[:-9])
    assert counts(mdtree("measure", zoo)) == (1, 0, 1)
    assert counts(mdtree("measure", zoo)) == (0, 1, 1)

    file.write_bytes(whole)
    ran = mdtree("measure", zoo)
    assert (counts(ran), ran.code) == ((1, 1, 0), 0)
    assert rows_of(zoo / "rows.jsonl")["hot"].failure is None


SEVEN = ComputeCost(forward=7)
FOUND = MetricResult({"cka": Measured(value=0.25)})


def another_metric(compute):
    return Metric(name="second", quantities=("cka",), compute=compute, cost=lambda work: SEVEN)


def test_a_row_with_fewer_metrics_is_extended_and_not_measured_again(mdtree, zoo, monkeypatch):
    mdtree("measure", zoo)
    before = rows_of(zoo / "rows.jsonl")
    second = another_metric(lambda subject: FOUND)
    monkeypatch.setitem(METRICS, "second", second)

    plan = json.loads(mdtree("measure", zoo, "--dry-run", "--json").out)["groups"]
    assert [(g["state"], g["metrics"], g["forward_passes"]) for g in plan] == [
        ("more metrics", ["second"], 7)
    ] * 2
    assert counts(mdtree("measure", zoo)) == (2, 0, 0)
    assert counts(mdtree("measure", zoo)) == (0, 2, 0)
    for group, row in rows_of(zoo / "rows.jsonl").items():
        assert row.quantities == {**before[group].quantities, "cka": Measured(value=0.25)}


def test_a_metric_that_fails_costs_no_more_than_itself(mdtree, zoo, monkeypatch):
    mdtree("measure", zoo)
    before = rows_of(zoo / "rows.jsonl")

    def fail(subject):
        raise RuntimeError("out of luck")

    monkeypatch.setitem(METRICS, "second", another_metric(fail))
    assert counts(mdtree("measure", zoo)) == (0, 0, 2)
    for group, row in rows_of(zoo / "rows.jsonl").items():
        assert before[group].quantities.items() <= row.quantities.items()
        assert isinstance(row.quantities["cka"], Missing)

    ran = json.loads(mdtree("measure", zoo, "--dry-run", "--json").out)
    assert [(g["state"], g["metrics"]) for g in ran["groups"]] == [
        ("failed before", ["second"])
    ] * 2
    second = another_metric(lambda subject: FOUND)
    monkeypatch.setitem(METRICS, "second", second)
    mdtree("measure", zoo)
    for group, row in rows_of(zoo / "rows.jsonl").items():
        assert row.failure is None
        assert row.quantities == {**before[group].quantities, "cka": Measured(value=0.25)}


WRONG = ("--model", "cnn", "--model-arg", "width=3", "--data", "digits")


def kept(zoo):
    return (zoo / "rows.jsonl").read_bytes()


def test_a_run_with_the_wrong_network_costs_no_row_and_is_told(mdtree, zoo):
    mdtree("measure", zoo)
    before = rows_of(zoo / "rows.jsonl")

    ran = mdtree("measure", zoo, *WRONG)

    assert (counts(ran), ran.code) == ((0, 0, 2), 1)
    assert "failed hot: " in ran.err
    content = json.loads(mdtree("measure", zoo, *WRONG, "--json").out)
    assert [entry["group"] for entry in content["failed"]] == ["cold", "hot"]
    for group, row in rows_of(zoo / "rows.jsonl").items():
        assert row.failure.kind == "MismatchError"
        assert replace(row, failure=None) == before[group]
    assert len(kept(zoo).splitlines()) == 4


def test_what_failed_is_tried_again_and_what_was_measured_is_not(mdtree, zoo):
    mdtree("measure", zoo)
    before = kept(zoo)
    mdtree("measure", zoo, *WRONG)

    def states(*args):
        plan = json.loads(mdtree("measure", zoo, *args, "--dry-run", "--json").out)
        return [group["state"] for group in plan["groups"]]

    assert states() == ["measured"] * 2
    assert (
        states("--model", "cnn", "--data", "digits", "--model-arg", "width=2")
        == ["failed before"] * 2
    )
    assert (zoo / "rows.jsonl.failures").exists()
    ran = mdtree("measure", zoo)
    assert (counts(ran), ran.code, ran.err) == ((0, 2, 0), 0, "")
    assert kept(zoo) == before  # with what was measured the failure is past
    assert not (zoo / "rows.jsonl.failures").exists()


def test_a_later_measurement_replaces_the_earlier_one_and_the_failure(mdtree, zoo):
    mdtree("measure", zoo)
    mdtree("measure", zoo, *WRONG)
    weights(zoo)
    mdtree("measure", zoo, "--group", "hot")
    assert len(kept(zoo).splitlines()) == 3
    assert {group: row.failure is None for group, row in rows_of(zoo / "rows.jsonl").items()} == {
        "cold": False,
        "hot": True,
    }


def test_more_metrics_are_added_to_a_row_behind_which_an_attempt_failed(mdtree, zoo, monkeypatch):
    mdtree("measure", zoo)
    before = rows_of(zoo / "rows.jsonl")
    mdtree("measure", zoo, *WRONG)
    monkeypatch.setitem(METRICS, "second", another_metric(lambda subject: FOUND))

    assert counts(mdtree("measure", zoo)) == (2, 0, 0)

    assert len(kept(zoo).splitlines()) == 2
    for group, row in rows_of(zoo / "rows.jsonl").items():
        assert row.failure is None
        assert row.quantities == {**before[group].quantities, "cka": Measured(value=0.25)}


def test_an_unfinished_row_is_cut_off_and_measured_again(mdtree, zoo):
    mdtree("measure", zoo)
    file = zoo / "rows.jsonl"
    whole = lines_of(file)
    first, second = file.read_bytes().splitlines(keepends=True)
    for kept in (1, len(second) // 2, len(second) - 2):
        file.write_bytes(first + second[:kept])
        assert counts(mdtree("measure", zoo)) == (1, 1, 0)
        assert lines_of(file) == whole


def test_a_damaged_line_in_the_middle_is_told_and_moved_aside(mdtree, zoo):
    mdtree("measure", zoo)
    file = zoo / "rows.jsonl"
    whole = lines_of(file)
    first, second = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(first[:30] + b"\n" + second)

    ran = mdtree("measure", zoo, "--json")

    content = json.loads(ran.out)
    assert (ran.code, content["measured"], content["already"]) == (0, 1, 1)
    assert [line["line"] for line in content["damaged"]] == [1]
    assert sorted(map(str, lines_of(file))) == sorted(map(str, whole))
    assert (zoo / "rows.jsonl.damaged").read_bytes() == first[:30] + b"\n"

    file.write_bytes(b"{}\n" + second)
    ran = mdtree("measure", zoo)
    assert "line 1 was not a row" in ran.err
    assert f"moved to {file}.damaged" in ran.err


def test_numbers_are_the_same_whenever_they_are_measured(mdtree, zoo):
    mdtree("measure", zoo, "--out", zoo / "one.jsonl")
    torch.manual_seed(77)
    mdtree("measure", zoo, "--out", zoo / "two.jsonl")
    assert lines_of(zoo / "one.jsonl") == lines_of(zoo / "two.jsonl")


def test_a_quantity_that_was_not_asked_for_is_added_later(mdtree, zoo):
    assert counts(mdtree("measure", zoo, "--quantities", "train_error")) == (2, 0, 0)
    for row in rows_of(zoo / "rows.jsonl").values():
        assert row.quantities.keys() == {"train_error"}
    assert counts(mdtree("measure", zoo, "--quantities", "train_error")) == (0, 2, 0)

    assert counts(mdtree("measure", zoo)) == (2, 0, 0)
    assert counts(mdtree("measure", zoo)) == (0, 2, 0)
    for row in rows_of(zoo / "rows.jsonl").values():
        assert row.quantities.keys() >= {"train_error", "test_error", "train_loss"}
        assert row.provenance.metrics == ("error_rate",)


def test_what_earlier_versions_did_not_measure_with_a_metric_is_added(mdtree, zoo):
    """They measured the error of chance with `predictions`."""
    on_arrays(zoo)
    args = ("measure", zoo, "--metrics", "error_rate,similarity")
    assert counts(mdtree(*args)) == (2, 0, 0)
    file = zoo / "rows.jsonl"
    whole, lines = rows_of(file), [json.loads(line) for line in file.read_text().splitlines()]
    for line in lines:
        del line["quantities"]["chance_error"], line["quantities"]["chance_loss"]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))

    assert counts(mdtree(*args)) == (2, 0, 0)
    assert {n: row.quantities for n, row in rows_of(file).items()} == {
        n: row.quantities for n, row in whole.items()
    }
    assert counts(mdtree(*args)) == (0, 2, 0)


def test_a_quantity_of_no_such_name_is_told(mdtree, zoo):
    ran = mdtree("measure", zoo, "--quantities", "train_eror")
    assert ran.code == 2
    assert "quantity 'train_eror' is unknown" in ran.err
    assert "train_error" in ran.err


def test_facts_that_change_no_number_are_as_they_are_told_now(mdtree, zoo):
    assert counts(mdtree("measure", zoo)) == (2, 0, 0)
    before = rows_of(zoo / "rows.jsonl")
    told = ("--fact", "target_accuracy=90", "--fact", "late_loss_drop=7")
    assert counts(mdtree("measure", zoo, *told)) == (0, 2, 0)
    after = rows_of(zoo / "rows.jsonl")
    for group, one in before.items():
        other = after[group]
        assert other.facts == {**one.facts, "target_accuracy": 90, "late_loss_drop": 7}
        assert replace(other, facts=one.facts) == one
    assert counts(mdtree("measure", zoo)) == (0, 2, 0)
    assert rows_of(zoo / "rows.jsonl") == before

"""Rows from files alone: weights, settings and a log, where there is no recipe."""

from __future__ import annotations

import json
import math

import pytest
import torch

from mdtree import diagnose
from mdtree.diagnosis import with_facts
from mdtree.measurement import make_request, rows_from_files
from mdtree.models import mlp
from mdtree.recipes import NO_RECIPE
from mdtree.rows import Measured
from mdtree.trees import FEATURES
from mdtree.trees.bundled import find_tree
from mdtree.trees.feature_sets import known_from_files

HISTORY = "epoch,step,train_loss,val_loss,val_acc\n" + "".join(
    f"{epoch},{10 * epoch},{1 / epoch},{1.5 / epoch},{1 - 0.5 / epoch}\n" for epoch in range(1, 6)
)


def save(path, seed, *, classes=3):
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    torch.save(mlp(inputs=5, width=4, classes=classes).state_dict(), path)


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    for epoch in (1, 5):
        save(folder / f"epoch_{epoch}.pt", epoch)
    (folder / "history.csv").write_text(HISTORY)
    (folder / "args.json").write_text('{"lr": 0.1, "batch_size": 20}')
    return folder


def rows(folder, **how):
    return rows_from_files(make_request(folder, recipe=NO_RECIPE, **how))


def value(row, name):
    return row.quantities[name].value


def test_the_log_and_the_weights_tell_quantities(run):
    (row,) = rows(run)
    assert (row.group, row.failure, row.provenance) == ("run", None, None)
    assert value(row, "train_loss") == pytest.approx(0.2)
    assert value(row, "test_loss") == pytest.approx(0.3)
    assert value(row, "test_error") == pytest.approx(10.0)
    assert value(row, "chance_error") == pytest.approx(200 / 3)
    assert value(row, "chance_loss") == pytest.approx(math.log(3))
    assert isinstance(row.quantities["stable_rank"], Measured)
    assert "train_error" not in row.quantities


def test_facts_come_from_settings_log_and_weights(run):
    (row,) = rows(run)
    assert row.facts == {
        "learning_rate": 0.1,
        "batch_size": 20,
        "parameters": 5 * 4 + 4 + 4 * 3 + 3,
        "conv_parameters": 0,
        "data_amount": 200,  # 10 steps of 20 items in an epoch
        "steps": 50,
        "late_accuracy_gain": 10.8,  # from 79.2, between the second and the third of five epochs
        "late_loss_drop": 52.0,
    }


def test_the_number_of_items_is_that_of_settings_before_it_is_estimated(run):
    (run / "args.json").write_text('{"lr": 0.1, "batch_size": 20, "num_train_samples": 205}')
    (row,) = rows(run)
    assert row.facts["data_amount"] == 205


@pytest.mark.parametrize(
    ("steps", "batch", "told"),
    [
        (15, 4, {"data_amount": 60}),  # of 60 items, 15 batches of 4
        (4, 16, {"data_amount_at_most": 79}),  # 64 would be wrong: the last batch holds 12
        (1, 64, {"data_amount_at_most": 127}),
    ],
)
def test_few_steps_of_an_epoch_tell_only_how_many_items_there_can_be(
    mdtree, run, steps, batch, told
):
    (run / "args.json").write_text(json.dumps({"lr": 0.1, "batch_size": batch}))
    lines = [f"{epoch},{epoch * steps},0.5" for epoch in range(1, 6)]
    (run / "history.csv").write_text("\n".join(["epoch,step,val_acc", *lines]))
    (row,) = rows(run)
    assert {name: row.facts[name] for name in row.facts if "amount" in name} == told
    ran = mdtree("diagnose", run)
    (name,) = told
    (line,) = (line for line in ran.err.splitlines() if line.startswith(name))
    assert line.split()[1] == str(told[name])
    assert f"history.csv: batch size x steps of an epoch ({steps}), " in line
    assert ("too few for an estimate" in line) == (steps < 10)


def test_the_best_checkpoint_has_the_numbers_of_that_time(run):
    lines = HISTORY.splitlines()
    (run / "history.csv").write_text("\n".join([*lines[:-1], "5,50,0.1,9,0.2"]))
    (row,) = rows(run)
    assert value(row, "test_error") == pytest.approx(80)
    save(run / "best.pt", 4)
    (row,) = rows(run, steps="best")
    assert value(row, "test_error") == pytest.approx(12.5)
    assert "steps" not in row.facts


def test_runs_with_other_seeds_are_averaged(run, tmp_path):
    other = tmp_path / "other"
    save(other / "epoch_5.pt", 7)
    (other / "history.csv").write_text(HISTORY.replace("0.9\n", "0.8\n"))
    (row,) = rows(run, others=[other])
    error = row.quantities["test_error"]
    assert (error.value, error.stderr) == (pytest.approx(15), pytest.approx(5))


def test_a_run_that_diverged_is_said_to_have(run):
    (run / "history.csv").write_text(HISTORY + "6,60,nan,nan,0.3\n")
    (verdict,) = diagnose(run)
    assert verdict.mode == "temperature_high"
    assert "the last training loss that was logged is NaN or infinite" in str(verdict)


def test_weights_alone_are_enough_for_wide_sets(tmp_path):
    save(tmp_path / "run" / "model.pt", 0)
    (row,) = rows(tmp_path / "run")
    assert row.facts == {"parameters": 39, "conv_parameters": 0}
    (verdict,) = diagnose(tmp_path / "run")
    assert sum(verdict.probabilities.values()) == pytest.approx(1)
    assert verdict.gains == ()  # relative to a test error that is not known


@pytest.mark.parametrize(
    ("config", "error"),
    [
        ({"id2label": {str(n): f"L{n}" for n in range(4)}}, 75.0),
        ({"model_type": "gpt2"}, None),
        ({"id2label": {"0": "only"}}, None),
    ],
    ids=["labels", "no labels", "one label"],
)
def test_the_config_tells_the_classes(run, config, error):
    (run / "config.json").write_text(json.dumps(config))
    (row,) = rows(run)
    chance = row.quantities["chance_error"]
    assert getattr(chance, "value", None) == error
    if error is None:
        assert "--fact classes=10" in chance.missing
        told = with_facts(row, {"classes": 4})
        assert value(told, "chance_error") == pytest.approx(75)
        assert value(told, "chance_loss") == pytest.approx(math.log(4))
        for wrong in (1, True, "four"):
            assert with_facts(row, {"classes": wrong}).quantities["chance_error"] == chance


def test_the_command_says_where_the_answer_comes_from(mdtree, run):
    ran = mdtree("diagnose", run)
    assert ran.code == 0, ran.err
    assert "no recipe: a first answer from the weights and from what the trainer logged" in ran.err
    assert ["learning_rate", "0.1", "args.json"] in [line.split() for line in ran.err.splitlines()]
    assert "from files alone; mean over" in ran.out
    assert not (run / "rows.jsonl").exists()
    told = mdtree("diagnose", run, "--fact", "learning_rate=0.5", "--json")
    assert told.code == 0, told.err


@pytest.mark.parametrize(("rate", "told"), [(0.1, 1), (0.2, 0)])
def test_runs_with_the_same_settings_may_be_seeds_of_one_training(mdtree, tmp_path, rate, told):
    for name in ("a", "b", "c"):
        save(tmp_path / "out" / name / "model.pt", ord(name))
        settings = {"lr": {"a": 0.1, "b": rate, "c": 0.3}[name], "epochs": 5}
        (tmp_path / "out" / name / "args.json").write_text(json.dumps(settings))
    ran = mdtree("diagnose", tmp_path / "out")
    assert ran.code == 0, ran.err
    assert ran.err.count("a and b have the same settings, as far as they were") == told
    assert "c have the same settings" not in ran.err


def test_what_was_found_is_listed_for_three_groups_and_the_rest_is_told(mdtree, tmp_path):
    for number in range(5):
        save(tmp_path / "out" / f"g{number}" / "model.pt", number)
        (tmp_path / "out" / f"g{number}" / "args.json").write_text(f'{{"lr": 0.{number + 1}}}')
    ran = mdtree("diagnose", tmp_path / "out")
    assert ran.err.count("found for g") == 3
    assert ran.err.count("what was found for other groups: --group NAME shows it") == 1
    one = mdtree("diagnose", tmp_path / "out", "--group", "g4")
    assert "found for g4" in one.err


def test_python_says_the_same_as_the_command(mdtree, run):
    (verdict,) = diagnose(run)
    (printed,) = json.loads(mdtree("diagnose", run, "--json").out)["verdicts"]
    assert verdict.probabilities == pytest.approx(printed["probabilities"])


def test_a_folder_without_weights_is_an_error(mdtree, tmp_path):
    (tmp_path / "history.csv").write_text(HISTORY)
    ran = mdtree("diagnose", tmp_path)
    assert (ran.code, ran.out) == (2, "")
    assert "holds no weights files" in ran.err


def test_what_files_tell_is_a_part_of_what_the_tree_asks():
    asked = find_tree("general-standard-1").features
    known = {name for name in asked if known_from_files(name)}
    assert {"test_error_share", "log_learning_rate", "stable_rank"} <= known
    assert not {"train_error_share", "error_gap", "log_hessian_top", "cka"} & known
    assert all(known_from_files(name) for name in FEATURES if name.startswith("log_batch"))


def test_weights_that_are_not_numbers_are_a_verdict(run):
    weights = torch.load(run / "epoch_5.pt")
    next(iter(weights.values()))[0] = float("nan")
    torch.save(weights, run / "epoch_5.pt")
    (verdict,) = diagnose(run)
    assert (verdict.mode, verdict.probability) == ("temperature_high", 1)


def test_numbers_beyond_all_sense_are_no_facts(run):
    (run / "history.csv").write_text("epoch,step,val_acc\n1,1,0.5\n2,1e308,0.6\n")
    (row,) = rows(run)
    assert "data_amount" not in row.facts

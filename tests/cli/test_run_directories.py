"""Run directories are measured as trainers leave them: one step of a run, facts from its files."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import torch

from mdtree import diagnose
from mdtree.exceptions import MdtreeError, RowsError
from mdtree.models import mlp
from mdtree.rows import read_rows
from mdtree.runtime.torchvision import usable
from tests.support.zoos import write_zoo

TRAINER = Path(__file__).parents[1] / "data" / "runs" / "trainer"
MODEL = ("--model", "mlp", "--model-arg", "inputs=64", "--model-arg", "width=4")
DATA = ("--data", "digits", "--data-arg", "amount=40")
MEASURE = (*MODEL, *DATA, "--metrics", "error_rate")


def save(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    torch.save(mlp(inputs=64, width=4).state_dict(), path)


@pytest.fixture
def run(tmp_path):
    """A plain loop that kept three epochs, its settings and its history."""
    for epoch in (1, 2, 10):
        save(tmp_path / "run" / f"epoch_{epoch}.pt", epoch)
    (tmp_path / "run" / "args.json").write_text('{"lr": 0.1, "batch_size": 32}')
    (tmp_path / "run" / "history.csv").write_text("epoch,val_acc\n1,0.2\n2,0.4\n10,0.3\n")
    return tmp_path / "run"


def rows(folder, *others):
    """Read the rows of a directory, or those of several that are one group."""
    if not others:
        return {row.group: row for row in read_rows(folder / "rows.jsonl")}
    names = "+".join(sorted(path.name for path in (folder, *others)))
    return {row.group: row for row in read_rows(folder.parent / f"{names}.rows.jsonl")}


def test_the_last_epoch_is_measured_and_the_facts_are_told(mdtree, run):
    ran = mdtree("measure", run, *MEASURE)
    assert ran.code == 0, ran.err
    row = rows(run)["run"]
    assert list(row.provenance.weights) == ["epoch_10.pt"]
    assert row.provenance.notes[0] == "last of 3 checkpoints that one run saved"
    assert (row.facts["learning_rate"], row.facts["batch_size"]) == (0.1, 32)
    assert "run: last of 3 checkpoints that one run saved" in ran.err
    lines = [line.split() for line in ran.err.splitlines()]
    assert ["learning_rate", "0.1", "args.json"] in lines
    assert ["history", "accuracy", "history.csv"] in lines
    again = mdtree("measure", run, *MEASURE)
    assert "0 measured, 1 already there" in again.out


def test_what_the_user_says_wins(mdtree, run):
    assert mdtree("measure", run, *MEASURE, "--fact", "learning_rate=0.5").code == 0
    assert rows(run)["run"].facts["learning_rate"] == 0.5


def test_each_step_has_a_row(mdtree, run):
    assert mdtree("measure", run, *MEASURE, "--steps", "all").code == 0
    assert list(rows(run)) == ["run@epoch-1", "run@epoch-2", "run@epoch-10"]


def test_the_best_is_that_of_the_history(mdtree, run):
    assert mdtree("measure", run, *MEASURE, "--steps", "best").code == 0
    assert list(rows(run)["run"].provenance.weights) == ["epoch_2.pt"]


def test_runs_that_differ_by_seed_are_one_group(mdtree, run, tmp_path):
    save(tmp_path / "run-b" / "epoch_10.pt", 20)
    save(tmp_path / "run-b" / "epoch_11.pt", 21)
    shutil.copy(run / "args.json", tmp_path / "run-b")
    ran = mdtree("measure", run, tmp_path / "run-b", *MEASURE)
    assert ran.code == 0, ran.err
    (row,) = rows(run, tmp_path / "run-b").values()
    assert row.group == "run+run-b"
    assert list(row.provenance.weights) == ["run/epoch_10.pt", "run-b/epoch_11.pt"]
    assert row.facts["learning_rate"] == 0.1


def test_rows_of_several_directories_are_compared_by_the_name_of_their_parent(mdtree, tmp_path):
    for seed, name in enumerate(("cold/run-0", "cold/run-1", "warm/run-0", "warm/run-1")):
        save(tmp_path / name / "weights.pt", seed)
    for side in (tmp_path / "cold", tmp_path / "warm"):
        assert mdtree("measure", side / "run-0", side / "run-1", *MEASURE).code == 0
    ran = mdtree("compare", tmp_path / "cold", tmp_path / "warm")
    assert (ran.code, ran.err) == (0, "")
    assert "\nbefore: cold (run-0+run-1)\nafter:  warm (run-0+run-1)\n" in ran.out
    (tmp_path / "other").mkdir()
    lost = mdtree("compare", tmp_path / "cold", tmp_path / "other")
    assert lost.code == 2
    assert f"looked for {tmp_path / 'other' / 'rows.jsonl'}" in lost.err


@pytest.mark.parametrize("name", ["s3", "rows.json"])
def test_rows_under_any_name_are_diagnosed(mdtree, run, tmp_path, name):
    assert mdtree("measure", run, *MEASURE, "--out", tmp_path / name).code == 0
    ran = mdtree("diagnose", tmp_path / name)
    assert ran.code == 0, ran.err
    assert "no recipe" not in ran.err
    assert ran.out == mdtree("diagnose", tmp_path / name, "--rows", tmp_path / "x").out


def test_runs_of_other_settings_are_doubted(mdtree, run, tmp_path):
    save(tmp_path / "run-b" / "epoch_10.pt", 20)
    (tmp_path / "run-b" / "args.json").write_text('{"lr": 0.2, "batch_size": 32}')
    ran = mdtree("measure", run, tmp_path / "run-b", *MEASURE)
    assert "learning_rate is 0.1 and 0.2: are these seeds of one configuration?" in ran.err
    (row,) = rows(run, tmp_path / "run-b").values()
    assert "learning_rate" not in row.facts


@pytest.mark.parametrize("other", ["run", "run/inner", "."])
def test_directories_that_overlap_are_refused(mdtree, run, tmp_path, monkeypatch, other):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run" / "inner").mkdir()
    ran = mdtree("measure", "run", other, *MEASURE)
    assert ran.code == 2
    assert "overlap: name directories that hold the runs of one configuration" in ran.err


def test_unknown_steps_are_refused(mdtree, run):
    ran = mdtree("measure", run, *MEASURE, "--steps", "first")
    assert ran.code == 2
    assert "steps must be last, best, all or every:N (each N-th checkpoint), got 'first'" in ran.err


def test_a_directory_of_the_trainer_needs_data_alone(mdtree, tmp_path):
    with usable():
        from transformers import BertConfig, BertForSequenceClassification
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    config = BertConfig(vocab_size=16, intermediate_size=8, max_position_embeddings=8, **sizes)
    for step in (13, 26):
        folder = tmp_path / "out" / f"checkpoint-{step}"
        torch.manual_seed(step)
        BertForSequenceClassification(config).save_pretrained(folder)
        for file in TRAINER.iterdir():
            shutil.copy(file, folder)
        torch.save({"state": {}}, folder / "optimizer.pt")
    torch.manual_seed(0)
    ids = torch.randint(0, 16, (20, 6))
    torch.save({"input_ids": ids, "labels": ids.sum(1) % 2}, tmp_path / "train.pt")
    ran = mdtree(
        "measure", tmp_path / "out", "--data", tmp_path / "train.pt", "--metrics", "error_rate",
        "--json",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    (row,) = rows(tmp_path / "out").values()
    assert row.group == "out"
    assert (row.facts["steps"], row.facts["batch_size"]) == (26, 32)
    assert json.loads(ran.out)["measured"] == 1


def test_another_accuracy_than_the_logged_one_stops_a_diagnosis(mdtree, run):
    """The networks are not trained, and the log says that the last one has 30 %."""
    (run / "history.csv").write_text("epoch,val_acc\n1,0.2\n2,0.9\n10,0.95\n")
    ran = mdtree("diagnose", run, *MODEL, *DATA)
    assert (ran.code, ran.out) == (2, "")
    assert "but the trainer logged 95.0 %" in ran.err
    assert "measuring predictions" not in ran.err
    accuracy = ran.err.rpartition("--expect ")[2].strip()
    agreed = mdtree("diagnose", run, *MODEL, *DATA, "--expect", accuracy)
    assert agreed.code == 0, agreed.err
    assert f"(expected: {accuracy} %)" in agreed.err


def test_what_the_user_expects_is_held_to_as_well(mdtree, run):
    (run / "history.csv").unlink()
    ran = mdtree("diagnose", run, *MODEL, *DATA, "--expect", "99")
    assert ran.code == 2
    assert "but you expect 99.0 %" in ran.err


def test_the_recipe_of_the_first_directory_counts_for_all(mdtree, tmp_path):
    first = write_zoo(tmp_path / "first", {"g": [0]})
    second = write_zoo(tmp_path / "second", {"g": [1]})
    (second / "mdtree.yaml").unlink()
    ran = mdtree("measure", first, second, "--metrics", "error_rate")
    assert ran.code == 0, ran.err
    assert len(rows(first, second)["g"].provenance.weights) == 2

    weights = second / "g" / "seed-1.safetensors"
    weights.rename(tmp_path / "elsewhere.safetensors")
    weights.symlink_to(tmp_path / "elsewhere.safetensors")
    ran = mdtree("measure", first, second, "--metrics", "error_rate", "--out", tmp_path / "x.jsonl")
    assert f", outside {second}" in ran.err


def test_the_best_of_a_second_directory_is_told_by_its_own_history(mdtree, run, tmp_path):
    for epoch in (1, 2):
        save(tmp_path / "other" / "checkpoints" / f"epoch_{epoch}.pt", 20 + epoch)
        save(tmp_path / "plain" / "checkpoints" / f"epoch_{epoch}.pt", 30 + epoch)
    for name in ("other", "plain"):
        (tmp_path / name / "history.csv").write_text("epoch,val_acc\n1,0.9\n2,0.4\n")
    ran = mdtree(
        "measure", tmp_path / "other", tmp_path / "plain", *MEASURE, "--steps", "best"
    )  # fmt: skip
    assert ran.code == 0, ran.err
    (row,) = rows(tmp_path / "other", tmp_path / "plain").values()
    assert [Path(name).name for name in row.provenance.weights] == ["epoch_1.pt", "epoch_1.pt"]


def test_a_dry_run_tells_the_choice(mdtree, run):
    ran = mdtree("measure", run, *MEASURE, "--dry-run")
    assert (ran.code, "run: last of 3 checkpoints that one run saved" in ran.err) == (0, True)


def test_measurements_in_a_directory_are_named_and_give_way_to_newer_weights(mdtree, run):
    assert mdtree("measure", run, *MEASURE).code == 0
    again = mdtree("diagnose", run)
    assert again.code == 0
    assert f"from the measurements in {run / 'rows.jsonl'}" in again.err
    refused = mdtree("diagnose", run, "--steps", "all")
    assert (refused.code, refused.out) == (2, "")
    assert "--steps: " in refused.err
    later = (run / "rows.jsonl").stat().st_mtime + 10
    os.utime(run / "epoch_10.pt", (later, later))
    newer = mdtree("diagnose", run)
    assert "no recipe: a first answer" in newer.err


def test_runs_that_were_measured_together_are_judged_without_their_model(mdtree, run, tmp_path):
    both = (run, tmp_path / "run-b")
    save(tmp_path / "run-b" / "epoch_10.pt", 20)
    assert mdtree("measure", *both, *MEASURE).code == 0
    again = mdtree("diagnose", *both)
    kept = tmp_path / "run+run-b.rows.jsonl"
    assert again.code == 0, again.err
    assert f"from the measurements in {kept}" in again.err
    assert "no recipe" not in again.err
    assert again.out == mdtree("diagnose", kept).out
    assert [verdict.group for verdict in diagnose(list(both))] == ["run+run-b"]
    refused = mdtree("diagnose", *both, "--expect", "50")
    assert (refused.code, "--expect: " in refused.err) == (2, True)
    later = kept.stat().st_mtime + 10
    os.utime(tmp_path / "run-b" / "epoch_10.pt", (later, later))
    assert "no recipe: a first answer" in mdtree("diagnose", *both).err


@pytest.fixture
def both(mdtree, tmp_path):
    """Two runs that were measured as one group, and others that are called alike."""
    for seed, name in enumerate(("run-0", "run-1", "x/run-1")):
        save(tmp_path / name / "weights.pt", seed)
    runs = (tmp_path / "run-0", tmp_path / "run-1")
    assert mdtree("measure", *runs, *MEASURE).code == 0
    return runs


def told(mdtree, *runs, code=0):
    """Diagnose runs from their files alone, though there are rows; return what is said."""
    ran = mdtree("diagnose", *runs)
    assert ran.code == code, ran.err
    assert "from the measurements in" not in ran.err
    return ran.err


def test_the_order_of_runs_does_not_matter(mdtree, both):
    turned = both[::-1]
    forth, back = mdtree("diagnose", *both), mdtree("diagnose", *turned)
    assert (back.code, back.out, back.err) == (0, forth.out, forth.err)
    assert diagnose(list(turned)) == diagnose(list(both))
    again = mdtree("measure", *turned, *MEASURE)
    assert "0 measured, 1 already there" in again.out
    assert mdtree("measure", *turned, *MODEL, *DATA, "--metrics", "spectrum").code == 0
    (row,) = rows(*both).values()
    assert list(row.provenance.weights) == ["run-0/weights.pt", "run-1/weights.pt"]
    assert row.provenance.metrics == ("error_rate", "spectrum")


def test_rows_under_another_name_are_judged_where_they_are_named(mdtree, both, tmp_path):
    """Of one directory and of several, in a file that holds others, too."""
    other = tmp_path / "other.jsonl"
    for runs in (both, both[:1], [tmp_path / "x" / "run-1"]):
        assert mdtree("measure", *runs, *MEASURE, "--out", other).code == 0
    for runs, group in ((both, "run-0+run-1"), (both[:1], "run-0")):
        ran = mdtree("diagnose", *runs, "--rows", other, "--json")
        assert ran.code == 0, ran.err
        assert f"from the measurements in {other}" in ran.err
        assert [each["group"] for each in json.loads(ran.out)["verdicts"]] == [group]
    weights = mdtree("diagnose", both[0] / "weights.pt", "--rows", other)
    assert f"from the measurements in {other}" in weights.err
    assert [verdict.group for verdict in diagnose(both[0], out=other)] == ["run-0"]


def test_named_rows_of_other_networks_are_refused_and_missing_ones_told(mdtree, both, tmp_path):
    other = tmp_path / "other.jsonl"
    assert mdtree("measure", both[0], *MEASURE, "--out", other).code == 0
    for runs in ([tmp_path / "x" / "run-1"], both):
        ran = mdtree("diagnose", *runs, "--rows", other)
        assert (ran.code, ran.out) == (2, "")
        assert ran.err.startswith(f"error: --rows: {other} was not read: its measurements are of")
        assert ran.err.endswith(f"to judge it all the same: mdtree diagnose {other}\n")
    with pytest.raises(RowsError, match="pass it as the source"):
        diagnose(tmp_path / "x" / "run-1", out=other)
    gone = mdtree("diagnose", both[0], "--rows", tmp_path / "gone.jsonl")
    assert gone.code == 0
    assert f"--rows: {tmp_path / 'gone.jsonl'} is not there" in gone.err


def test_the_rows_of_a_directory_are_its_own_where_they_are_named(mdtree, run):
    assert mdtree("measure", run, *MEASURE).code == 0
    for path in run.glob("*.pt"):
        path.unlink()
    ran = mdtree("diagnose", run, "--rows", run / "rows.jsonl")
    assert (ran.code, ran.out) == (0, mdtree("diagnose", run).out)
    file = run / "rows.jsonl"
    assert mdtree("diagnose", file, "--rows", file).out == ran.out
    assert [verdict.group for verdict in diagnose(file, out=file)] == ["run"]


def test_rows_of_other_runs_with_the_same_names_are_not_judged(mdtree, both, tmp_path):
    others = (both[0], tmp_path / "x" / "run-1")
    err = told(mdtree, *others)
    assert "run-0+run-1.rows.jsonl was not read: its measurements are of other networks" in err
    assert "no recipe: a first answer" in err
    with pytest.warns(UserWarning, match="of other networks than those in"):
        (verdict,) = diagnose(list(others))
    assert verdict.group == "run-0+run-1"


def test_weights_that_were_copied_back_are_other_networks(mdtree, both, tmp_path):
    """Their times are older than the rows: `cp -p` keeps them."""
    for seed, run in enumerate(both, start=10):
        save(tmp_path / "old.pt", seed)
        os.utime(tmp_path / "old.pt", (1_000_000_000, 1_000_000_000))
        shutil.copy2(tmp_path / "old.pt", run / "weights.pt")
    assert "its measurements are of other networks than those in" in told(mdtree, *both)


def test_the_rows_of_a_directory_give_way_to_weights_that_were_copied_back(mdtree, run, tmp_path):
    assert mdtree("measure", run, *MEASURE).code == 0
    save(tmp_path / "old.pt", 10)
    os.utime(tmp_path / "old.pt", (1_000_000_000, 1_000_000_000))
    shutil.copy2(tmp_path / "old.pt", run / "epoch_10.pt")
    assert "its measurements are of other networks than those in" in told(mdtree, run)


def test_runs_that_vanished_are_not_judged(mdtree, both):
    (both[1] / "weights.pt").unlink()
    assert f"there are no weights in {both[1]}" in told(mdtree, *both)
    both[1].rmdir()
    assert f"error: {both[1]} does not exist\n" in told(mdtree, *both, code=2)
    with pytest.raises(MdtreeError, match="run-1 does not exist"):
        diagnose(list(both))


def test_a_network_without_data_is_not_measured_on_other_data(mdtree, run):
    ran = mdtree("measure", run, *MODEL)
    assert ran.code == 2
    assert "--model needs --data" in ran.err


def test_a_trajectory_says_which_checkpoint_to_keep_and_draws_what_was_logged(
    mdtree, run, tmp_path
):
    page = tmp_path / "page.html"
    ran = mdtree("measure", run, *MEASURE, "--steps", "all")
    assert "\ntrajectory of run: 3 checkpoints, epoch-1 to epoch-10\n" in ran.out
    assert "\nkeep run@epoch-" in ran.out
    told = mdtree("diagnose", run / "rows.jsonl", "--html", page)
    assert ran.out[ran.out.index("trajectory of") :].strip() in told.out
    assert 'class="logged test"' in page.read_text()
    content = json.loads(mdtree("diagnose", run / "rows.jsonl", "--json").out)
    (trajectory,) = content["trajectories"]
    assert [step["at"] for step in trajectory["steps"]] == [1, 2, 10]
    assert trajectory["noise"] == "items"


def test_runs_side_by_side_are_one_trajectory_and_folders_apart_two(mdtree, run, tmp_path):
    for epoch in (1, 2):
        save(tmp_path / "run-b" / f"epoch_{epoch}.pt", 10 + epoch)
    joined = mdtree("diagnose", run, tmp_path / "run-b", "--steps", "all", "--json")
    (trajectory,) = json.loads(joined.out)["trajectories"]
    assert (trajectory["run"], len(trajectory["steps"])) == ("run+run-b", 3)
    apart = mdtree("diagnose", tmp_path, "--steps", "all", "--json")
    assert [each["run"] for each in json.loads(apart.out)["trajectories"]] == ["run", "run-b"]


def test_one_step_alone_has_no_trajectory(mdtree, run):
    ran = mdtree("diagnose", run, "--json")
    assert "trajectories" not in json.loads(ran.out)
    assert mdtree("measure", run, *MEASURE).code == 0
    assert "step" not in (rows(run)["run"].details or {})


def test_the_folder_that_lightning_makes_is_called_as_its_run(mdtree, tmp_path):
    for version in (0, 1):
        for name in ("epoch=0-step=5.ckpt", "epoch=1-step=10.ckpt"):
            save(tmp_path / f"version_{version}" / "checkpoints" / name, version)
    first, second = tmp_path / "version_0", tmp_path / "version_1"
    for paths, group in (
        ([first], "version_0"),
        ([first / "checkpoints"], "version_0"),
        ([first, second], "version_0+version_1"),
        ([first / "checkpoints", second / "checkpoints"], "version_0+version_1"),
    ):
        ran = mdtree("diagnose", *paths, "--json")
        assert [each["group"] for each in json.loads(ran.out)["verdicts"]] == [group], ran.err
    save(first / "final.pt", 3)
    ran = mdtree("diagnose", first, "--json")
    names = [each["group"] for each in json.loads(ran.out)["verdicts"]]
    assert names == ["version_0", "checkpoints"]

"""A first answer from files: what the weights and the trainer's log tell, and nothing else."""

from __future__ import annotations

import shutil

import pytest
import torch

from mdtree.measurement import make_request, rows_from_files
from mdtree.models import mlp
from mdtree.recipes import NO_RECIPE


def save(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    torch.save(mlp(inputs=64, width=16).state_dict(), path)


@pytest.fixture
def run(tmp_path):
    """Write three epochs and their history."""
    for epoch in (1, 2, 10):
        save(tmp_path / "run" / f"epoch_{epoch}.pt", epoch)
    log = "epoch,train_loss,val_acc\n1,2.0,0.2\n2,1.0,0.4\n10,0.5,0.3\n12,0.1,0.35\n"
    (tmp_path / "run" / "history.csv").write_text(log)
    return tmp_path / "run"


def rows(root, **words):
    request = make_request(root, recipe=NO_RECIPE, **words)
    return {row.group: row for row in rows_from_files(request)}


def numbers(row):
    return row.quantities["test_error"].value, row.quantities["train_loss"].value


def test_what_was_logged_up_to_the_checkpoint_counts(run):
    assert numbers(rows(run)["run"]) == (70, 0.5)
    assert numbers(rows(run, steps="best")["run"]) == (60, 1.0)
    steps = {name: numbers(row) for name, row in rows(run, steps="all").items()}
    assert steps == {"run@epoch-1": (80, 2.0), "run@epoch-2": (60, 1.0), "run@epoch-10": (70, 0.5)}


def test_a_loss_in_a_name_is_not_an_epoch(run):
    for path in run.glob("*.pt"):
        path.unlink()
    save(run / "val_loss=1.53.pt", 0)
    assert numbers(rows(run)["run"]) == (65, 0.1)


def test_the_last_checkpoint_stands_for_a_run_that_diverged_later(run):
    (run / "history.csv").write_text("epoch,train_loss\n1,2.0\n10,1.0\n11,nan\n")
    assert rows(run)["run"].failure.kind == "DivergedError"
    steps = rows(run, steps="all")
    assert {row.failure for row in steps.values()} == {None}


def test_a_run_diverges_after_the_checkpoints_that_were_saved_before(run):
    (run / "history.csv").write_text("epoch,train_loss\n1,2.0\n2,1.0\n10,nan\n")
    failures = {name: row.failure is not None for name, row in rows(run, steps="all").items()}
    assert failures == {"run@epoch-1": False, "run@epoch-2": False, "run@epoch-10": True}


def test_checkpoints_of_one_run_are_not_averaged(tmp_path):
    for number, name in enumerate(["best.pt", "0.pt", "1.pt"]):
        save(tmp_path / name, number)
    (row,) = rows(tmp_path).values()
    assert row.failure.kind == "SnapshotsError"
    assert row.quantities == {}


def test_equal_files_count_once(tmp_path):
    for seed in (0, 1):
        save(tmp_path / "a" / f"{seed}.pt", seed)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    for number in range(2, 5):
        shutil.copy(tmp_path / "b" / "1.pt", tmp_path / "b" / f"{number}.pt")
    found = rows(tmp_path)
    assert found["a"].quantities == found["b"].quantities


def test_a_link_out_of_the_directory_is_not_read(tmp_path):
    save(tmp_path / "elsewhere.pt", 0)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "model.pt").symlink_to(tmp_path / "elsewhere.pt")
    (row,) = rows(tmp_path / "run").values()
    assert row.failure.kind == "UnsafeError"


@pytest.mark.parametrize(
    ("accuracies", "error"),
    [
        ("1.0 0.9 1.0", None),  # percent at the level of chance, or shares of an easy task
        ("0.1 0.5 0.9", 10.0),  # a curve that no level of chance explains
        ("1.0 0.9 1.1", 98.9),  # no share is above 1
    ],
)
def test_an_accuracy_of_one_for_a_hundred_classes_is_not_taken_for_all(tmp_path, accuracies, error):
    run = tmp_path / "run"
    run.mkdir()
    torch.save(torch.nn.Sequential(torch.nn.Linear(8, 100)).state_dict(), run / "model.pt")
    lines = [f"{epoch},{value}" for epoch, value in enumerate(accuracies.split(), start=1)]
    (run / "history.csv").write_text("\n".join(["epoch,val_acc", *lines]))
    value = rows(run)["run"].quantities["test_error"]
    if error is None:
        assert "a share, or percent near the level of chance" in value.missing
    else:
        assert value.value == pytest.approx(error)

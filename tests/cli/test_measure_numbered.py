"""Files that only a number tells apart: seeds, epochs of one run, or nobody knows."""

from __future__ import annotations

import pytest
import torch

from mdtree.measurement import make_request, rows_from_files
from mdtree.models import cnn
from mdtree.recipes import NO_RECIPE
from tests.support.zoos import change_recipe, rows_of, write_zoo

pytestmark = pytest.mark.usefixtures("error_rates_only")


@pytest.fixture
def runs(tmp_path):
    return write_zoo(tmp_path / "runs", {"good": [0, 1]})


def network(seed):
    torch.manual_seed(seed)
    return cnn(width=2).state_dict()


def moved(weights, seed, scale):
    source = torch.Generator().manual_seed(seed)
    return {
        name: each + scale * torch.randn(each.shape, generator=source)
        if each.is_floating_point() and "running" not in name
        else each
        for name, each in weights.items()
    }


def epochs(count):
    """A walk: each epoch goes on from the one before."""
    weights = network(10)
    for epoch in range(count):
        weights = moved(weights, epoch, 0.01)
        yield weights


def write(folder, names, networks):
    folder.mkdir(parents=True, exist_ok=True)
    for name, weights in zip(names, networks, strict=True):
        torch.save(weights, folder / name)


NAMES = [f"model_{number}.pth" for number in range(1, 7)]
LOG = "epoch,train_loss\n" + "".join(f"{epoch},{1 / epoch}\n" for epoch in range(1, 7))


@pytest.mark.parametrize(
    "names",
    [NAMES, NAMES[:2], ["weights.05.pt", "weights.10.pt", "weights.15.pt"], ["1.pt", "2.pt"]],
    ids=lambda names: names[0],
)
def test_epochs_are_told_by_their_weights(mdtree, runs, names):
    write(runs / "run", names, epochs(len(names)))

    ran = mdtree("measure", runs)

    assert ran.code == 1
    said = f"failed run: {names[0]} and {names[1]} look like snapshots of one run by their weights"
    assert said in ran.err
    assert "Name the files after their seeds" in ran.err
    assert f"it takes {names[-1]}" in ran.err
    assert rows_of(runs / "rows.jsonl")["run"].failure.kind == "SnapshotsError"

    assert mdtree("measure", runs, "--steps", "last").code == 0
    assert list(rows_of(runs / "rows.jsonl")["run"].provenance.weights) == names[-1:]


def test_seeds_are_measured_without_a_word(mdtree, runs):
    write(runs / "run", NAMES, map(network, range(10, 16)))
    ran = mdtree("measure", runs)
    assert ran.code == 0
    row = rows_of(runs / "rows.jsonl")["run"]
    assert (len(row.provenance.weights), row.provenance.notes) == (6, ())


def test_seeds_of_one_beginning_are_measured_with_a_remark(mdtree, runs):
    base = network(10)
    write(runs / "run", NAMES, (moved(base, seed, 0.01) for seed in range(6)))
    assert mdtree("measure", runs).code == 0
    row = rows_of(runs / "rows.jsonl")["run"]
    (note,) = row.provenance.notes
    assert note.startswith("model_1.pth to model_6.pth may be snapshots of one run: ")
    assert "seed-0" in note
    assert "--steps last" in note
    checked = mdtree("diagnose", runs / "rows.jsonl", "--group", "run", "--checks")
    assert "model_1.pth to model_6.pth may be snapshots of one run" in " ".join(checked.out.split())


def test_what_a_name_or_a_recipe_says_is_believed(mdtree, runs):
    write(runs / "run", ["seed-1.pt", "seed-2.pt", "seed-3.pt"], epochs(3))
    assert mdtree("measure", runs).code == 0
    write(runs / "numbered", NAMES[:3], epochs(3))
    change_recipe(runs, groups=[{"name": "listed", "files": ["numbered/*.pth"]}])
    assert mdtree("measure", runs, "--group", "listed").code == 0
    assert len(rows_of(runs / "rows.jsonl")["listed"].provenance.weights) == 3


def test_a_log_that_ends_with_the_numbers_is_that_of_one_run(mdtree, runs):
    write(runs / "run", NAMES, map(network, range(10, 16)))
    (runs / "run" / "history.csv").write_text(LOG)

    ran = mdtree("measure", runs)

    assert ran.code == 0
    assert "run: last of 6 checkpoints that one run saved: the log beside them ends" in ran.err
    assert "seeds are called seed-0" in ran.err
    assert list(rows_of(runs / "rows.jsonl")["run"].provenance.weights) == NAMES[-1:]


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("run/history.csv", LOG + "".join(f"{epoch},0.1\n" for epoch in range(7, 31))),
        ("history.csv", LOG),  # of all folders
        ("run/history.csv", "epoch,train_loss\n"),
    ],
)
def test_another_log_leaves_it_to_the_weights(mdtree, runs, place, text):
    write(runs / "run", NAMES, map(network, range(10, 16)))
    (runs / place).write_text(text)
    assert mdtree("measure", runs).code == 0
    assert len(rows_of(runs / "rows.jsonl")["run"].provenance.weights) == 6


def test_optimizers_that_took_other_numbers_of_steps_tell(mdtree, runs):
    (runs / "run").mkdir()
    for number, name in enumerate(NAMES):
        state = {"state": {0: {"step": torch.tensor(100.0 * number)}}, "param_groups": []}
        torch.save({"model": network(number), "optimizer": state}, runs / "run" / name)
    ran = mdtree("measure", runs)
    assert ran.code == 1
    assert "model_1.pth (optimizer step 0) and model_2.pth (optimizer step 100)" in ran.err


def from_files(root):
    (row,) = rows_from_files(make_request(root, recipe=NO_RECIPE))
    return row


def test_without_a_recipe_the_same_holds(tmp_path):
    write(tmp_path / "seeds", NAMES, map(network, range(10, 16)))
    write(tmp_path / "run", NAMES, epochs(6))
    write(tmp_path / "tuned", NAMES, (moved(network(10), seed, 0.01) for seed in range(6)))
    write(tmp_path / "logged", NAMES, epochs(6))
    (tmp_path / "logged" / "history.csv").write_text(LOG)
    counted = ({"model": network(number), "epoch": number} for number in range(6))
    write(tmp_path / "counted", NAMES, counted)
    same = ({"model": weights, "epoch": 90} for weights in epochs(6))
    write(tmp_path / "same", NAMES, same)

    rows = {name: from_files(tmp_path / name) for name in ("seeds", "logged", "same")}
    refused = {name: from_files(tmp_path / name) for name in ("run", "tuned", "counted")}

    assert {row.failure for row in rows.values()} == {None}
    assert {row.failure.kind for row in refused.values()} == {"SnapshotsError"}
    assert "may be snapshots of one run" in refused["tuned"].failure.reason
    assert "(epoch 0)" in refused["counted"].failure.reason

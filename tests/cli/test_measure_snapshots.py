"""Checkpoints of one run are never averaged as seeds, and files that hold the same count once."""

from __future__ import annotations

import hashlib
import json
import shutil

import fsspec
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from mdtree.models import cnn
from mdtree.rows import Measured, Missing, read_rows, write_rows
from mdtree.runtime.torchvision import usable
from tests.support.zoos import change_recipe, rows_of, write_zoo

pytestmark = pytest.mark.usefixtures("error_rates_only")

SMALL = {
    "num_channels": 1,
    "embedding_size": 4,
    "hidden_sizes": [4, 8],
    "depths": [1, 1],
    "num_labels": 10,
}


def network(seed):
    torch.manual_seed(seed)
    return cnn(width=2).state_dict()


def write(path, seed, **beside):
    """Write other weights for each seed, in the form that the name calls for."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".safetensors":
        save_file(network(seed), path)
    else:
        torch.save({"state_dict": network(seed), **beside} if beside else network(seed), path)


@pytest.fixture
def runs(tmp_path):
    """One group that is a group, and room for another."""
    return write_zoo(tmp_path / "runs", {"good": [0, 1]})


def group(runs, names, seed=10):
    for number, name in enumerate(names):
        write(runs / "run" / name, seed + number)


TRAJECTORIES = [  # the last one is measured
    [f"epoch_{number}.pt" for number in range(1, 11)],
    ["best.pt", "last.pt"],
    ["epoch=0-step=2.ckpt", "epoch=1-step=4.ckpt", "last.ckpt"],
    ["checkpoint-12.pth.tar", "model_best.pth.tar", "last.pth.tar"],
    ["model_best.pth.tar", "checkpoint.pth.tar"],
    ["ckpt_epoch_10.pth", "ckpt_epoch_20.pth"],
    ["resnet18-epoch60.pth", "resnet18-epoch90.pth"],
    ["step=1000.ckpt", "step=2000.ckpt"],
    ["iter_4000.pth", "iter_8000.pth", "latest.pth"],
    ["iter_4k.pth", "iter_16k.pth"],
    ["best_model.pth", "model.pth"],
    ["net_exp_0_best.pkl", "net_exp_0_early_stopped_model.pkl", "net_exp_0.pkl"],
    ["seed_0_epoch_1.pt", "seed_0_epoch_2.pt"],
    ["epoch_1.safetensors", "epoch_2.safetensors"],
]


@pytest.mark.parametrize("names", TRAJECTORIES, ids=lambda names: names[0])
def test_one_checkpoint_of_a_run_is_measured_and_that_is_said(mdtree, runs, names):
    group(runs, names)

    ran = mdtree("measure", runs)

    assert ran.code == 0
    assert ran.err.startswith(f"run: last of {len(names)} checkpoints that one run saved\n")
    row = rows_of(runs / "rows.jsonl")["run"]
    assert list(row.provenance.weights) == names[-1:]
    assert len(row.quantities["test_error"].members) == 1
    assert row.provenance.notes == (f"last of {len(names)} checkpoints that one run saved",)
    assert counts(mdtree("measure", runs)) == "0 measured, 2 already there, 0 failed"


UNSETTLED = [  # names, and what --steps last takes of them
    (["best.pt", "seed_0.pt", "seed_1.pt"], None),
    (["best.pt", "0.pt", "1.pt"], "1.pt"),
    (["best.pt", "swa.pt"], None),
    (["val_loss=0.53.ckpt", "val_loss=0.61.ckpt"], None),
    (["model_0004999.pth", "model_final.pth"], "model_final.pth"),
    (["best.pt", "resnet18-epoch60.pth", "resnet18-epoch90.pth"], "resnet18-epoch90.pth"),
]


@pytest.mark.parametrize(("names", "last"), UNSETTLED, ids=lambda value: value and value[0])
def test_what_a_person_must_settle_ends_its_group_alone(mdtree, runs, names, last):
    group(runs, names)

    ran = mdtree("measure", runs)

    assert ran.code == 1
    assert "1 measured, 0 already there, 1 failed" in ran.out
    assert "failed run: " in ran.err
    assert "look like snapshots of one run, not like seeds" in ran.err
    assert sum(name in ran.err for name in names) >= 2
    assert "Name the files after their seeds" in ran.err
    assert f"mdtree measure {runs / 'run'}" in ran.err
    assert "list them in the recipe" in ran.err
    assert ("with --steps last" in ran.err) is (last is not None)
    rows = rows_of(runs / "rows.jsonl")
    assert rows["run"].failure.kind == "SnapshotsError"
    assert {Missing} == {type(value) for value in rows["run"].quantities.values()}
    assert {Measured} == {type(value) for value in rows["good"].quantities.values()}
    assert (mdtree("measure", runs).code, rows_of(runs / "rows.jsonl")) == (1, rows)

    ran = mdtree("measure", runs, "--steps", "last")
    assert ran.code == (1 if last is None else 0)
    row = rows_of(runs / "rows.jsonl")["run"]
    assert list(row.provenance.weights if row.failure is None else ()) == [last] * (
        last is not None
    )


@pytest.mark.parametrize("steps", ["all", "every:2", "best", "last"])
def test_no_choice_of_steps_averages_checkpoints_of_one_run(mdtree, runs, steps):
    group(runs, ["epoch_1.pt", "epoch=2-v_loss=0.1.pt", "epoch_2.pt", "epoch_2.ckpt", "best.pt"])
    mdtree("measure", runs, "--steps", steps)
    rows = rows_of(runs / "rows.jsonl")
    assert any(name.startswith("run") for name in rows)
    for name, row in rows.items():
        if name.startswith("run") and row.failure is None:
            assert len(row.provenance.weights) == 1


@pytest.mark.parametrize(
    "names",
    [
        ["net_exp_0.pkl", "net_exp_1.pkl"],
        ["seed_0_epoch_10.pt", "seed_1_epoch_10.pt"],
        ["0.pt", "1.pt"],
        ["s0.pt", "s1.pt"],
        ["model_0.pth", "model_1.pth"],
        ["a.pt", "b.ckpt"],
    ],
    ids=lambda names: names[0],
)
def test_seeds_are_measured_as_before(mdtree, runs, names):
    group(runs, names)
    assert mdtree("measure", runs).code == 0
    row = rows_of(runs / "rows.jsonl")["run"]
    assert list(row.provenance.weights) == names
    assert len(row.quantities["test_error"].members) == 2
    assert "copies" not in (runs / "rows.jsonl").read_text()


@pytest.mark.parametrize(
    ("names", "counter", "values"),
    [
        (["model_0.pth", "model_1.pth", "model_2.pth"], "epoch", [0, 1, 2]),
        (["model_10.pth", "model_20.pth"], "iteration", [9_999, 19_999]),
        (["1.pt", "2.pt"], "epoch", [0, 1]),
        (["res-4.pt", "res-5.pt"], "meta", [{"iter": 400}, {"iter": 500}]),
    ],
)
def test_what_checkpoints_count_inside_tells_where_names_do_not(
    mdtree, runs, names, counter, values
):
    for number, (name, value) in enumerate(zip(names, values, strict=True)):
        write(runs / "run" / name, 10 + number, **{counter: value})
    ran = mdtree("measure", runs)
    assert ran.code == 1
    name = next(iter(values[0])) if counter == "meta" else counter
    first = values[0][name] if counter == "meta" else values[0]
    assert f"failed run: {names[0]} ({name} {first}) and {names[1]} ({name} " in ran.err
    assert (
        f"--steps last, where numbers without a word are steps as well (it takes {names[-1]})"
        in (ran.err)
    )
    assert mdtree("measure", runs, "--steps", "last").code == 0
    assert list(rows_of(runs / "rows.jsonl")["run"].provenance.weights) == names[-1:]


def test_seeds_that_were_stopped_at_different_epochs_are_seeds(mdtree, runs):
    for seed in (0, 1):
        write(runs / "run" / f"seed_{seed}.pt", 10 + seed, epoch=87 + 6 * seed)
        write(runs / "other" / f"{seed}.pt", 20 + seed, epoch=87 + 6 * seed)
    assert mdtree("measure", runs).code == 0


def trainer_folders(root, names, *, states=True):
    """Write what Hugging Face's Trainer leaves."""
    with usable():
        transformers = pytest.importorskip("transformers")
    for number, name in enumerate(names):
        torch.manual_seed(number)
        model = transformers.ResNetForImageClassification(transformers.ResNetConfig(**SMALL))
        model.save_pretrained(root / name)
        if states:
            state = transformers.TrainerState(epoch=number + 1.0, global_step=30 * (number + 1))
            state.save_to_json(str(root / name / "trainer_state.json"))


def huggingface(runs):
    recipe = {"model": "huggingface", "data": {"source": "digits", "amount": 50}}
    (runs / "mdtree.yaml").write_text(yaml.safe_dump(recipe))
    shutil.rmtree(runs / "good", ignore_errors=True)


@pytest.mark.parametrize(
    ("names", "states", "last"),
    [
        (["checkpoint-60", "checkpoint-120"], True, "checkpoint-120"),
        (["checkpoint-60", "checkpoint-120"], False, "checkpoint-120"),
        (["checkpoint-60", "checkpoint-120", "."], False, ""),  # and the model at the end
    ],
)
def test_of_the_folders_of_hugging_face_s_trainer_the_last_is_measured(
    mdtree, runs, names, states, last
):
    huggingface(runs)
    trainer_folders(runs / "run", names, states=states)
    trainer_folders(runs / "seeds", ["seed-0", "seed-1"])

    ran = mdtree("measure", runs)

    assert ran.code == 0
    assert f"run: last of {len(names)} checkpoints that one run saved" in ran.err
    (member,) = rows_of(runs / "rows.jsonl")["run"].provenance.weights.values()
    weights = runs / "run" / last / "model.safetensors"
    assert member == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert len(rows_of(runs / "rows.jsonl")["seeds"].provenance.weights) == 2


def test_folders_whose_trainer_counted_on_are_not_seeds(mdtree, runs):
    huggingface(runs)
    names = ["bert-1", "bert-2"]
    trainer_folders(runs / "run", names)
    ran = mdtree("measure", runs)
    assert ran.code == 1
    assert f"failed run: {names[0]}/model.safetensors" in ran.err
    assert rows_of(runs / "rows.jsonl")["run"].failure.kind == "SnapshotsError"
    assert "(it takes bert-2/model.safetensors)" in ran.err


# Lightning calls what torch has deprecated
@pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.` is deprecated")
@pytest.mark.parametrize("epochs", [1, 2])
def test_what_lightning_saves_of_one_run_is_one_network(mdtree, runs, epochs):
    with usable():
        import lightning

    class Lit(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = cnn(width=2)

        def training_step(self, batch, _):
            return self.net(batch).square().mean()

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters())

    saving = lightning.pytorch.callbacks.ModelCheckpoint(
        dirpath=runs / "run", save_top_k=-1, save_last=True
    )
    trainer = lightning.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[saving],
        log_every_n_steps=1,
    )
    trainer.fit(Lit(), torch.utils.data.DataLoader(torch.randn(4, 1, 8, 8), batch_size=4))
    assert len(list((runs / "run").iterdir())) == epochs + 1

    ran = mdtree("measure", runs)

    assert ran.code == 0
    assert f"run: last of {epochs + 1} checkpoints that one run saved" in ran.err
    assert list(rows_of(runs / "rows.jsonl")["run"].provenance.weights) == ["last.ckpt"]


def counts(ran):
    return ran.out.splitlines()[-1].split(";")[0]


def cells(ran, name):
    """Read the line of a group in the first table."""
    return next(line.split() for line in ran.out.splitlines() if line.startswith(f"{name} "))


def test_equal_files_are_one_network_and_that_is_said(mdtree, runs):
    write(runs / "run" / "a.pt", 5)
    shutil.copy(runs / "run" / "a.pt", runs / "run" / "b.pt")

    ran = mdtree("measure", runs)

    assert (ran.code, ran.err) == (0, "")
    assert "counted once run: b.pt is identical to a.pt\n" in ran.out
    assert cells(ran, "run")[1] == "1"
    assert cells(ran, "good")[1] == "2"
    row = rows_of(runs / "rows.jsonl")["run"]
    assert row.provenance.weights.keys() == {"a.pt"}
    assert len(row.quantities["test_error"].members) == 1
    (known,) = row.provenance.copies.items()
    assert (known[0], known[1].of, known[1].sha256) == (
        *("b.pt", "a.pt"),
        row.provenance.weights["a.pt"],
    )
    assert "counted once run: b.pt is" in mdtree("rows", "show", runs / "rows.jsonl").out

    before = (runs / "rows.jsonl").read_bytes()
    again = mdtree("measure", runs)
    assert counts(again) == "0 measured, 2 already there, 0 failed"
    assert "counted once run: b.pt is identical to a.pt\n" in again.out
    assert (runs / "rows.jsonl").read_bytes() == before


def test_the_best_that_is_the_last_is_one_network(mdtree, runs):
    write(runs / "run" / "best.pt", 5)
    shutil.copy(runs / "run" / "best.pt", runs / "run" / "last.pt")
    ran = mdtree("measure", runs)
    assert ran.code == 0
    assert cells(ran, "run")[1] == "1"
    assert list(rows_of(runs / "rows.jsonl")["run"].provenance.weights) == ["last.pt"]


@pytest.mark.parametrize(
    ("names", "kept"),
    [
        (["seed-0.pt", "seed-0.safetensors"], "seed-0.pt"),
        (["a.pt", "b.safetensors"], "a.pt"),
        (["best.pt", "0.pt"], "0.pt"),
        (["0.safetensors", "last.ckpt"], "0.safetensors"),
    ],
)
def test_the_same_weights_in_other_files_are_one_network_too(mdtree, runs, names, kept):
    for number, name in enumerate(names):
        write(runs / "run" / name, 5, **({} if name.endswith("rs") else {"epoch": number}))

    ran = mdtree("measure", runs)

    (copy,) = set(names) - {kept}
    assert ran.code == 0
    assert f"counted once run: {copy} holds the same weights as {kept}\n" in ran.out
    assert cells(ran, "run")[1] == "1"
    assert rows_of(runs / "rows.jsonl")["run"].provenance.weights.keys() == {kept}
    assert counts(mdtree("measure", runs)) == "0 measured, 2 already there, 0 failed"


def test_networks_whose_running_statistics_were_counted_anew_are_the_same(mdtree, runs):
    weights = network(5)
    statistics = [name for name in weights if name.endswith("running_mean")]
    for name in ("a", "b"):
        torch.save(weights, runs / f"{name}.pt")
        weights = {k: v + 1 if k in statistics else v for k, v in weights.items()}
    assert statistics
    assert "counted once runs: b.pt holds the same weights as a.pt\n" in mdtree("measure", runs).out


def test_a_copy_does_not_narrow_the_error_bars(mdtree, runs):
    shutil.copytree(runs / "good", runs / "run")
    for number in range(5):
        shutil.copy(runs / "run" / "seed-1.safetensors", runs / "run" / f"seed-{number + 2}.pt")
    ran = mdtree("measure", runs)
    rows = rows_of(runs / "rows.jsonl")
    assert rows["run"].quantities == rows["good"].quantities
    assert "seed-6.pt is identical to seed-1.safetensors" in ran.out

    shutil.copy(runs / "run" / "seed-1.safetensors", runs / "run" / "seed-7.pt")
    assert "seed-6.pt is identical to seed-1.safetensors, and 1 more" in mdtree("measure", runs).out


def test_the_best_of_several_seeds_is_no_further_seed(mdtree, runs):
    shutil.copytree(runs / "good", runs / "run")
    shutil.copy(runs / "run" / "seed-1.safetensors", runs / "run" / "best.safetensors")
    ran = mdtree("measure", runs)
    assert ran.code == 0
    assert "run: best.safetensors is identical to seed-1.safetensors\n" in ran.out
    assert list(rows_of(runs / "rows.jsonl")["run"].provenance.weights) == [
        "seed-0.safetensors",
        "seed-1.safetensors",
    ]


def test_equal_folders_of_hugging_face_are_one_network(mdtree, runs):
    huggingface(runs)
    trainer_folders(runs / "run", ["a"])
    shutil.copytree(runs / "run" / "a", runs / "run" / "b")
    ran = mdtree("measure", runs)
    assert ran.code == 0
    assert "run: b/model.safetensors is identical to a/model.safetensors\n" in ran.out


@pytest.mark.parametrize(
    ("touch", "checkpoints"),
    [
        (lambda run: (run / "b.pt").unlink(), 1),
        (lambda run: (run / "a.pt").unlink(), 1),
        (lambda run: (run / "b.pt").rename(run / "c.pt"), 1),
        (lambda run: shutil.copy(run / "b.pt", run / "c.pt"), 1),
        (lambda run: write(run / "b.pt", 6), 2),
    ],
)
def test_copies_that_change_are_changed_inputs(mdtree, runs, touch, checkpoints):
    write(runs / "run" / "a.pt", 5)
    shutil.copy(runs / "run" / "a.pt", runs / "run" / "b.pt")
    mdtree("measure", runs)
    touch(runs / "run")
    assert counts(mdtree("measure", runs)) == "1 measured, 1 already there, 0 failed"
    assert len(rows_of(runs / "rows.jsonl")["run"].provenance.weights) == checkpoints
    assert counts(mdtree("measure", runs)) == "0 measured, 2 already there, 0 failed"


@pytest.mark.parametrize(
    ("touch", "measured"),
    [
        (lambda run: write(run / "last.pt", 6), 1),  # it was trained further
        (lambda run: write(run / "best.pt", 6), 0),
        (lambda run: write(run / "epoch_3.pt", 6), 0),
        (lambda run: (run / "last.pt").unlink(), 1),
    ],
)
def test_a_run_is_measured_again_if_its_last_checkpoint_changes(mdtree, runs, touch, measured):
    group(runs, ["best.pt", "last.pt"])
    assert mdtree("measure", runs).code == 0
    touch(runs / "run")
    assert counts(mdtree("measure", runs)).startswith(f"{measured} measured, ")


def test_rows_of_false_seeds_from_earlier_are_not_kept(mdtree, runs):
    """An older mdtree wrote them: every file was a member."""
    write(runs / "run" / "seed-0.pt", 5)
    write(runs / "run" / "seed-1.pt", 6)
    shutil.copytree(runs / "run", runs / "equal")
    mdtree("measure", runs)
    rows = {row.group: json.loads(json.dumps(row.provenance.weights)) for row in read(runs)}
    for old, new in (("seed-0.pt", "epoch_1.pt"), ("seed-1.pt", "epoch_2.pt")):
        (runs / "run" / old).rename(runs / "run" / new)
        rows["run"][new] = rows["run"].pop(old)
    shutil.copy(runs / "equal" / "seed-0.pt", runs / "equal" / "seed-1.pt")
    rows["equal"]["seed-1.pt"] = rows["equal"]["seed-0.pt"]
    for row in (known := read(runs)):
        row.provenance.weights.update(rows[row.group])
        for name in set(row.provenance.weights) - set(rows[row.group]):
            del row.provenance.weights[name]
    write_rows(runs / "rows.jsonl", known)

    ran = mdtree("measure", runs)

    assert counts(ran) == "2 measured, 1 already there, 0 failed"
    assert "run: last of 2 checkpoints that one run saved" in ran.err
    assert list(rows_of(runs / "rows.jsonl")["run"].provenance.weights) == ["epoch_2.pt"]
    assert "counted once equal: seed-1.pt is identical to seed-0.pt\n" in ran.out


def read(runs):
    return list(read_rows(runs / "rows.jsonl"))


def test_names_that_a_recipe_lists_are_believed_and_equal_files_are_still_one(mdtree, runs):
    group(runs, ["epoch_1.pt", "epoch_2.pt", "model_3.pt"])
    write(runs / "run" / "model_4.pt", 20, epoch=4)
    write(runs / "run" / "model_5.pt", 21, epoch=5)
    shutil.copy(runs / "run" / "epoch_1.pt", runs / "run" / "last.pt")
    change_recipe(runs, groups=[{"name": "mine", "files": ["run/*"]}])
    ran = mdtree("measure", runs)
    assert ran.code == 0
    assert "counted once mine: last.pt is identical to epoch_1.pt\n" in ran.out
    assert cells(ran, "mine")[1] == "5"
    assert counts(mdtree("measure", runs)) == "0 measured, 1 already there, 0 failed"


def test_one_snapshot_may_be_measured(mdtree, runs, tmp_path):
    group(runs, ["model_9.pt", "model_final.pt"])
    ran = mdtree("measure", runs)
    last = runs / "run" / "model_final.pt"
    assert f"mdtree measure {last} --recipe" in ran.err
    words = ("--recipe", runs / "mdtree.yaml", "--out", tmp_path / "one.jsonl")
    assert mdtree("measure", last, *words).code == 0
    assert mdtree("weights", runs).code == 0


def unsettled(runs):
    """Write what ends its group, and copies."""
    group(runs, ["epoch_1.pt", "epoch_2.pt"])
    for number, name in enumerate(["best.pt", "0.pt", "1.pt"]):
        write(runs / "stuck" / name, 20 + number)
    write(runs / "twice" / "0.pt", 5)
    shutil.copy(runs / "twice" / "0.pt", runs / "twice" / "best.pt")


def test_a_dry_run_tells_what_a_run_does_and_counts_equal_files_once(mdtree, runs):
    unsettled(runs)

    ran = mdtree("measure", runs, "--dry-run")

    assert ran.code == 1  # as a run would end
    assert "will fail stuck: " in ran.err
    assert " look like snapshots of one run" in ran.err
    assert "run: last of 2 checkpoints that one run saved\n" in ran.err
    assert cells(ran, "stuck")[1:] == ["3", "will", "fail"]
    assert (cells(ran, "run")[1], cells(ran, "twice")[1]) == ("1", "1")
    assert cells(ran, "twice")[3] == cells(ran, "run")[3]
    assert "to measure: 3 groups" in ran.out

    plan = json.loads(mdtree("measure", runs, "--dry-run", "--json").out)["groups"]
    good, run, stuck, twice = plan
    assert run["checkpoints"] == ["epoch_2.pt"]
    assert twice["checkpoints"] == ["0.pt"]
    assert twice["copies"] == {"best.pt": "0.pt"}
    assert twice["forward_passes"] == run["forward_passes"] > 0
    assert (good["copies"], good["fault"], twice["fault"], run["fault"]) == ({}, None, None, None)
    assert (stuck["forward_passes"], stuck["seconds"]) == (0, 0)
    assert "look like snapshots" in stuck["fault"]

    done = mdtree("measure", runs)
    assert counts(done) == "3 measured, 0 already there, 1 failed"
    assert "run: last of 2 checkpoints that one run saved\n" in done.err
    plan = json.loads(mdtree("measure", runs, "--dry-run", "--json").out)["groups"]
    states = [entry["state"] for entry in plan]
    assert states == ["measured", "measured", "failed before", "measured"]
    assert plan[3]["checkpoints"] == ["0.pt"]


@pytest.mark.parametrize("equal", [True, False])
def test_a_dry_run_says_of_the_best_beside_a_seed_what_a_run_will(mdtree, runs, equal):
    write(runs / "run" / "0.pt", 5, epoch=9)
    write(runs / "run" / "best.pt", 5 if equal else 6, epoch=3)
    entry = json.loads(mdtree("measure", runs, "--dry-run", "--json").out)["groups"][1]
    assert (entry["fault"] is None) is equal
    assert mdtree("measure", runs).code == (0 if equal else 1)


@pytest.mark.usefixtures("ready_workers")
def test_workers_do_the_same(mdtree, runs):
    unsettled(runs)
    ran = mdtree("measure", runs, "--workers", 2)
    assert counts(ran) == "3 measured, 0 already there, 1 failed"
    assert "failed stuck: " in ran.err
    assert list(rows_of(runs / "rows.jsonl")["run"].provenance.weights) == ["epoch_2.pt"]
    assert "counted once twice: best.pt is identical to 0.pt\n" in ran.out


@pytest.fixture
def address():
    """A storage in memory."""
    system = fsspec.filesystem("memory")
    system.store.clear()
    system.pseudo_dirs[:] = [""]
    return "memory://zoo"


def test_a_storage_is_held_to_the_same(mdtree, runs, address, tmp_path):
    unsettled(runs)
    fsspec.filesystem("memory").put(str(runs), "/zoo", recursive=True)
    words = ("--recipe", runs / "mdtree.yaml", "--out", tmp_path / "rows.jsonl")

    plan = json.loads(mdtree("measure", address, *words, "--dry-run", "--json").out)["groups"]
    faults = ["look like snapshots" in (entry["fault"] or "") for entry in plan]
    assert faults[:3] == [False, False, True]
    assert plan[1]["checkpoints"] == ["epoch_2.pt"]

    ran = mdtree("measure", address, *words)
    assert counts(ran) == "3 measured, 0 already there, 1 failed"
    assert "run: last of 2 checkpoints that one run saved\n" in ran.err
    assert f"mdtree measure {address}/stuck/1.pt --recipe" in ran.err
    assert "counted once twice: best.pt is identical to 0.pt\n" in ran.out
    assert list(rows_of(tmp_path / "rows.jsonl")["run"].provenance.weights) == ["epoch_2.pt"]
    assert counts(mdtree("measure", address, *words)) == "0 measured, 3 already there, 1 failed"


@pytest.mark.usefixtures("short_curves")
def test_diagnose_fails_for_snapshots_alone_and_tells_what_was_counted_once(mdtree, runs):
    unsettled(runs)
    page = runs / "report.html"

    ran = mdtree("diagnose", runs, "--json", "--html", page)

    assert ran.code == 1
    assert "failed stuck: " in ran.err
    assert " look like snapshots of one run" in ran.err
    assert "run: last of 2 checkpoints that one run saved\n" in ran.err
    assert "counted once twice: best.pt is identical to 0.pt\n" in ran.err
    judged = {verdict["group"] for verdict in json.loads(ran.out)["verdicts"]}
    assert judged == {"good", "run", "twice"}
    assert "best.pt is identical to 0.pt" in page.read_text()


@pytest.mark.parametrize(
    "names", [("best.pt", "last.pt"), ("0.pt", "best.pt"), ("seed-0.pt", "seed-1.pt")]
)
def test_a_link_out_of_the_directory_is_not_read(mdtree, runs, tmp_path, names):
    own, linked = names
    write(tmp_path / "elsewhere.pt", 5)
    group(runs, [own])
    (runs / "run" / linked).symlink_to(tmp_path / "elsewhere.pt")
    dry = mdtree("measure", runs, "--dry-run")
    assert dry.code == 1
    assert ", outside " in dry.err
    ran = mdtree("measure", runs)
    assert ran.code == 1
    assert ", outside " in ran.err
    assert rows_of(runs / "rows.jsonl")["run"].failure.kind == "UnsafeError"
    assert ", outside " in mdtree("measure", runs, "--dry-run").err


def test_a_link_to_a_step_that_is_not_measured_is_not_followed(mdtree, runs, tmp_path):
    group(runs, ["last.pt"])
    (runs / "run" / "best.pt").symlink_to(tmp_path / "nowhere.pt")
    (runs / "run" / "epoch_1.pt").symlink_to(tmp_path / "nowhere.pt")
    assert mdtree("measure", runs).code == 0


def test_a_damaged_checkpoint_is_not_replaced_by_an_earlier_one(mdtree, runs):
    group(runs, ["epoch_1.pt", "epoch_2.pt"])
    (runs / "run" / "epoch_2.pt").write_bytes(b"damaged")
    ran = mdtree("measure", runs)
    assert ran.code == 1
    assert f"failed run: {runs / 'run' / 'epoch_2.pt'} is " in ran.err


def test_a_damaged_snapshot_is_a_snapshot(mdtree, runs):
    group(runs, ["best.pt", "0.pt", "1.pt"])
    (runs / "run" / "1.pt").write_bytes(b"damaged")
    assert " look like snapshots of one run" in mdtree("measure", runs).err


@pytest.mark.parametrize(
    ("names", "steps", "told"),
    [
        (["epoch_1\x1b[31m.pt", "epoch_2\x1b[31m.pt"], "last", ""),
        (["epoch_1\x1b[31m.pt", "epoch_2\x1b[31m.pt"], "all", ""),
        (["epoch_1\x1b[31m.pt", "epoch_2\x1b[31m.pt"], "best", r"epoch_2\x1b[31m.pt"),
        (["best.pt", "\x1b[m0.pt", "\x1b[m1.pt"], None, r"\x1b[m0.pt"),
    ],
)
def test_names_steer_no_terminal(mdtree, runs, names, steps, told):
    group(runs, names)
    for words in (["--dry-run"], []):
        ran = mdtree("measure", runs, *([] if steps is None else ["--steps", steps]), *words)
        assert "\x1b" not in ran.out + ran.err
        assert told in ran.err


def test_error_bars_of_two_epochs_would_have_been_too_small(mdtree, runs):
    """Why it matters: weights that lie close together spread far less than seeds do."""
    weights = load_file(runs / "good" / "seed-0.safetensors")
    for number in (1, 2):
        moved = {k: v + 1e-4 * number if v.is_floating_point() else v for k, v in weights.items()}
        (runs / "run").mkdir(exist_ok=True)
        save_file(moved, runs / "run" / f"epoch_{number}.safetensors")
    change_recipe(
        runs,
        groups=[{"name": name, "files": [f"{name}/*"]} for name in ("good", "run")],
    )
    assert mdtree("measure", runs).code == 0  # the recipe says that they are seeds
    known = rows_of(runs / "rows.jsonl")
    bars = {name: row.quantities["train_loss"].stderr for name, row in known.items()}
    assert bars["run"] < bars["good"] / 10

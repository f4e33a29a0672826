"""Nothing passes for seeds that is none: snapshots of one run, and files that hold the same."""

from __future__ import annotations

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


LAYOUTS = [
    [f"epoch_{number}.pt" for number in range(1, 11)],
    ["best.pt", "last.pt"],
    ["epoch=0-step=2.ckpt", "epoch=1-step=4.ckpt", "last.ckpt"],
    ["epoch=3-step=400.ckpt", "epoch=3-step=400-v1.ckpt"],
    ["checkpoint-12.pth.tar", "last.pth.tar", "model_best.pth.tar"],
    ["checkpoint.pth.tar", "model_best.pth.tar"],
    ["ckpt_epoch_10.pth", "ckpt_epoch_20.pth"],
    ["resnet18-epoch60.pth", "resnet18-epoch90.pth"],
    ["step=1000.ckpt", "step=2000.ckpt"],
    ["iter_4000.pth", "iter_8000.pth", "latest.pth"],
    ["model_0004999.pth", "model_final.pth"],
    ["best_model.pth", "model.pth"],
    ["net_exp_0.pkl", "net_exp_0_best.pkl", "net_exp_0_early_stopped_model.pkl"],
    ["seed_0_epoch_1.pt", "seed_0_epoch_2.pt"],
    ["epoch_1.safetensors", "epoch_2.safetensors"],
]


@pytest.mark.parametrize("names", LAYOUTS, ids=lambda names: names[0])
def test_snapshots_of_one_run_end_their_group_alone(mdtree, runs, names):
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
    rows = rows_of(runs / "rows.jsonl")
    assert rows["run"].failure.kind == "SnapshotsError"
    assert {Missing} == {type(value) for value in rows["run"].quantities.values()}
    assert {Measured} == {type(value) for value in rows["good"].quantities.values()}
    assert (mdtree("measure", runs).code, rows_of(runs / "rows.jsonl")) == (1, rows)


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
    ("names", "states"),
    [
        (["checkpoint-30", "checkpoint-60"], True),
        (["checkpoint-30", "checkpoint-60"], False),
        (["checkpoint-30", "checkpoint-60", "."], False),  # and the model at the end
        (["bert-1", "bert-2"], True),
    ],
)
def test_folders_of_hugging_face_s_trainer_are_snapshots(mdtree, runs, names, states):
    huggingface(runs)
    trainer_folders(runs / "run", names, states=states)
    trainer_folders(runs / "seeds", ["seed-0", "seed-1"])

    ran = mdtree("measure", runs)

    assert ran.code == 1
    assert "1 measured, 0 already there, 1 failed" in ran.out
    assert f"failed run: {names[0]}/model.safetensors" in ran.err
    assert rows_of(runs / "rows.jsonl")["run"].failure.kind == "SnapshotsError"
    assert len(rows_of(runs / "rows.jsonl")["seeds"].provenance.weights) == 2


# Lightning calls what torch has deprecated
@pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.` is deprecated")
@pytest.mark.parametrize("epochs", [1, 2])
def test_what_lightning_saves_of_one_run_is_one_network_or_an_error(mdtree, runs, epochs):
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

    if epochs == 1:
        assert ran.code == 0
        assert "counted once run: last.ckpt " in ran.out
    else:
        assert ran.code == 1
        assert "failed run: epoch=0-step=1.ckpt and epoch=1-step=2.ckpt look like snap" in ran.err


def counts(ran):
    return ran.out.splitlines()[-1].split(";")[0]


def cells(ran, name):
    """Read the line of a group in the first table."""
    return next(line.split() for line in ran.out.splitlines() if line.startswith(f"{name} "))


def test_equal_files_are_one_network_and_that_is_said(mdtree, runs):
    write(runs / "run" / "best.pt", 5)
    shutil.copy(runs / "run" / "best.pt", runs / "run" / "last.pt")

    ran = mdtree("measure", runs)

    assert (ran.code, ran.err) == (0, "")
    assert "counted once run: last.pt is identical to best.pt\n" in ran.out
    assert cells(ran, "run")[1] == "1"
    assert cells(ran, "good")[1] == "2"
    row = rows_of(runs / "rows.jsonl")["run"]
    assert row.provenance.weights.keys() == {"best.pt"}
    assert len(row.quantities["test_error"].members) == 1
    (known,) = row.provenance.copies.items()
    assert (known[0], known[1].of, known[1].sha256) == (
        *("last.pt", "best.pt"),
        row.provenance.weights["best.pt"],
    )
    assert "counted once run: last.pt is" in mdtree("rows", "show", runs / "rows.jsonl").out

    before = (runs / "rows.jsonl").read_bytes()
    again = mdtree("measure", runs)
    assert counts(again) == "0 measured, 2 already there, 0 failed"
    assert "counted once run: last.pt is identical to best.pt\n" in again.out
    assert (runs / "rows.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("names", "kept"),
    [
        (["best.pt", "last.pt"], "best.pt"),
        (["seed-0.pt", "seed-0.safetensors"], "seed-0.pt"),
        (["a.pt", "b.safetensors"], "a.pt"),
        (["best.safetensors", "last.ckpt"], "best.safetensors"),
        (["0_best.pt", "0.pt"], "0.pt"),
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
    trainer_folders(runs / "run", ["best"])
    shutil.copytree(runs / "run" / "best", runs / "run" / "last")
    ran = mdtree("measure", runs)
    assert ran.code == 0
    assert "run: last/model.safetensors is identical to best/model.safetensors\n" in ran.out


def change_a_copy(run):
    write(run / "last.pt", 6)
    (run / "best.pt").rename(run / "seed-0.pt")
    (run / "last.pt").rename(run / "seed-1.pt")


@pytest.mark.parametrize(
    ("touch", "checkpoints"),
    [
        (lambda run: (run / "last.pt").unlink(), 1),
        (lambda run: (run / "best.pt").unlink(), 1),
        (lambda run: (run / "last.pt").rename(run / "final.pt"), 1),
        (lambda run: shutil.copy(run / "last.pt", run / "latest.pt"), 1),
        (change_a_copy, 2),
    ],
)
def test_copies_that_change_are_changed_inputs(mdtree, runs, touch, checkpoints):
    write(runs / "run" / "best.pt", 5)
    shutil.copy(runs / "run" / "best.pt", runs / "run" / "last.pt")
    mdtree("measure", runs)
    touch(runs / "run")
    assert counts(mdtree("measure", runs)) == "1 measured, 1 already there, 0 failed"
    assert len(rows_of(runs / "rows.jsonl")["run"].provenance.weights) == checkpoints
    assert counts(mdtree("measure", runs)) == "0 measured, 2 already there, 0 failed"


def test_a_copy_that_goes_on_training_makes_snapshots(mdtree, runs):
    write(runs / "run" / "best.pt", 5)
    shutil.copy(runs / "run" / "best.pt", runs / "run" / "last.pt")
    assert mdtree("measure", runs).code == 0
    write(runs / "run" / "last.pt", 6)
    assert "failed run: best.pt and last.pt look like snapshots" in mdtree("measure", runs).err


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

    assert counts(ran) == "1 measured, 1 already there, 1 failed"
    assert "failed run: epoch_1.pt and epoch_2.pt look like snapshots" in ran.err
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
    group(runs, ["epoch_9.pt", "epoch_10.pt"])
    ran = mdtree("measure", runs)
    last = runs / "run" / "epoch_10.pt"
    assert f"mdtree measure {last} --recipe" in ran.err
    words = ("--recipe", runs / "mdtree.yaml", "--out", tmp_path / "one.jsonl")
    assert mdtree("measure", last, *words).code == 0
    assert mdtree("weights", runs).code == 0


def test_a_dry_run_tells_snapshots_and_counts_equal_files_once(mdtree, runs):
    group(runs, ["epoch_1.pt", "epoch_2.pt"])
    shutil.copytree(runs / "good", runs / "twice")
    shutil.copy(runs / "twice" / "seed-0.safetensors", runs / "twice" / "seed-2.safetensors")

    ran = mdtree("measure", runs, "--dry-run")

    assert ran.code == 1  # as a run would end
    assert "will fail run: epoch_1.pt and epoch_2.pt look like snapshots" in ran.err
    assert cells(ran, "run")[1:] == ["2", "will", "fail"]
    assert cells(ran, "twice")[1] == "2"
    assert cells(ran, "twice")[3] == cells(ran, "good")[3]
    assert "to measure: 2 groups" in ran.out

    plan = json.loads(mdtree("measure", runs, "--dry-run", "--json").out)["groups"]
    good, run, twice = plan
    assert twice["checkpoints"] == good["checkpoints"]
    assert twice["copies"] == {"seed-2.safetensors": "seed-0.safetensors"}
    assert twice["forward_passes"] == good["forward_passes"] > 0
    assert (good["copies"], good["fault"], twice["fault"]) == ({}, None, None)
    assert (run["forward_passes"], run["seconds"]) == (0, 0)
    assert "look like snapshots" in run["fault"]

    mdtree("measure", runs)
    plan = json.loads(mdtree("measure", runs, "--dry-run", "--json").out)["groups"]
    assert [entry["state"] for entry in plan] == ["measured", "failed before", "measured"]
    assert plan[2]["checkpoints"] == good["checkpoints"]


@pytest.mark.parametrize("equal", [True, False])
def test_a_dry_run_says_of_the_best_and_the_last_what_a_run_will(mdtree, runs, equal):
    write(runs / "run" / "best.pt", 5, epoch=3)
    write(runs / "run" / "last.pt", 5 if equal else 6, epoch=9)
    entry = json.loads(mdtree("measure", runs, "--dry-run", "--json").out)["groups"][1]
    assert (entry["fault"] is None) is equal
    assert mdtree("measure", runs).code == (0 if equal else 1)


def test_workers_refuse_snapshots_and_count_once_as_well(mdtree, runs):
    group(runs, ["epoch_1.pt", "epoch_2.pt"])
    write(runs / "twice" / "best.pt", 5)
    shutil.copy(runs / "twice" / "best.pt", runs / "twice" / "last.pt")
    ran = mdtree("measure", runs, "--workers", 2)
    assert counts(ran) == "2 measured, 0 already there, 1 failed"
    assert "failed run: epoch_1.pt and epoch_2.pt look like snapshots" in ran.err
    assert "counted once twice: last.pt is identical to best.pt\n" in ran.out


@pytest.fixture
def address():
    """A storage in memory."""
    system = fsspec.filesystem("memory")
    system.store.clear()
    system.pseudo_dirs[:] = [""]
    return "memory://zoo"


def test_a_storage_is_held_to_the_same(mdtree, runs, address, tmp_path):
    group(runs, ["epoch_1.pt", "epoch_2.pt"])
    write(runs / "twice" / "best.pt", 5)
    shutil.copy(runs / "twice" / "best.pt", runs / "twice" / "last.pt")
    fsspec.filesystem("memory").put(str(runs), "/zoo", recursive=True)
    words = ("--recipe", runs / "mdtree.yaml", "--out", tmp_path / "rows.jsonl")

    plan = json.loads(mdtree("measure", address, *words, "--dry-run", "--json").out)["groups"]
    assert ["look like snapshots" in (entry["fault"] or "") for entry in plan][1]

    ran = mdtree("measure", address, *words)
    assert counts(ran) == "2 measured, 0 already there, 1 failed"
    assert f"mdtree measure {address}/run/epoch_2.pt --recipe" in ran.err
    assert "counted once twice: last.pt is identical to best.pt\n" in ran.out
    assert counts(mdtree("measure", address, *words)) == "0 measured, 2 already there, 1 failed"


@pytest.mark.usefixtures("short_curves")
def test_diagnose_fails_for_snapshots_alone_and_tells_what_was_counted_once(mdtree, runs):
    group(runs, ["epoch_1.pt", "epoch_2.pt"])
    write(runs / "twice" / "best.pt", 5)
    shutil.copy(runs / "twice" / "best.pt", runs / "twice" / "last.pt")
    page = runs / "report.html"

    ran = mdtree("diagnose", runs, "--json", "--html", page)

    assert ran.code == 1
    assert "failed run: epoch_1.pt and epoch_2.pt look like snapshots of one run" in ran.err
    assert "counted once twice: last.pt is identical to best.pt\n" in ran.err
    assert {verdict["group"] for verdict in json.loads(ran.out)["verdicts"]} == {"good", "twice"}
    assert "last.pt is identical to best.pt" in page.read_text()


def test_a_link_out_of_the_directory_is_not_read_to_compare_it(mdtree, runs, tmp_path):
    write(tmp_path / "elsewhere.pt", 5)
    group(runs, ["best.pt"])
    (runs / "run" / "last.pt").symlink_to(tmp_path / "elsewhere.pt")
    ran = mdtree("measure", runs)
    assert ran.code == 1
    assert ", outside " in ran.err
    assert rows_of(runs / "rows.jsonl")["run"].failure.kind == "UnsafeError"
    assert ", outside " in mdtree("measure", runs, "--dry-run").err


def test_a_damaged_snapshot_is_a_snapshot(mdtree, runs):
    group(runs, ["epoch_1.pt", "epoch_2.pt"])
    (runs / "run" / "epoch_2.pt").write_bytes(b"damaged")
    assert (
        "failed run: epoch_1.pt and epoch_2.pt look like snapshots" in mdtree("measure", runs).err
    )


def test_names_in_the_message_steer_no_terminal(mdtree, runs):
    group(runs, ["epoch_1\x1b[31m.pt", "epoch_2\x1b[31m.pt"])
    ran = mdtree("measure", runs)
    assert "\x1b" not in ran.out + ran.err
    assert r"epoch_1\x1b[31m.pt" in ran.err


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

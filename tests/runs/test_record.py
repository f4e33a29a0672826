"""Records: what trainers write beside weights, read by real files of theirs, and by broken ones."""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import pytest
import torch
from torch import nn

from mdtree.runs import read_record, read_records

TRAINER = Path(__file__).parents[1] / "data" / "runs" / "trainer"


@pytest.fixture
def run(tmp_path):
    """A run of Hugging Face's Trainer: what it wrote at step 26 of 39."""
    folder = tmp_path / "out" / "checkpoint-26"
    shutil.copytree(TRAINER, folder)
    return folder


def test_files_of_the_trainer_tell_settings_steps_and_losses(run):
    record = read_record(run / "model.safetensors", run.parent)
    assert record.trainer == "Hugging Face Trainer"
    assert record.facts == {
        "learning_rate": 0.003,
        "batch_size": 32,  # 16 items, gathered twice
        "epochs": 2,  # of three
        "weight_decay": 0.01,
        "optimizer": "adamw_torch_fused",
        "schedule": "linear",
        "steps": 26,
    }
    assert record.places["learning_rate"] == "checkpoint-26/training_args.bin"
    assert record.places["steps"] == "checkpoint-26/trainer_state.json"
    assert record.best == "checkpoint-26"
    assert record.history.last("test_accuracy") == pytest.approx(29.5)
    assert record.notes == ()


def test_files_nearest_to_the_weights_count(run):
    state = json.loads((run / "trainer_state.json").read_text())
    (run.parent / "trainer_state.json").write_text(json.dumps(state | {"global_step": 39}))
    (run.parent / "args.json").write_text('{"lr": 7, "steps": 7}')
    record = read_record(run / "model.safetensors", run.parent)
    assert (record.facts["steps"], record.facts["learning_rate"]) == (26, 0.003)


def test_nothing_is_read_above_the_directory_that_was_asked_for(run):
    (run.parent / "args.json").write_text('{"lr": 7}')
    shutil.rmtree(run)
    run.mkdir()
    assert read_record(run / "model.safetensors", run).facts == {}
    assert read_record(run / "model.safetensors", run.parent).facts == {"learning_rate": 7}


def test_without_settings_the_largest_logged_rate_is_the_learning_rate(run):
    (run / "training_args.bin").unlink()
    record = read_record(run / "model.safetensors", run)
    assert record.facts["learning_rate"] == pytest.approx(0.0026923, rel=1e-4)
    assert record.places["learning_rate"] == "trainer_state.json"


@pytest.mark.parametrize(
    ("files", "trainer"),
    [
        ({"hparams.yaml": "lr: 0.1\nbatch_size: 64\n", "metrics.csv": "epoch,val_acc\n1,0.5\n"},
         "Lightning"),
        ({"args.yaml": "lr: 0.1\nbatch_size: 64\n", "summary.csv": "epoch,eval_top1\n1,50\n"},
         "timm"),
        ({".hydra/config.yaml": "opt: {lr: 0.1}\ndata: {batch_size: 64}\n",
          "log.csv": "epoch,val_acc\n1,0.5\n"}, "Hydra"),
        ({"args.json": '{"lr": 0.1, "batch-size": 64}', "history.csv": "epoch,test_acc\n1,0.5\n"},
         "a training script"),
    ],
)  # fmt: skip
def test_other_trainers_are_read_the_same(tmp_path, files, trainer):
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    (tmp_path / "checkpoints").mkdir()
    record = read_record(tmp_path / "checkpoints" / "last.ckpt", tmp_path)
    assert record.trainer == trainer
    assert record.facts == {"learning_rate": 0.1, "batch_size": 64}
    assert record.history.last("test_accuracy") == 50


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("trainer_state.json", b"{", "it is not valid JSON"),
        ("trainer_state.json", b"[]", "it does not hold a JSON object"),
        ("trainer_state.json", b"[" * 100_000, "it is not valid JSON"),
        ("trainer_state.json", b" " * (16 << 20) + b"{}", "it has more than 16 MB"),
        ("hparams.yaml", b"!!python/object:argparse.Namespace {lr: 1}", "hparams.yaml, line 1"),
        ("hparams.yaml", b"- 1", "it does not hold a mapping"),
        ("hparams.yaml", b"\xff\xfe", "it is not UTF-8 text"),
        ("training_args.bin", b"PK\x03\x04", "it is not a small file of torch.save"),
        ("training_args.bin", b"", "it is not a small file of torch.save"),
    ],
    ids=["cut", "list", "deep", "large", "tag", "list in YAML", "binary", "zip", "empty"],
)
def test_what_cannot_be_read_is_a_remark(tmp_path, name, content, reason):
    (tmp_path / name).write_bytes(content)
    (tmp_path / "args.json").write_text('{"lr": 0.5}')
    record = read_record(tmp_path / "last.ckpt", tmp_path)
    assert record.facts == {"learning_rate": 0.5}
    (note,) = record.notes
    assert note.startswith(f"{name} was not read: {reason}")


def test_state_of_other_types_is_no_history(tmp_path):
    state = {"log_history": [1, {"loss": "x"}, {"loss": 2.0}], "best_model_checkpoint": 3}
    (tmp_path / "trainer_state.json").write_text(json.dumps(state | {"global_step": "many"}))
    record = read_record(tmp_path / "m.pt", tmp_path)
    assert (record.facts, record.best) == ({}, None)
    assert [point.train_loss for point in record.history.points] == [2.0]


def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "secret.json").write_text('{"lr": 0.5}')
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "args.json").symlink_to(tmp_path / "secret.json")
    assert read_record(tmp_path / "run" / "m.pt", tmp_path / "run").facts == {}


class _Bomb:
    """Writes a file when a pickle that holds it is loaded as usual."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return (Path.write_text, (self.target, "ran"))


def test_a_pickle_runs_nothing(tmp_path):
    target = tmp_path / "ran.txt"
    torch.save({"lr": 0.25, "bomb": _Bomb(target)}, tmp_path / "training_args.bin")
    assert read_record(tmp_path / "m.pt", tmp_path).facts == {"learning_rate": 0.25}
    assert not target.exists()
    torch.load(tmp_path / "training_args.bin", weights_only=False)
    assert target.read_text() == "ran"  # it would have


def test_a_pickle_cannot_ask_for_memory(tmp_path):
    """Five bytes name the memo of number 2^31, for which the reader in C makes room."""
    import pickle
    import zipfile

    content = b"\x80\x02}" + pickle.LONG_BINPUT + b"\xff\xff\xff\x7f" + b"."
    with zipfile.ZipFile(tmp_path / "training_args.bin", "w") as archive:
        archive.writestr("archive/data.pkl", content)
    record = read_record(tmp_path / "m.pt", tmp_path)
    assert (record.facts, record.notes) == ({}, ())


@pytest.mark.parametrize(
    "pickled",
    [
        b"\x80\x02}K\x01" + b"2\x86" * 40 + b"K\x01s.",
        b"\x80\x05\x96" + (2 << 30).to_bytes(8, "little") + b".",
    ],
    ids=["a key of 2^40 parts", "two gigabytes"],
)
def test_a_pickle_takes_no_more_than_its_bytes(tmp_path, pickled):
    import zipfile

    with zipfile.ZipFile(tmp_path / "training_args.bin", "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
    assert read_record(tmp_path / "m.pt", tmp_path).facts == {}


def test_a_table_may_have_many_columns_and_other_marks(tmp_path):
    names = ";".join(f"column{number}" for number in range(9_000))
    lines = "\n".join(f"{epoch}; {1 / epoch};0.5" for epoch in range(1, 100))
    (tmp_path / "history.csv").write_text(f"epoch; Train Loss; val_acc;{names}\n{lines}\n")
    history = read_record(tmp_path / "m.pt", tmp_path).history
    assert len(history.points) == 99
    assert history.last("train_loss") == pytest.approx(1 / 99)


def test_numbers_beyond_all_sense_are_none(tmp_path):
    (tmp_path / "args.json").write_text(f'{{"lr": 1{"0" * 400}, "batch_size": 8}}')
    assert read_record(tmp_path / "m.pt", tmp_path).facts == {"batch_size": 8}


def test_two_files_that_contradict_each_other_are_told(tmp_path):
    (tmp_path / "hparams.yaml").write_text("lr: 0.5")
    (tmp_path / "args.json").write_text('{"lr": 0.1}')
    record = read_record(tmp_path / "m.pt", tmp_path)
    assert record.facts == {"learning_rate": 0.5}
    assert record.notes == ("learning_rate is 0.5 in hparams.yaml, 0.1 in args.json",)


@pytest.mark.parametrize(
    ("told", "is_told"), [(0.004, False), (0.003, False), (0.1, True), (0.001, True), (0.3, True)]
)
def test_a_log_of_another_learning_rate_is_told(tmp_path, told, is_told):
    (tmp_path / "args.json").write_text(json.dumps({"lr": told}))
    rates = {0.1: 0.0001, 0.001: 0.003, 0.3: 0.002}
    logged = rates.get(told, 0.003)
    (tmp_path / "history.csv").write_text(f"epoch,lr,train_loss\n1,{logged},2.0\n2,0.0001,1.0\n")
    notes = read_record(tmp_path / "net.pt", tmp_path).notes
    said = f"learning_rate is {told:g} in args.json, at most {logged:g} in history.csv: are they "
    assert [note for note in notes if note.startswith(said)] == (list(notes) if is_told else [])
    assert bool(notes) is is_told


def test_two_files_that_write_one_optimizer_in_two_ways_do_not_contradict_each_other(tmp_path):
    (tmp_path / "hparams.yaml").write_text("optimizer: torch.optim.AdamW\nsched: step")
    (tmp_path / "args.json").write_text('{"opt": "adamw", "sched": "constant"}')
    record = read_record(tmp_path / "m.pt", tmp_path)
    assert record.facts == {"optimizer": "torch.optim.AdamW", "schedule": "step"}
    assert record.notes == ("schedule is step in hparams.yaml, constant in args.json",)


def test_a_word_that_is_not_understood_is_told_unless_another_file_knows(tmp_path):
    (tmp_path / "hparams.yaml").write_text("optimizer: mine\nsched: mine")
    (tmp_path / "args.json").write_text('{"opt": "adamw"}')
    record = read_record(tmp_path / "m.pt", tmp_path)
    assert record.facts == {"optimizer": "adamw"}
    assert record.unknown.keys() == {"schedule"}
    assert record.unknown["schedule"].startswith("hparams.yaml: the schedule 'mine'")
    assert not record.notes


def test_adam_and_adamw_contradict_each_other(tmp_path):
    (tmp_path / "hparams.yaml").write_text("optimizer: adam")
    (tmp_path / "args.json").write_text('{"opt": "adamw_torch"}')
    record = read_record(tmp_path / "m.pt", tmp_path)
    assert record.notes == ("optimizer is adam in hparams.yaml, adamw_torch in args.json",)


def test_a_folder_that_is_a_link_is_not_read(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "config.yaml").write_text("lr: 0.5")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".hydra").symlink_to(tmp_path / "elsewhere")
    assert read_record(tmp_path / "run" / "m.pt", tmp_path / "run").facts == {}


def test_arguments_that_a_checkpoint_holds_are_facts(tmp_path):
    """As torchvision's scripts write them; the rate of the optimizer is that of a later step."""
    model = nn.Linear(2, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.001, momentum=0.9, weight_decay=0.5)
    options = argparse.Namespace(
        data_path=Path("/data"),
        lr=0.1,
        batch_size=32,
        epochs=90,
        opt="sgd",
        weight_decay=1e-4,
        world_size=2,
        amp=False,
        lr_scheduler="steplr",
    )
    content = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "args": options,
        "scaler": {"batch_size": 7},
    }
    torch.save(content, tmp_path / "model_3.pth")
    record = read_record(tmp_path / "model_3.pth", tmp_path)
    assert record.facts == {
        "learning_rate": 0.1,
        "batch_size": 64,
        "epochs": 90,
        "weight_decay": 1e-4,
        "optimizer": "sgd",
        "schedule": "steplr",
    }
    assert set(record.places.values()) == {"model_3.pth"}
    (tmp_path / "args.json").write_text('{"lr": 0.3}')
    facts = read_record(tmp_path / "model_3.pth", tmp_path).facts
    assert (facts["learning_rate"], facts["batch_size"]) == (0.3, 64)


def test_a_checkpoint_without_arguments_tells_nothing(tmp_path):
    for name, content in {
        "a.pth": {"lr": 0.1},
        "b.pth": [Path("Namespace"), {"epochs": 3}],
    }.items():
        torch.save(content, tmp_path / name)
        assert not read_record(tmp_path / name, tmp_path).facts
    (tmp_path / "c.pth").write_bytes(b"PK\3\4argparse\nNamespace")
    record = read_record(tmp_path / "c.pth", tmp_path)
    assert not record.facts
    assert not record.notes


def test_the_records_of_a_group_are_those_of_its_files(run):
    other = run.with_name("checkpoint-39")
    shutil.copytree(run, other)
    files = [folder / name for folder in (run, other) for name in ("a.safetensors", "b.pt")]
    for file in files:
        torch.save({"args": argparse.Namespace(epochs=9)}, file)
    records = read_records(files, lambda _: run.parent)
    assert records == [read_record(file, run.parent) for file in files]
    places = [record.places["steps"] for record in records]
    assert places == [f"checkpoint-{n}/trainer_state.json" for n in (26, 26, 39, 39)]

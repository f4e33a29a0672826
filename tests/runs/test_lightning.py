"""Lightning: steps of its log, and the config that its command line saves."""

from __future__ import annotations

import pytest

from mdtree.runs import read_record
from mdtree.runs.lightning import cli_facts, done_steps

# as LightningCLI saves it, with the sections of a run of `fit`
CONFIG = """\
# lightning.pytorch==2.6.6
seed_everything: 42
trainer:
  accelerator: auto
  devices: {devices}
  num_nodes: 1
  max_epochs: 10
  max_steps: -1
  accumulate_grad_batches: 2
  callbacks:
  - class_path: lightning.pytorch.callbacks.ModelCheckpoint
    init_args:
      filename: weights
      save_top_k: 1
  profiler: null
model:
  class_path: project.Net
  init_args:
    width: 64
    lr: 0.5
data:
  class_path: project.Digits
  init_args:
    batch_size: 32
optimizer:
  class_path: torch.optim.AdamW
  init_args:
    lr: 1.0e-05
    betas:
    - 0.9
    - 0.999
    weight_decay: 0.01
lr_scheduler:
  class_path: torch.optim.lr_scheduler.CosineAnnealingLR
  init_args:
    T_max: 10
ckpt_path: null
"""


def written(folder, text):
    path = folder / "version_0" / "config.yaml"
    path.parent.mkdir()
    path.write_text(text)
    return read_record(folder / "version_0" / "checkpoints" / "last.ckpt", folder)


def test_the_config_of_the_command_line_becomes_facts(tmp_path):
    record = written(tmp_path, CONFIG.format(devices="auto"))
    assert record.trainer == "Lightning"
    assert record.facts == {
        "learning_rate": 1e-5,
        "batch_size": 64,  # 32 items, accumulated twice
        "epochs": 10,
        "weight_decay": 0.01,
        "optimizer": "torch.optim.AdamW",
        "schedule": "torch.optim.lr_scheduler.CosineAnnealingLR",
    }
    assert set(record.places.values()) == {"version_0/config.yaml"}
    assert (record.notes, record.unknown) == ((), {})


@pytest.mark.parametrize(
    ("devices", "batch"), [("4", 256), ("[0, 1, 2]", 192), ("-1", 64), ("true", 64), ("'2'", 64)]
)
def test_devices_make_the_batch_larger_where_they_are_counted(tmp_path, devices, batch):
    assert written(tmp_path, CONFIG.format(devices=devices)).facts["batch_size"] == batch


def test_a_config_of_all_commands_is_read_where_it_is_about_fitting():
    fit = {"trainer": {"max_epochs": 3}, "model": {"init_args": {"learning_rate": 0.1}}}
    facts, notes, unknown = cli_facts({"fit": fit, "validate": {"trainer": {"max_epochs": 9}}})
    assert (facts, notes, unknown) == ({"learning_rate": 0.1, "epochs": 3}, [], {})


def test_a_module_that_names_its_optimizer_itself_is_read():
    optimizer = {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.2}}
    model = {"class_path": "project.Net", "init_args": {"optimizer": optimizer}}
    facts, _, _ = cli_facts({"trainer": {}, "model": model})
    assert facts == {"learning_rate": 0.2, "optimizer": "torch.optim.SGD"}


def test_what_the_optimizer_says_settles_what_the_module_leaves_open():
    model = {"encoder": {"lr": 0.1}, "head": {"lr": 0.2}}
    facts, notes, _ = cli_facts({"trainer": {}, "model": model})
    assert facts == {}
    assert notes == ["learning_rate is not known: model.encoder.lr 0.1, model.head.lr 0.2"]
    facts, notes, _ = cli_facts(
        {"trainer": {}, "model": model, "optimizer": {"init_args": {"lr": 0.3}}}
    )
    assert (facts, notes) == ({"learning_rate": 0.3}, [])


def test_an_optimizer_of_ones_own_is_told():
    section = {"class_path": "project.Mine", "init_args": {"lr": 0.3}}
    facts, _, unknown = cli_facts({"trainer": {}, "model": {}, "optimizer": section})
    assert facts == {"learning_rate": 0.3}
    assert "'project.Mine' is not one that mdtree knows" in unknown["optimizer"]


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"lr": 0.1, "model": {"lr": 0.1}},  # of another program
        {"trainer": {"lr": 0.1}},
        {"trainer": 3, "model": {}, "lr": 0.1},
        {"fit": {"model": {}, "lr": 0.1}, "trainer": {}, "model": {}},
    ],
)
def test_the_config_of_another_program_is_left_alone(content):
    assert cli_facts(content) == ({}, [], {})


@pytest.mark.parametrize(
    "text",
    [
        "trainer: !!python/object/apply:os.system ['touch pwned']",
        "trainer: {",
        "- 1",
        "a: &a [1]\nb: [*a, *a]\ntrainer: 3" * 2,
        "x" * (1 << 24) + "x",
    ],
    ids=["code", "broken", "no mapping", "twice", "large"],
)
def test_a_hostile_config_is_a_note_and_runs_nothing(tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    record = written(tmp_path, text)
    assert record.facts == {}
    assert all(note.startswith("version_0/config.yaml was not read: ") for note in record.notes)
    assert not (tmp_path / "pwned").exists()


def test_what_the_optimizer_section_says_comes_before_hyperparameters(tmp_path):
    (tmp_path / "version_0").mkdir()
    (tmp_path / "version_0" / "hparams.yaml").write_text("lr: 0.5\n")
    (tmp_path / "version_0" / "config.yaml").write_text(CONFIG.format(devices=1))
    record = read_record(tmp_path / "version_0" / "last.ckpt", tmp_path)
    assert record.facts["learning_rate"] == pytest.approx(1e-5)
    assert record.notes == (
        "learning_rate is 1e-05 in version_0/config.yaml, 0.5 in version_0/hparams.yaml",
    )


@pytest.mark.parametrize("cell", ["", "x", "-1", "1.5", "9" * 16, "\N{SUPERSCRIPT TWO}"])
def test_a_step_that_is_no_count_stays(cell):
    assert list(done_steps([{"step": cell, "loss": "1"}])) == [{"step": cell, "loss": "1"}]
    assert list(done_steps([{"loss": "1"}])) == [{"loss": "1"}]

"""What a checkpoint says of how far its run had come."""

from __future__ import annotations

import json
import os

import pytest
import torch

from mdtree.checkpoints import counters_of, load_checkpoint
from mdtree.checkpoints.counters import counters_beside, counters_in, trained_steps
from mdtree.models import cnn
from mdtree.runtime.torchvision import usable


@pytest.mark.parametrize(
    ("content", "counters"),
    [
        ({"epoch": 3, "state_dict": {}}, {"epoch": 3}),
        ({"epoch": 3, "global_step": 400, "lr": 0.1}, {"epoch": 3, "global_step": 400}),
        ({"iteration": 4999, "model": {}}, {"iteration": 4999}),
        ({"meta": {"epoch": 12, "iter": 9}, "state_dict": {}}, {"epoch": 12, "iter": 9}),
        ({"meta": {"epoch": 12}, "epoch": 13}, {"epoch": 13}),
        ({"epoch": 2.5}, {"epoch": 2.5}),
        ({"epoch": True, "step": "4", "iter": None, "steps": torch.tensor(3)}, {}),
        ({"epoch": float("nan"), "step": float("inf"), "iter": 10**5000}, {}),
        ({"best_epoch": 3, "epochs_done": 4}, {}),
        ({}, {}),
        ([], {}),
        (None, {}),
    ],
)
def test_counters_are_plain_numbers_under_the_names_that_trainers_use(content, counters):
    assert counters_in(content) == counters


def test_a_content_that_holds_itself_is_looked_at_once():
    content = {"epoch": 1}
    content["meta"] = content
    assert counters_in(content) == {"epoch": 1}


def test_what_is_counted_comes_with_the_checkpoint(tmp_path):
    weights = cnn(width=2).state_dict()
    torch.save({"state_dict": weights, "epoch": 7}, tmp_path / "a.pt")
    torch.save(weights, tmp_path / "b.pt")
    counters = [load_checkpoint(tmp_path / f"{n}.pt", cnn(width=2), name=n).counters for n in "ab"]
    assert counters == [{"epoch": 7}, {}]


def stepped(steps, **options):
    """What a loop would save after so many steps."""
    model = torch.nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(model.parameters())
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 10)
    for _ in range(steps):
        model(torch.ones(3, 2)).sum().backward()
        optimizer.step()
        scheduler.step()
    names = {"optimizer": "optimizer", "scheduler": "scheduler", **options}
    return {
        "model": model.state_dict(),
        names["optimizer"]: optimizer.state_dict(),
        names["scheduler"]: scheduler.state_dict(),
    }


@pytest.mark.parametrize(
    "names",
    [
        {},
        {"optimizer": "optimizer_state_dict", "scheduler": "lr_scheduler_state_dict"},
        {"optimizer": "opt", "scheduler": "sched"},
    ],
)
def test_the_optimizer_has_counted_its_steps(names):
    assert trained_steps(stepped(7, **names)) == {"optimizer step": 7, "scheduler step": 7}


def test_lists_of_states_are_those_of_lightning():
    content = stepped(3)
    lists = {
        "optimizer_states": [content["optimizer"]],
        "lr_schedulers": [content["scheduler"]],
    }
    assert trained_steps(lists) == {"optimizer step": 3, "scheduler step": 3}


@pytest.mark.parametrize(
    "content",
    [
        None,
        [],
        {"optimizer": None, "scheduler": 3},
        {"optimizer": {"state": [], "param_groups": []}},
        {"optimizer": {"state": {0: {"momentum_buffer": torch.ones(2)}}}},  # SGD counts nothing
        {"optimizer": {"state": {0: {"step": torch.ones(2)}}}},
        {"optimizer": {"state": {0: {"step": torch.tensor(float("nan"))}}}},
        {"optimizer": {"state": {0: {"step": torch.empty((), device="meta")}}}},
        {"scheduler": {"last_epoch": "9"}, "optimizers": []},
    ],
)
def test_what_is_no_count_of_steps_is_none(content):
    assert trained_steps(content) == {}


def test_steps_count_where_the_trainer_counts_nothing_itself(tmp_path):
    for name, content in (("a", stepped(5)), ("b", {**stepped(5), "epoch": 2})):
        torch.save(content, tmp_path / f"{name}.pt")
    counted = [counters_of(tmp_path / f"{name}.pt") for name in "ab"]
    assert counted == [{"optimizer step": 5, "scheduler step": 5}, {"epoch": 2}]
    loaded = load_checkpoint(tmp_path / "a.pt", torch.nn.Linear(2, 2), name="a")
    assert loaded.counters == counted[0]


def trainer_folder(path):
    (path / "config.json").write_text("{}")
    return path / "model.safetensors"


def test_the_trainer_of_hugging_face_writes_it_beside_the_weights(tmp_path):
    with usable():
        transformers = pytest.importorskip("transformers")
    weights = trainer_folder(tmp_path)
    transformers.TrainerState(epoch=2.0, global_step=60).save_to_json(
        str(tmp_path / "trainer_state.json")
    )
    assert counters_beside(weights) == {"epoch": 2.0, "global_step": 60}
    assert counters_beside(tmp_path / "elsewhere" / "model.safetensors") == {}


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"epoch": "3"}', "[" * 100_000, '{"epoch": 1e999}', "\udcff"]
)
def test_what_lies_there_instead_is_passed_over(tmp_path, text):
    weights = trainer_folder(tmp_path)
    (tmp_path / "trainer_state.json").write_bytes(text.encode(errors="surrogateescape"))
    assert counters_beside(weights) == {}


def test_links_pipes_and_large_files_are_not_read(tmp_path):
    weights = trainer_folder(tmp_path)
    state = tmp_path / "trainer_state.json"
    (tmp_path / "other.json").write_text(json.dumps({"epoch": 3}))
    state.symlink_to(tmp_path / "other.json")
    assert counters_beside(weights) == {}

    state.unlink()
    os.mkfifo(state)
    assert counters_beside(weights) == {}

    state.unlink()
    with state.open("wb") as file:
        file.write(b'{"epoch": 3}')
        file.truncate(1 << 40)
    assert counters_beside(weights) == {}

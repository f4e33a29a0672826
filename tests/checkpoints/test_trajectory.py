"""Trajectories: one step is chosen from the checkpoints of a run; seeds stay together."""

from __future__ import annotations

import pytest

from mdtree.checkpoints import StepChoice, select
from mdtree.exceptions import RecipeError

EPOCHS = ["epoch_1.pt", "epoch_2.pt", "epoch_9.pt", "epoch_10.pt"]
TRAINER = [
    "checkpoint-9/model.safetensors",
    "checkpoint-10/model.safetensors",
    "model.safetensors",
]
LIGHTNING = ["epoch=0-step=19.ckpt", "epoch=4-step=95.ckpt", "last.ckpt"]
SEEDS = [f"seed_{seed}_epoch_{epoch}.pt" for seed in (0, 1) for epoch in (1, 2)]


def chosen(names, steps=None):
    choice = None if steps is None else StepChoice.parse(steps)
    return {one.label: list(one.names) for one in select(names, choice)}


@pytest.mark.parametrize(
    ("names", "last"),
    [
        (EPOCHS, ["epoch_10.pt"]),
        (TRAINER, ["model.safetensors"]),
        (TRAINER[:2], ["checkpoint-10/model.safetensors"]),
        (LIGHTNING, ["last.ckpt"]),
        (LIGHTNING[:2], ["epoch=4-step=95.ckpt"]),
        (["500.pt", "1000.pt", "1500.pt"], ["1500.pt"]),
        (["best.pt", "last.pt"], ["last.pt"]),
        (["checkpoint-3.pth.tar", "last.pth.tar", "model_best.pth.tar"], ["last.pth.tar"]),
        (SEEDS, ["seed_0_epoch_2.pt", "seed_1_epoch_2.pt"]),
    ],
)
def test_the_last_of_each_run_is_taken(names, last):
    assert chosen(names) == chosen(names, "last") == {"": last}
    (one,) = select(list(reversed(names)))
    assert sorted(one.names) == sorted(last)
    assert one.note is not None
    assert one.note.startswith(f"last of {len(names)} checkpoints")


@pytest.mark.parametrize("names", [["0.pt", "1.pt"], ["seed-0.pt", "seed-1.pt"], ["model.pt"]])
def test_seeds_are_left_alone(names):
    assert select(names)[0].names == tuple(names)
    assert select(names)[0].note is None


def test_the_best_beside_seeds_is_for_a_person_to_settle():
    assert chosen(["best.pt", "seed_0.pt", "seed_1.pt"]) == {
        "": ["best.pt", "seed_0.pt", "seed_1.pt"]
    }


def test_numbers_alone_are_steps_where_steps_are_asked_for():
    assert chosen(["0.pt", "1.pt", "2.pt"], "last") == {"": ["2.pt"]}
    torchvision = ["checkpoint.pth", "model_0.pth", "model_1.pth"]
    assert chosen(torchvision) == {"": torchvision}
    assert chosen(torchvision, "last") == {"": ["checkpoint.pth"]}
    assert chosen(["seed-0.pt", "seed-1.pt"], "last") == {"": ["seed-0.pt", "seed-1.pt"]}


def test_all_steps_come_in_their_order_and_seeds_of_a_step_together():
    assert list(chosen(EPOCHS, "all")) == ["epoch-1", "epoch-2", "epoch-9", "epoch-10"]
    assert chosen(SEEDS, "all") == {
        "epoch-1": ["seed_0_epoch_1.pt", "seed_1_epoch_1.pt"],
        "epoch-2": ["seed_0_epoch_2.pt", "seed_1_epoch_2.pt"],
    }
    assert list(chosen(LIGHTNING, "all")) == ["epoch-0-step-19", "epoch-4-step-95"]


def test_each_nth_step_and_the_last():
    assert list(chosen(EPOCHS, "every:2")) == ["epoch-1", "epoch-9", "epoch-10"]
    assert list(chosen(EPOCHS, "every:3")) == ["epoch-1", "epoch-10"]
    assert list(chosen(EPOCHS, "every:1")) == list(chosen(EPOCHS, "all"))


def test_the_best_is_called_so_or_told_by_the_run():
    best = StepChoice.parse("best")
    assert select(["best.pt", "last.pt"], best)[0].names == ("best.pt",)
    told = select(TRAINER, best, lambda _: ["checkpoint-9"])
    assert told[0].names == ("checkpoint-9/model.safetensors",)
    by_step = select(LIGHTNING, best, lambda _: ["18", "19"])
    assert by_step[0].names == ("epoch=0-step=19.ckpt",)
    with pytest.raises(RecipeError, match="which checkpoint was the best is not known"):
        select(EPOCHS, best)


@pytest.mark.parametrize("text", ["", "first", "every", "every:0", "every:-1", "10", "last,best"])
def test_other_words_are_refused(text):
    with pytest.raises(RecipeError, match=r"last, best, all or every:N"):
        StepChoice.parse(text)

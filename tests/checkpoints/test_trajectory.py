"""Trajectories: one step is chosen from the checkpoints of a run; seeds stay together."""

from __future__ import annotations

import pytest

from mdtree.checkpoints import Best, StepChoice, select
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
        (["iter_4k.pth", "iter_16k.pth"], ["iter_16k.pth"]),
        (["step_900k.pt", "step_1M.pt"], ["step_1M.pt"]),
        (["best.pt", "init.pt"], ["best.pt"]),
        (["start.pt", "end.pt"], ["end.pt"]),
        (["current.pt", "previous.pt"], ["current.pt"]),
        (["epoch_10.pt", "epoch_10_ema.pt", "epoch_2.pt"], ["epoch_10.pt"]),
        (["last.pt", "last_ema.pt"], ["last.pt"]),
        (["model.pt", "model_ema.pt"], ["model.pt"]),
        (["best_epoch_12.pt", "epoch_20.pt"], ["epoch_20.pt"]),
        # Lightning numbers a file whose name was taken: it is the later one
        (["last.ckpt", "last-v1.ckpt"], ["last-v1.ckpt"]),
        ([*LIGHTNING, "last-v9.ckpt", "last-v10.ckpt"], ["last-v10.ckpt"]),
        (["epoch=4-step=95-v1.ckpt", *LIGHTNING[:2]], ["epoch=4-step=95-v1.ckpt"]),
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


@pytest.mark.parametrize(
    "names",
    [
        ["best.pt", "swa.pt"],
        ["best_acc.pt", "best_loss.pt"],
        ["val_loss=0.53.ckpt", "val_loss=0.61.ckpt"],
        ["acc_91.2.pt", "acc_92.1.pt", "best.pt"],
        ["seed_0_best.pt", "seed_0_ema.pt", "seed_1_epoch_1.pt", "seed_1_epoch_2.pt"],
    ],
)
def test_no_name_says_which_was_the_last(names):
    assert chosen(names) == chosen(names, "last") == {"": names}


def test_the_best_beside_one_run_belongs_to_it_where_steps_are_asked_for():
    names = ["best.pt", "resnet18-epoch60.pth", "resnet18-epoch90.pth"]
    assert chosen(names) == {"": names}
    assert chosen(names, "last") == {"": ["resnet18-epoch90.pth"]}
    assert chosen(names, "best") == {"": ["best.pt"]}
    assert chosen(["last.ckpt", "last-v1.ckpt"], "last") == {"": ["last-v1.ckpt"]}
    assert chosen(["model_0004999.pth", "model_final.pth"], "last") == {"": ["model_final.pth"]}


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
    # the final one may be later than the last with a number
    assert list(chosen(LIGHTNING, "all")) == ["epoch-0-step-19", "epoch-4-step-95", "last"]


def test_each_nth_step_and_the_last():
    assert list(chosen(EPOCHS, "every:2")) == ["epoch-2", "epoch-10"]
    assert list(chosen(EPOCHS, "every:3")) == ["epoch-9", "epoch-10"]
    assert list(chosen(EPOCHS, "every:9")) == ["epoch-10"]
    numbered = [f"epoch_{epoch}.pt" for epoch in range(1, 13)]
    assert list(chosen(numbered, "every:5")) == ["epoch-5", "epoch-10", "epoch-12"]
    assert list(chosen(EPOCHS, "every:1")) == list(chosen(EPOCHS, "all"))


def test_the_best_is_called_so_or_told_by_the_run():
    best = StepChoice.parse("best")
    assert select(["best.pt", "last.pt"], best)[0].names == ("best.pt",)
    told = select(TRAINER, best, lambda _: Best(name="checkpoint-9"))
    assert told[0].names == ("checkpoint-9/model.safetensors",)
    by_step = select(LIGHTNING, best, lambda _: Best(step=18))
    assert by_step[0].names == ("epoch=0-step=19.ckpt",)
    with pytest.raises(RecipeError, match="which checkpoint was the best is not known"):
        select(EPOCHS, best)


def test_the_best_of_several_bests_is_the_last_of_them():
    names = ["best_epoch_3.pt", "best_epoch_12.pt", "epoch_20.pt"]
    assert chosen(names, "best") == {"": ["best_epoch_12.pt"]}


@pytest.mark.parametrize(
    ("name", "best", "expected"),
    [
        # the 50th step was in epoch 5
        ("epoch_{}.pt", Best(step=50, epoch=5, epochs=60), 5),
        ("e{}.pt", Best(step=50, epoch=5, epochs=60), 5),
        ("iter_{}.pt", Best(step=50, epoch=5, epochs=60), 50),
        ("checkpoint{:04}.pth", Best(step=50, epoch=5, epochs=60), 5),
        ("checkpoint-{}/model.safetensors", Best(step=50, epoch=5, epochs=6), 50),
        ("checkpoint-{}/model.safetensors", Best(step=49, epoch=5, epochs=6), 50),
        ("checkpoint-{}/model.safetensors", Best(epoch=5, epochs=6), 5),
        ("checkpoint-{}/model.safetensors", Best(step=50), 50),
    ],
)
def test_steps_are_not_taken_for_epochs(name, best, expected):
    names = [name.format(number) for number in (5, 20, 50, 60)]
    (one,) = select(names, StepChoice.parse("best"), lambda _: best)
    assert one.names == (name.format(expected),)


def test_of_one_step_of_a_run_one_checkpoint_is_taken():
    names = [
        "epoch=8-val_loss=0.42.ckpt",
        "epoch=9-val_loss=0.41.ckpt",
        "epoch=9-val_loss=0.43.ckpt",
    ]
    assert [len(one) for one in chosen(names, "all").values()] == [1, 1]
    assert len(chosen(names)[""]) == 1


@pytest.mark.parametrize("text", ["", "first", "every", "every:0", "every:-1", "10", "last,best"])
def test_other_words_are_refused(text):
    with pytest.raises(RecipeError, match=r"last, best, all or every:N"):
        StepChoice.parse(text)


def test_names_that_say_nothing_and_many_names():
    assert list(chosen(["model.pt", "best.pt"], "all")) == ["best", "final"]
    many = [f"epoch_{number}.pt" for number in range(2_000)]
    assert len(chosen(many, "all")) == 2_000
    assert chosen(["step_" + "9" * 400 + ".pt", "step_1.pt"])

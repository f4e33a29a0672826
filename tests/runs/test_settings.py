"""Settings become facts: by names, at any depth, and never where they contradict each other."""

from __future__ import annotations

import pytest

from mdtree.runs.settings import facts_from, unknown_words


@pytest.mark.parametrize(
    ("settings", "facts"),
    [
        (
            {
                "learning_rate": 5e-5,
                "per_device_train_batch_size": 8,
                "gradient_accumulation_steps": 4,
                "num_train_epochs": 3.0,
                "max_steps": -1,
                "weight_decay": 0.0,
                "per_device_eval_batch_size": 64,
            },
            {"learning_rate": 5e-5, "batch_size": 32, "epochs": 3, "weight_decay": 0},
        ),
        (
            {"lr": None, "lr_base": 0.1, "batch_size": 128, "epochs": 300, "world_size": 2},
            {"learning_rate": 0.1, "batch_size": 256, "epochs": 300},
        ),
        (
            {"optimizer": {"lr": 0.01}, "data": {"batch-size": 32}, "trainer": {"max_epochs": 5}},
            {"learning_rate": 0.01, "epochs": 5},
        ),
        ({"data": {"batch_size": 32}, "val": {"batch_size": 99}}, {"batch_size": 32}),
        ({"num_train_samples": 5e4, "val": {"num_train": 3}}, {"data_amount": 50_000}),
        ({"n_train": 0.8}, {}),
        ({"n_train": -1, "train_examples": 2e12, "train_size": 224}, {}),
        ({"lr": True, "batch_size": "32", "epochs": float("nan"), "wd": -1}, {}),
        ({}, {}),
    ],
    ids=[
        "Trainer",
        "timm",
        "Hydra",
        "not of training",
        "items",
        "a share of them",
        "no items",
        "no numbers",
        "nothing",
    ],
)
def test_names_of_trainers_mean_facts(settings, facts):
    read, notes = facts_from(settings)
    if "data" in settings and "batch-size" in settings["data"]:
        facts = {**facts, "batch_size": 32}
    assert (read, notes) == (facts, [])


def test_two_different_numbers_are_no_fact():
    facts, notes = facts_from({"encoder": {"lr": 0.1}, "head": {"lr": 0.01}, "epochs": 2})
    assert facts == {"epochs": 2}
    assert notes == ["learning_rate is not known: encoder.lr 0.1, head.lr 0.01"]


def test_the_same_number_twice_is_one_fact():
    assert facts_from({"a": {"lr": 0.1}, "b": {"lr": 0.1}}) == ({"learning_rate": 0.1}, [])


def test_settings_that_contain_themselves_end():
    settings = {"lr": 0.1}
    settings["self"] = settings
    facts, _ = facts_from(settings)
    assert facts == {"learning_rate": 0.1}


@pytest.mark.parametrize(
    ("settings", "facts"),
    [
        (
            {"optim": "adamw_torch", "lr_scheduler_type": "constant_with_warmup"},
            {"optimizer": "adamw_torch", "schedule": "constant_with_warmup"},
        ),
        ({"opt": "sgd", "sched": "none"}, {"optimizer": "sgd", "schedule": "none"}),
        ({"opt": "sgd", "lr-scheduler": "steplr"}, {"optimizer": "sgd", "schedule": "steplr"}),
        (
            {"optimizer": {"_target_": "torch.optim.AdamW", "lr": 0.5, "_partial_": True},
             "scheduler": {"_target_": "torch.optim.lr_scheduler.CosineAnnealingLR", "T_max": 3}},
            {"learning_rate": 0.5, "optimizer": "torch.optim.AdamW",
             "schedule": "torch.optim.lr_scheduler.CosineAnnealingLR"},
        ),
        (
            {"train": {"optimizer": {"name": "adamw"}, "lr_schedule": {"type": "linear"}}},
            {"optimizer": "adamw", "schedule": "linear"},
        ),
        ({"TRAIN": {"OPTIMIZER": {"NAME": "sgd", "MOMENTUM": 0.9}}},
         {"optimizer": "sgd", "momentum": 0.9}),
        (
            {"optimizer": {"_target_": "hydra.utils.get_class", "name": "SGD"}, "scheduler": None},
            {"optimizer": "SGD"},
        ),
        ({"optimizer": {"optimizer_name": "lion"}, "opt": "sgd"}, {"optimizer": "lion"}),
        ({"optim": "mine", "opt": "sgd"}, {"optimizer": "sgd"}),
        ({"model": "sgd", "name": "adam", "type": "cosine", "mode": {"type": "linear"}}, {}),
        ({"schedule": 3, "optimizer": True, "scheduler": {"T_max": 3}, "lr": {"type": 2}}, {}),
        (
            {"eval": {"optimizer": "sgd"}, "test": {"opt": {"name": "sgd"}}, "optim": "adam"},
            {"optimizer": "adam"},
        ),
        (
            {"diffusion": {"scheduler": "linear"}, "ema": {"schedule": "cosine"},
             "noise_scheduler": {"schedule": {"type": "cosine"}}, "lr": {"schedule": "constant"}},
            {"schedule": "constant"},
        ),
    ],
    ids=[
        *("Trainer", "timm", "torchvision", "Hydra", "name and type", "upper case", "second name"),
        *("most exact name", "not understood", "other settings", "no words", "not of training"),
        "schedules of other things",
    ],
)  # fmt: skip
def test_words_that_are_understood_are_facts(settings, facts):
    assert facts_from(settings) == (facts, [])


@pytest.mark.parametrize(
    "word",
    [
        ["adamw"],
        {"adamw": 1},
        b"adamw",
        None,
        "",
        "adam" + "w" * 100,
        "adamw " * 1_000_000,
        "adamw\n",
        "adamw\x1b[31m",
        "adamw\ud800",
        "adamw\u202e",
    ],
    ids=repr,
)
def test_what_is_no_word_is_no_fact(word):
    settings = {"optimizer": word, "scheduler": {"type": word}, "lr": 0.5}
    assert facts_from(settings) == ({"learning_rate": 0.5}, [])


def test_the_longest_word_is_kept_as_it_is():
    word = "AdamW-" + 94 * "x"
    assert facts_from({"opt": word}) == ({"optimizer": word}, [])
    assert facts_from({"opt": word + "x"}) == ({}, [])


def test_two_different_words_are_no_fact():
    facts, notes = facts_from(
        {"encoder": {"optimizer": "adam"}, "head": {"optimizer": {"type": "SGD"}}, "sched": "step"}
    )
    assert facts == {"schedule": "step"}
    assert notes == ["optimizer is not known: encoder.optimizer adam, head.optimizer SGD"]
    assert facts_from({"a": {"opt": "Adam"}, "b": {"opt": "adam"}}) == ({"optimizer": "Adam"}, [])
    words = ("sgd", "adam")
    facts, (note,) = facts_from({f"part{i}": {"opt": f"{words[i % 2]}_{i}"} for i in range(5_000)})
    assert not facts
    assert len(note) < 250


def test_two_spellings_of_one_optimizer_are_one_fact():
    settings = {"a": {"opt": "adamw_torch"}, "b": {"opt": "torch.optim.AdamW"}}
    assert facts_from(settings) == ({"optimizer": "adamw_torch"}, [])
    facts, (note,) = facts_from({"a": {"opt": "adam"}, "b": {"opt": "adamw"}})
    assert not facts
    assert note == "optimizer is not known: a.opt adam, b.opt adamw"


@pytest.mark.parametrize(
    ("optimizer", "facts"),
    [
        ({"opt": "sgd"}, {"optimizer": "sgd", "momentum": 0.9}),
        ({"opt": "adamw"}, {"optimizer": "adamw"}),
        ({}, {}),
    ],
)
def test_momentum_is_that_of_sgd(optimizer, facts):
    assert facts_from({**optimizer, "momentum": 0.9, "ema": {"momentum": -1}}) == (facts, [])


def test_an_optimizer_of_neither_kind_is_a_fact():
    assert facts_from({"opt": "muon", "sched": "noam"}) == (
        {"optimizer": "muon", "schedule": "noam"},
        [],
    )
    assert not unknown_words({"opt": "muon", "sched": "noam"})


def test_words_that_are_not_understood_are_told():
    said = unknown_words({"opt": "mine", "sched": "every full moon"})
    assert said.keys() == {"optimizer", "schedule"}
    assert said["optimizer"].startswith("the optimizer 'mine' is not one that mdtree knows")
    assert not unknown_words({"optim": "mine", "opt": "sgd"})


@pytest.mark.parametrize(
    "word", [None, True, 3, "", " ", "x" * 101, "mine\n", ["mine"], {"mine": 1}], ids=repr
)
def test_what_is_no_word_is_not_told(word):
    assert not unknown_words({"optimizer": word, "eval": {"opt": "mine"}, "model": "mine"})


def test_settings_with_names_that_contain_themselves_end():
    settings = {"type": "sgd", "lr": 0.1}
    settings["optimizer"] = settings
    assert facts_from(settings) == ({"learning_rate": 0.1, "optimizer": "sgd"}, [])


def test_a_name_of_a_million_characters_takes_its_memory_once():
    settings = {"x" * 1_000_000: {f"part{i}": {"lr": 0.5, "opt": "sgd"} for i in range(5_000)}}
    assert facts_from(settings) == ({"learning_rate": 0.5, "optimizer": "sgd"}, [])

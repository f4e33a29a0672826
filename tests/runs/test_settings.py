"""Settings become facts: by names, at any depth, and never where they contradict each other."""

from __future__ import annotations

import pytest

from mdtree.runs.settings import facts_from


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
        ({"lr": True, "batch_size": "32", "epochs": float("nan"), "wd": -1}, {}),
        ({}, {}),
    ],
    ids=["Trainer", "timm", "Hydra", "not of training", "no numbers", "nothing"],
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

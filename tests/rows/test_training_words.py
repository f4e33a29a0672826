"""Words for the training: as frameworks write them, and what is none of them."""

from __future__ import annotations

import pytest
import torch
from transformers import SchedulerType
from transformers.training_args import OptimizerNames

from mdtree.rows import TEXT_FACTS
from mdtree.rows.training_words import (
    TRAINING_WORDS,
    is_adaptive,
    is_decaying,
    is_known_word,
    is_same_word,
    not_understood,
    understood,
)

OPTIMIZERS = {
    name: cls
    for name, cls in vars(torch.optim).items()
    if isinstance(cls, type) and issubclass(cls, torch.optim.Optimizer)
}
# they are told from SGD by no word, or are of neither kind
NEITHER = {"Optimizer", "LBFGS", "Rprop", "Muon"}


@pytest.mark.parametrize("name", sorted(OPTIMIZERS.keys() - NEITHER))
def test_the_optimizers_of_torch_are_known(name):
    assert is_adaptive(name) == (name not in ("SGD", "ASGD"))
    assert is_adaptive(f"torch.optim.{name}") == is_adaptive(name)


@pytest.mark.parametrize("name", sorted(NEITHER))
def test_an_optimizer_of_neither_kind_is_not_known(name):
    assert is_adaptive(name) is None


def test_the_optimizers_of_the_trainer_are_known():
    known = {each.value: is_adaptive(each.value) for each in OptimizerNames}
    assert {name for name, adaptive in known.items() if adaptive is False} == {
        "lomo",
        "schedule_free_sgd",
        "sgd",
    }
    assert known["adamw_torch_fused"]
    assert known["paged_lion_8bit"]
    assert known["adafactor"]
    assert sum(adaptive is None for adaptive in known.values()) < len(known) / 4  # others come


def test_the_schedules_of_the_trainer_are_known():
    known = {each.value: is_decaying(each.value) for each in SchedulerType}
    constant = {name for name, decaying in known.items() if decaying is False}
    assert constant == {"constant", "constant_with_warmup"}
    assert {name for name, decaying in known.items() if decaying is None} <= {"greedy"}


@pytest.mark.parametrize(
    "name", ["CosineAnnealingLR", "StepLR", "MultiStepLR", "OneCycleLR", "ReduceLROnPlateau"]
)
def test_schedulers_of_torch_that_end_low_are_known(name):
    assert hasattr(torch.optim.lr_scheduler, name)
    assert is_decaying(f"torch.optim.lr_scheduler.{name}")


@pytest.mark.parametrize(
    ("word", "meaning"),
    [
        ("CosineLRScheduler", True),  # timm
        ("WarmupDecayLR", True),  # DeepSpeed
        ("CyclicLR", True),
        ("ConstantLR", False),
        ("LinearLR", None),  # of torch, it is a warm-up as often
        ("torch.optim.lr_scheduler.SequentialLR", None),
        ("linear", True),  # of the Trainer
        ("no_decay", None),
        ("PiecewiseConstantDecay", True),  # Keras; it falls in steps
        ("constant_then_cosine", None),
    ],
)
def test_names_of_classes_are_read_by_their_parts(word, meaning):
    assert is_decaying(word) is meaning


@pytest.mark.parametrize(
    ("fact", "one", "other", "same"),
    [
        ("optimizer", "adamw_torch_fused", "torch.optim.AdamW", True),
        ("optimizer", "sgd", "torch.optim.SGD", True),
        ("optimizer", "adam", "adamw", False),
        ("schedule", "cosine", "CosineAnnealingLR", True),
        ("schedule", "StepLR", "step", True),
        ("schedule", "mine", "mine", True),
        ("schedule", "mine", "yours", False),
        ("schedule", "cos", "CosineAnnealingLR", True),
        ("schedule", "1cycle", "OneCycleLR", True),
        ("optimizer", "muon", "torch.optim.Muon", True),
        ("optimizer", "schedule_free_adamw", "adamw", False),
        ("optimizer", "PagedAdamW8bit", "adamw", True),
        ("zoo", "sgd", "SGD", False),
    ],
)
def test_a_word_may_be_written_in_many_ways(fact, one, other, same):
    assert is_same_word(fact, one, other) is same


def test_a_fused_optimizer_is_the_one_that_it_fuses():
    assert is_adaptive("apex.optimizers.FusedAdam")
    assert is_adaptive("FusedSGD") is False


@pytest.mark.parametrize("word", ["", "  ", "mine", "12", "adamantium", "\u00e4dam", "LambdaLR"])
def test_other_words_mean_nothing(word):
    assert [meaning(word) for meaning in TRAINING_WORDS.values()] == [None, None]


# by hand, from what each method does with the gradient
@pytest.mark.parametrize(
    ("words", "meaning"),
    [
        ("lamb lion adafactor rmsprop RMSpropTF sophia came signum PagedAdamW8bit", True),
        ("schedule_free_adamw AdamWScheduleFree stable_adamw adamw_8bit cadamw", True),
        ("sgd_nesterov nesterov SGD-M sgdm momentum schedule_free_sgd nag", False),
        ("muon lars LARSOptimizer MuonWithAuxAdam shampoo lbfgs", None),
    ],
)
def test_usual_optimizers_are_known(words, meaning):
    for word in words.split():
        assert is_known_word("optimizer", word)
        assert is_adaptive(word) is meaning


@pytest.mark.parametrize(
    ("words", "meaning"),
    [
        ("cos noam inverse_sqrt inv_sqrt poly onecycle one_cycle 1cycle OneCycleLR wsd", True),
        ("warmup_stable_decay cosine_with_restarts cosann sgdr tri_stage exp warmup_linear", True),
        ("LinearWarmupCosineAnnealingLR linear_warmup_decay multi_step", True),
        ("const constant_with_warmup none schedule-free linear_warmup_constant", False),
    ],
)
def test_usual_schedules_are_known(words, meaning):
    for word in words.split():
        assert is_decaying(word) is meaning


@pytest.mark.parametrize("word", ["linear_warmup", "constant_with_cooldown", "MultiplicativeLR"])
def test_a_schedule_that_says_half_is_not_known(word):
    assert is_decaying(word) is None
    assert not is_known_word("schedule", word)


def test_what_is_of_neither_kind_is_a_fact_and_what_is_unknown_is_told():
    assert understood({"optimizer": "Muon", "schedule": "mine"}) == {"optimizer": "Muon"}
    assert "'mine' is not one that mdtree knows" in not_understood("schedule", "mine")
    assert "the fact schedule (cosine" in not_understood("schedule", "mine")


def test_they_are_facts():
    assert TRAINING_WORDS.keys() <= TEXT_FACTS.keys()

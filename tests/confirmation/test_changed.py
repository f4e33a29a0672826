"""The changed point: one fact is changed, and all that follows from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mdtree.confirmation.changed import changed_point, folder_name, trained_neighbour
from mdtree.confirmation.source import TrainingSource, point_of
from mdtree.diagnosis import AdvisedChange
from mdtree.exceptions import MdtreeError, RecipeError
from mdtree.recipes import Recipe, Trust, Zoo
from tests.support.confirming import CONFIG
from tests.support.rows import row

POINT = "w8-r0.001"


def source_of(zoo=None, recipe=None, directory=Path("none")):
    return TrainingSource(
        directory=directory,
        folder=Path(),
        trust=Trust(),
        zoo=zoo,
        recipe=recipe or zoo.recipe(),
    )


def changed(fact, old, new, group=POINT, seeds=2, **parts):
    zoo = Zoo.model_validate({**CONFIG, **parts})
    source = source_of(zoo)
    remedy = "add_data"  # whatever it is called
    change = AdvisedChange(remedy=remedy, fact=fact, old=old, new=new)
    return changed_point(source, point_of(source, row(group)), change, seeds=seeds)


def test_an_axis_of_the_grid_keeps_the_names_of_groups():
    made = changed("learning_rate", 0.001, 0.008, seeds=3)
    assert made.group == "w8-r0.008"
    assert made.facts == {"width": 8, "learning_rate": 0.008}
    assert made.zoo.seeds == 3
    assert made.zoo.training == Zoo.model_validate(CONFIG).training


def test_what_the_config_says_in_a_number_becomes_an_axis():
    made = changed("batch_size", 20, 5)
    assert made.group == "w8-r0.001_batch_size-5"
    assert made.zoo.training.batch_size == "$batch_size"
    assert made.facts == {"width": 8, "learning_rate": 0.001, "batch_size": 5}


def test_a_fact_of_all_groups_becomes_an_axis_and_is_said_once():
    made = changed(
        "batch_size",
        20,
        5,
        training={**CONFIG["training"], "batch_size": "$batch_size"},
        facts={"batch_size": 20, "zoo": "mine"},
    )
    assert made.zoo.facts == {"zoo": "mine"}
    assert made.facts["batch_size"] == 5


def test_a_fact_of_another_name_is_changed_by_the_same_factor():
    made = changed(
        "data_amount",
        200,
        400,
        group="w8-r0.001-n200",
        data={"source": "digits", "amount": "$items"},
        grid={**CONFIG["grid"], "items": [200]},
        name="w{width}-r{learning_rate}-n{items}",
    )
    assert (made.axis, made.facts["items"]) == ("items", 400)
    assert (made.change.old, made.change.new) == (200, 400)


def test_a_number_in_the_model_is_replaced_where_it_is_the_width():
    made = changed(
        "width",
        8,
        32,
        group="r0.001",
        model={"factory": "mlp", "kwargs": {"width": 8}},
        grid={"learning_rate": [0.001]},
        name="r{learning_rate}",
    )
    assert made.zoo.model.kwargs == {"width": "$width"}
    assert made.group == "r0.001_width-32"


def test_steps_and_epochs_that_the_facts_state_follow_the_change():
    facts = {"epochs": 4, "steps": 40}
    made = changed("data_amount", 200, 400, facts=facts)  # 4 epochs of 20 steps
    assert (made.facts["epochs"], made.facts["steps"]) == (4, 80)
    made = changed("batch_size", 20, 10, facts=facts)
    assert (made.facts["epochs"], made.facts["steps"]) == (4, 80)
    training = {"learning_rate": "$learning_rate", "batch_size": 20, "steps": 40}
    made = changed("batch_size", 20, 10, facts=facts, training=training)  # 20 steps an epoch
    assert (made.facts["epochs"], made.facts["steps"]) == (2, 40)


def test_facts_that_the_training_uses_stay():
    training = {**CONFIG["training"], "epochs": "$epochs", "steps": 50}
    made = changed("batch_size", 20, 10, facts={"epochs": 4}, training=training)
    assert made.facts["epochs"] == 4


def test_a_batch_is_no_larger_than_the_data():
    made = changed("batch_size", 20, 800)
    assert made.facts["batch_size"] == 200
    assert made.change.new == 200
    assert "raised to 200 and not to 800: it is as many as there are" in made.notes[0]
    with pytest.raises(MdtreeError, match="batch_size 200 cannot be raised"):
        changed("batch_size", 200, 800, training={**CONFIG["training"], "batch_size": 200})


def test_names_that_cannot_be_read_back_become_the_usual_ones():
    made = changed("batch_size", 20, 5, group="8x0.001", name="{width}x{learning_rate}")
    assert made.group == "8x0.001_batch_size-5"
    made = changed(
        "batch_size",
        20,
        5,
        group="mlp8x0.001",
        model={"factory": "$net", "kwargs": {"width": "$width"}},
        grid={**CONFIG["grid"], "net": ["mlp"]},
        name="{net}{width}x{learning_rate}",
    )
    assert made.facts["net"] == "mlp"


def test_a_value_that_does_not_fit_the_recipe_is_an_error():
    training = {**CONFIG["training"], "warmup": "$learning_rate"}  # a share, up to 1
    with pytest.raises(RecipeError, match=r"learning_rate 2\.0 does not fit the recipe: .*warmup"):
        changed("learning_rate", 0.001, 2.0, training=training)


def test_a_group_that_is_not_of_the_zoo_is_an_error():
    with pytest.raises(RecipeError, match="group 'other' is not of the zoo"):
        changed("batch_size", 20, 5, group="other")


def test_a_group_that_was_not_trained_is_no_neighbour():
    zoo = Zoo.model_validate(CONFIG)
    source = source_of(zoo)
    change = AdvisedChange(remedy="raise_temperature", fact="learning_rate", old=0.001, new=0.008)
    made = changed_point(source, point_of(source, row(POINT)), change, seeds=2)
    assert trained_neighbour(source, made) is None


def test_a_run_directory_is_described_by_its_recipe_and_its_facts():
    recipe = Recipe.model_validate(
        {
            "model": {"factory": "mlp", "kwargs": {"width": 8}},
            "data": {"source": "digits", "amount": 200},
            "training": {"learning_rate": "$learning_rate", "batch_size": 20},
            "facts": {"team": "blue"},
        }
    )
    facts = {
        "learning_rate": 0.1,
        "epochs": 4.0,
        "steps": 40,
        "parameters": 610,
        "optimizer": "torch.optim.AdamW",
        "schedule": "CosineAnnealingLR",
        "test_accuracy": 50.0,
    }
    source = source_of(recipe=recipe)
    change = AdvisedChange(remedy="lower_temperature", fact="learning_rate", old=0.1, new=0.025)
    point = point_of(source, row("runs/a b", facts))
    made = changed_point(source, point, change, seeds=2)
    training = made.zoo.training
    assert (training.epochs, training.steps) == (4, None)
    assert (training.optimizer, training.schedule) == ("adamw", "cosine")
    assert made.group == "runs_a_b_learning_rate-0.025"
    assert made.facts == {"learning_rate": 0.025, "epochs": 4, "steps": 40, "team": "blue"}


def test_without_a_word_for_the_schedule_it_is_said_what_is_assumed():
    recipe = Recipe.model_validate(
        {
            "model": {"factory": "mlp", "kwargs": {"width": 8}},
            "training": {"learning_rate": 0.1, "batch_size": 20},
        }
    )
    point = point_of(source_of(recipe=recipe), row("a", {"steps": 10}))
    assert point.notes[-1].startswith("the fact schedule is not known")
    assert point.content["training"]["steps"] == 10


def test_folders_have_short_plain_names():
    assert folder_name("bs_8/w4") == "bs_8_w4"
    assert folder_name("../x") == "_x"
    long = folder_name("a" * 500)
    assert len(long) < 140
    assert long != folder_name("a" * 501)

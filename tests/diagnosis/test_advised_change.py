"""The one change that a verdict advises."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mdtree.diagnosis import Diagnoser, NothingAdvisedError, advised_changes, advised_remedy
from mdtree.diagnosis.change_size import change_of
from mdtree.exceptions import MdtreeError
from mdtree.rows import GroupFailure
from mdtree.trees import Leaf
from mdtree.trees.node import RemedyGain
from tests.support.confirming import advising
from tests.support.rows import row
from tests.support.trees import leaf, small_tree

FACTS = {"learning_rate": 0.001, "batch_size": 32, "width": 8, "data_amount": 200}
GROUP = row("g", FACTS, train_error=50.0, test_error=60.0)


def verdict(tree=None, group=GROUP, **settings):
    return Diagnoser(tree or advising(), name="by hand", **settings)(group)


def test_the_change_of_the_verdict_comes_first_and_other_knobs_after_it():
    remedy = advised_remedy(verdict())
    assert remedy == "raise_temperature"
    first, second = advised_changes(verdict(), GROUP, remedy)
    assert (first.fact, first.old, first.new) == ("learning_rate", 0.001, 0.008)
    assert (second.fact, second.old, second.new) == ("batch_size", 32, 8)


def test_without_a_gain_known_facts_are_changed_by_the_usual_factor():
    found = advised_changes(verdict(), GROUP, "enlarge_model")
    assert [(change.fact, change.old, change.new) for change in found] == [("width", 8, 32)]


def test_training_that_diverged_gets_a_tenth_of_the_learning_rate():
    lost = row("lost", FACTS, failure=GroupFailure(kind="DivergedError", reason="NaN"))
    found = verdict(group=lost)
    assert advised_remedy(found) == "lower_temperature"
    first = advised_changes(found, lost, "lower_temperature")[0]
    assert (first.fact, first.old, first.new) == ("learning_rate", 0.001, 0.0001)


@pytest.mark.parametrize("mode", ["none", "data_small"])
def test_a_verdict_that_advises_nothing_says_what_is_missing(mode):
    with pytest.raises(NothingAdvisedError, match="advises no single change: leave training"):
        advised_remedy(verdict(advising("none")))
    unsure = advising(mode, "add_data", "data_amount", temperature_low=9.0)
    with pytest.raises(NothingAdvisedError, match=r"is unsure \(most probable: .*What is missing"):
        advised_remedy(verdict(unsure))


def test_a_verdict_that_leaves_the_direction_open_advises_no_single_change():
    tree = small_tree(
        leaf("temperature", temperature=10.0),
        features=("train_error",),
        task="width",
        classes=("model_small", "temperature"),
    )
    with pytest.raises(NothingAdvisedError, match="does not say in which direction"):
        advised_remedy(verdict(tree))
    assert advised_remedy(verdict(tree), "lower_temperature") == "lower_temperature"


def test_an_unknown_remedy_and_an_unknown_fact_are_errors():
    with pytest.raises(MdtreeError, match="'add_dat' is unknown, did you mean 'add_data'"):
        advised_remedy(verdict(), "add_dat")
    bare = row("g", {}, train_error=50.0, test_error=60.0)
    with pytest.raises(MdtreeError, match="changes batch_size or learning_rate, and neither"):
        advised_changes(verdict(group=bare), bare, "raise_temperature")
    one = row("g", {"batch_size": 1}, train_error=50.0, test_error=60.0)
    with pytest.raises(MdtreeError, match="batch_size 1 cannot be changed further"):
        advised_changes(verdict(group=one), one, "raise_temperature")


@pytest.mark.parametrize(
    ("facts", "fact"),
    [
        ({"learning_rate": 0.02, "batch_size": 32, "steps": 4000}, "batch_size"),
        # 148 steps: with a batch twice as large there would be 74
        ({"learning_rate": 0.02, "batch_size": 32, "steps": 148}, "learning_rate"),
        # far from what Adam is given, and usual for SGD
        (
            {"learning_rate": 0.031, "batch_size": 32, "steps": 4000, "optimizer": "adamw"},
            "learning_rate",
        ),
    ],
)
def test_a_larger_batch_leaves_steps_and_the_rate_is_held_to_its_optimizer(facts, fact):
    leaf = Leaf(
        answer="temperature_high",
        counts={"temperature_high": 1.0},
        ways={"lower_temperature": RemedyGain(low=1.0, high=9.0, fact="batch_size", factor=4.0)},
    )
    asked = replace(GROUP, facts={"data_amount": 1200, **facts})
    found, factor = change_of("lower_temperature", leaf, asked, doublings=2.0)
    assert (found, factor) == (fact, 4.0 if fact == "batch_size" else 0.25)

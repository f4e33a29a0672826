"""What was not measured: by metric, with a reason, and with what it may change."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from mdtree.diagnosis import TreeEnsemble
from mdtree.diagnosis.missing import (
    metric_of,
    missing_measurements,
    most_changes,
    untold_facts,
)
from mdtree.rows import FACTS, Missing, Provenance
from mdtree.rows.training_words import TRAINING_WORDS
from mdtree.trees import FEATURES, Leaf, SavedTree
from tests.support.rows import row
from tests.support.trees import split

ALL = ("train_error", "cka", "log_hessian_top", "log_hessian_trace", "log_peak_ratio")


def leaf(**counts):
    return Leaf(answer=max(counts, key=counts.get), counts=counts)


def of_checkpoints(count):
    known = Provenance(
        weights={f"seed-{seed}.pt": "0" * 64 for seed in range(count)},
        recipe="",
        metrics=("error_rate",),
        seed=0,
        device="cpu",
        seconds=1.0,
        versions={},
    )
    return replace(row(train_error=1.0), provenance=known)


def lacking(node, group, features=ALL):
    saved = SavedTree(
        task="failure",
        method="cart",
        protocol="standard-1",
        classes=("data_small", "model_small", "none"),
        features=features,
        groups=1,
        ranges={},
        provenance={},
        tree=node,
    )
    ensemble, lines = TreeEnsemble(saved), saved.matrix([group])
    return missing_measurements(ensemble, [group], lines, ensemble.probabilities(lines))[0]


TREE = split(
    "cka",
    0.5,
    split("log_hessian_top", 2, leaf(none=6), leaf(data_small=2)),
    split("log_hessian_trace", 3, leaf(model_small=3), leaf(none=1), missing="high"),
)


def test_the_chance_to_flip_is_the_share_of_groups_in_leaves_that_say_otherwise():
    hessian, similarity = lacking(TREE, row(train_error=1))
    assert (hessian.metric, hessian.features) == (
        "hessian",
        ("log_hessian_top", "log_hessian_trace"),
    )
    assert hessian.flips == pytest.approx(2 / 8)  # the walk goes low, to 6 `none`
    assert (similarity.metric, similarity.features) == ("similarity", ("cka",))
    assert similarity.flips == 0  # on either side, what else is missing leads to `none`


@pytest.mark.parametrize(
    ("known", "metric", "flips"),
    [
        ({"hessian_top": math.e, "hessian_trace": math.e}, "similarity", 3 / 9),
        ({"hessian_top": math.e**3, "hessian_trace": math.e}, "similarity", 3 / 5),
        ({"cka": 0.9}, "hessian", 3 / 4),
        ({"cka": 0.1}, "hessian", 2 / 8),
    ],
)
def test_what_is_known_decides_which_leaves_may_be_reached(known, metric, flips):
    (lack,) = lacking(TREE, row(**known))
    assert (lack.metric, lack.flips) == (metric, pytest.approx(flips))


def test_where_all_is_known_nothing_is_missed():
    assert lacking(TREE, row(hessian_top=1, hessian_trace=1, cka=0.5)) == ()
    assert lacking(leaf(none=3), row()) == ()


def test_features_that_the_tree_does_not_ask_for_are_not_missed():
    assert lacking(split("train_error", 1, leaf(none=1), leaf(none=2)), row(train_error=3)) == ()


@pytest.mark.parametrize(
    ("feature", "known", "metric"),
    [
        ("train_error", {}, "error_rate"),
        ("cka", {}, "similarity"),
        ("log_hessian_share", {}, "hessian"),
        ("alpha", {}, "spectrum"),
        ("log_peak_ratio", {}, "connectivity"),
        ("log_peak_ratio", {"train_error": 1.0}, "connectivity"),
        ("log_peak_ratio", {"connectivity_peak": -1.0}, "error_rate"),
        ("log_peak_ratio", {"connectivity_peak": Missing(missing="?")}, "connectivity"),
        ("log_hessian_trace", {"hessian_trace": -1.0}, "hessian"),
        ("log_parameters", {}, "facts"),
        ("log_data_amount", {"train_error": 1.0}, "facts"),
        ("log_edge", {}, "hessian"),
        ("log_edge", {"hessian_top": 2.0}, "facts"),
        ("log_distance", {}, "similarity"),
        ("log_distance", {"weight_distance": 2.0}, "facts"),
        ("log_epochs", {}, "facts"),
    ],
)
def test_each_feature_names_the_metric_that_would_tell_it(feature, known, metric):
    assert metric_of(feature, row(**known)) == metric


@pytest.mark.parametrize("name", FEATURES)
def test_every_feature_has_a_metric_and_a_reason(name):
    (lack,) = lacking(split(name, 1, leaf(none=1), leaf(data_small=1)), row(), features=(name,))
    assert lack.metric == metric_of(name, row())
    assert lack.reason


@pytest.mark.parametrize(
    ("feature", "group", "reason"),
    [
        ("cka", row(), "cka was not measured"),
        ("cka", of_checkpoints(2), "cka was not measured"),
        ("cka", of_checkpoints(1), "needs 2 checkpoints, found 1"),
        ("connectivity", of_checkpoints(1), "needs 2 checkpoints, found 1"),
        ("log_hessian_top", of_checkpoints(1), "hessian_top was not measured"),
        ("cka", row(cka=Missing(missing="needs 2 checkpoints, found 1")), "needs 2 checkpoints"),
        ("log_peak_ratio", row(connectivity_peak=-1), "train_error was not measured"),
        ("log_hessian_trace", row(hessian_trace=-3.5), "log_hessian_trace cannot be computed: it "),
        ("log_peak_ratio", row(connectivity_peak=-1, train_error=-7), "log_peak_ratio cannot be"),
        ("log_data_amount", row(), "the fact data_amount is not known"),
        (
            "log_data_amount",
            row(facts={"data_amount": "many"}),
            "log_data_amount cannot be computed",
        ),
        ("log_data_amount", row(facts={"data_amount": 0}), "needs a positive number"),
        ("log_edge", row(), "hessian_top was not measured"),
        ("log_edge", row(hessian_top=2), "the fact learning_rate is not known"),
        ("log_edge", row(facts={"learning_rate": 0.0}, hessian_top=2), "needs a positive number"),
        ("log_edge", row(facts={"learning_rate": 0.1}, hessian_top=-2), "needs a positive number"),
        ("log_steps", row(facts={"epochs": 3, "batch_size": 4}), "the fact steps is not known"),
        (
            "log_steps",
            row(facts={"epochs": 0, "batch_size": 4, "data_amount": 9}),
            "a positive number",
        ),
        ("log_training_time", row(facts={"steps": 9}), "the fact learning_rate is not known"),
    ],
)
def test_the_reason_says_why_it_is_not_known(feature, group, reason):
    (lack,) = lacking(
        split(feature, 1, leaf(none=1), leaf(data_small=1)), group, features=(feature,)
    )
    assert reason in lack.reason


@pytest.mark.parametrize(
    ("facts", "untold"),
    [
        ({}, ["learning_rate", "steps"]),
        ({"learning_rate": 0.1}, ["steps"]),
        ({"epochs": 2, "batch_size": 4, "data_amount": 9}, ["learning_rate"]),
        ({"epochs": 2, "batch_size": 4}, ["learning_rate", "steps"]),
        ({"steps": "many", "learning_rate": 0}, []),  # told, though it is of no use
    ],
)
def test_facts_that_follow_from_others_are_not_asked_for(facts, untold):
    assert untold_facts("log_training_time", row(facts=facts)) == untold


@pytest.mark.parametrize("name", FEATURES)
def test_what_is_to_be_told_is_a_fact_that_people_know(name):
    facts = {*FACTS, *TRAINING_WORDS}
    assert set(untold_facts(name, row())) == set(FEATURES[name].needs) & facts


def test_a_word_that_is_told_and_not_understood_is_named():
    tree = split("adaptive", 0.5, leaf(none=6), leaf(data_small=2))
    (facts,) = lacking(tree, row(facts={"optimizer": "my own"}), ("adaptive",))
    assert facts.reason == "the optimizer 'my own' is not one that mdtree knows"
    (facts,) = lacking(tree, row(), ("adaptive",))
    assert facts.reason == "the fact optimizer is not known"


@pytest.mark.parametrize(
    ("probability", "at_most", "chance"),
    [
        (0.9, 0.5, 0.2),  # with 1/5 it falls to 1/2, else it rises to 1: 0.9 on average
        (0.6, 0.5, 0.8),
        (0.5, 0.5, 1.0),
        (0.2, 0.5, 1.0),
        (1.0, 0.5, 0.0),
        (1.0, 0.6, 0.0),
        (0.9, 0.6, 0.25),
        (0.7, 0.0, 0.3),
        (1.0, 1.0, 1.0),  # it is never above 1
    ],
)
def test_a_probable_answer_seldom_changes(probability, at_most, chance):
    assert most_changes(probability, at_most=at_most) == pytest.approx(chance)

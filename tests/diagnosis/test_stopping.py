"""Stopping: a metric is measured where it may change the verdict, and its time is worth that."""

from __future__ import annotations

import numpy as np
import pytest

from mdtree.diagnosis import Diagnoser, next_metric, prospects
from mdtree.rows import Missing
from mdtree.trees import PosteriorTree, Split
from mdtree.trees.template import Family, Question, TemplateLeaf
from tests.support.rows import row
from tests.support.small_gain_models import constant, gain_tree, question
from tests.support.trees import HIGH, LOW, leaf_of_ten, small_tree

FREE = {"error_rate": 0.0, "similarity": 0.0, "hessian": 0.0, "connectivity": 0.0}


def chosen(diagnoser, row, seconds=FREE):
    """Name the metric to measure next."""
    prospect = next_metric(diagnoser, row, seconds)
    return None if prospect is None else prospect.metrics[0]


# train_error <= 1 -> low; otherwise cka decides, then the Hessian


@pytest.mark.parametrize(
    ("values", "metric"),
    [
        ({"train_error": 0.5}, None),  # nothing below matters
        ({"train_error": 2.0}, "similarity"),
        ({"train_error": 2.0, "cka": 0.4}, None),
        ({"train_error": 2.0, "cka": 0.6}, "hessian"),
        ({"train_error": 2.0, "cka": 0.6, "hessian_trace": 1000.0}, None),
        ({}, "error_rate"),
    ],
)
def test_the_walk_through_a_single_tree_asks_for_one_metric_after_the_other(values, metric):
    assert chosen(Diagnoser(small_tree(), name="t"), row(**values)) == metric


def test_a_metric_that_cannot_be_measured_is_not_asked_for():
    diagnoser = Diagnoser(small_tree(), name="t")
    known = row(train_error=2.0, cka=Missing(missing="needs 2 checkpoints, found 1"))
    assert chosen(diagnoser, known, {"hessian": 0.0}) is None  # the walk goes past it
    assert chosen(diagnoser, row(train_error=2.0), {}) is None


def test_both_sides_with_the_same_answer_settle_a_verdict():
    tree = Split(feature="cka", threshold=0.5, low=leaf_of_ten(LOW), high=leaf_of_ten(LOW))
    assert chosen(Diagnoser(small_tree(tree, ("cka",)), name="t"), row()) is None


def posterior(seed=0):
    """Learn from groups whose train_error decides, and whose cka says something above 1 %."""
    rng = np.random.default_rng(seed)
    errors = np.concatenate([rng.uniform(0, 0.5, 40), rng.uniform(3, 20, 40)])
    alike = rng.uniform(0, 1, 80)
    labels = np.where((errors < 1) | (alike < 0.5), LOW, HIGH)
    low, high = TemplateLeaf(LOW), TemplateLeaf(HIGH)
    deeper = Question(feature="cka", start=0.5, bounds=(0.0, 1.0), spread=0.2, low=low, high=high)
    shape = Question(feature="train_error", start=1.0, bounds=(0.0, 20.0), low=low, high=deeper)
    features = ("train_error", "cka")
    tree = PosteriorTree(features=features, family=Family(shapes=((1.0, shape),)))
    tree.fit(np.column_stack([errors, alike]), labels)
    return small_tree(
        tree.tree_, features, method="posterior", classes=tuple(map(str, tree.classes_)),
        components=tuple(tree.components_),
    )  # fmt: skip


def test_all_plausible_trees_must_agree_before_a_verdict_is_settled():
    diagnoser = Diagnoser(posterior(), name="t")
    assert chosen(diagnoser, row(train_error=0.1)) is None
    assert chosen(diagnoser, row(train_error=10.0)) == "similarity"


def test_what_is_settled_stays_so_whatever_is_measured():
    diagnoser = Diagnoser(posterior(), name="t")
    verdicts = {diagnoser(row(train_error=0.1, cka=cka)).mode for cka in np.linspace(-1, 2, 31)}
    assert verdicts == {LOW}


def test_a_higher_confidence_keeps_a_verdict_open():
    easy, strict = (Diagnoser(posterior(), name="t", confidence=share) for share in (0.5, 0.999))
    known = row(train_error=10.0, cka=0.9)
    assert (easy(known).mode, strict(known).mode) == (HIGH, "unsure")
    assert chosen(strict, known) is None


@pytest.mark.parametrize(
    ("model", "settled"),
    [
        (question(0, 0.5, 0.1, 0.1), True),
        (question(0, 0.5, 0.1, 0.4), False),
        (constant(0.9), True),
    ],
    ids=["the same on both sides", "another on each side", "the largest"],
)
def test_a_regression_decides_what_is_settled_and_not_the_leaf_that_explains(model, settled):
    """A larger network gains 0.2; the tree that explains asks for nothing."""
    tree = gain_tree({"add_data": model, "enlarge_model": constant(0.2)})
    diagnoser = Diagnoser(tree, name="t", confidence=0.0)
    known = row(test_error=20.0)
    assert chosen(diagnoser, known) == (None if settled else "similarity")
    assert chosen(diagnoser, row(test_error=20.0, cka=0.9)) is None


def test_metrics_that_a_regression_does_not_look_at_are_not_measured_for_it():
    tree = gain_tree({"add_data": question(0, 0.5, 0.1, 0.4), "enlarge_model": constant(0.2)})
    diagnoser = Diagnoser(tree, name="t", confidence=0.0)
    assert chosen(diagnoser, row(), {"error_rate": 0.0, "hessian": 0.0}) is None


@pytest.mark.parametrize(("seconds", "metric"), [(60.0, "similarity"), (1e6, None)])
def test_a_metric_that_takes_long_must_change_the_verdict_likely(seconds, metric):
    """One of two groups has another verdict: worth a minute, and not worth twelve days."""
    tree = Split(feature="cka", threshold=0.5, low=leaf_of_ten(LOW), high=leaf_of_ten(HIGH))
    diagnoser = Diagnoser(small_tree(tree, ("cka",)), name="t")
    assert chosen(diagnoser, row(), {"similarity": seconds}) == metric
    (prospect,) = prospects(diagnoser, row(), {"similarity": seconds})
    assert (prospect.metrics, prospect.seconds) == (("similarity",), seconds)
    assert prospect.surplus == pytest.approx(prospect.change - 0.01 - seconds / 6000)


def test_numbers_that_say_something_only_together_are_seen_together():
    """The Hessian alone changes nothing where CKA has not been measured; both may."""
    hessian = Split(
        feature="log_hessian_trace", threshold=5.0, low=leaf_of_ten(LOW), high=leaf_of_ten(HIGH)
    )
    tree = Split(feature="cka", threshold=0.5, low=leaf_of_ten(LOW), high=hessian)
    diagnoser = Diagnoser(small_tree(tree, ("cka", "log_hessian_trace")), name="t")
    changes = {each.metrics: each.change for each in prospects(diagnoser, row(), FREE)}
    assert changes["similarity",] == changes["hessian",] == 0
    both = next_metric(diagnoser, row(), FREE)
    assert both.metrics == ("similarity", "hessian")
    assert both.change > 0


def test_the_cheapest_that_is_worth_its_time_comes_first():
    """The Hessian changes the verdict more often, and CKA may settle it before."""
    hessian = Split(
        feature="log_hessian_trace", threshold=5.0, low=leaf_of_ten(LOW), high=leaf_of_ten(HIGH)
    )
    tree = Split(feature="cka", threshold=0.5, low=leaf_of_ten(LOW), high=hessian, missing="high")
    diagnoser = Diagnoser(small_tree(tree, ("cka", "log_hessian_trace")), name="t")
    changes = {each.metrics: each.surplus for each in prospects(diagnoser, row(), FREE)}
    assert changes["hessian",] > 0
    only = {name: FREE[name] for name in ("hessian",)}
    assert chosen(diagnoser, row(), only) == "hessian"
    assert chosen(diagnoser, row()) == ("similarity" if changes["similarity",] >= 0 else "hessian")

"""Choosing a tree: by protocol, by nearness, by size, and with the reason in words."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mdtree.diagnosis import choose_tree
from mdtree.exceptions import ProtocolError, TreeError
from mdtree.rows import Measured, Row
from mdtree.trees import Leaf, SavedTree, TrainingDistribution, training_distribution
from mdtree.trees.bundled import shipped_trees

FEATURES = ("cka", "train_error")


def row(cka=0.5, train_error=1.0, *, protocol="p"):
    numbers = {"cka": cka, "train_error": train_error}
    values = {name: Measured(value=v) for name, v in numbers.items() if v is not None}
    return Row(format=1, group="g", protocol=protocol, facts={}, quantities=values)


def around(centre):
    """A population of groups around one value of both features."""
    return training_distribution(centre + np.random.default_rng(0).normal(size=(40, 2)), FEATURES)


def tree(population=None, *, groups=40, protocol="p", task="failure"):
    return SavedTree(
        task=task,
        method="cart",
        protocol=protocol,
        classes=("none",),
        features=FEATURES,
        groups=groups,
        ranges={},
        provenance={},
        tree=Leaf(answer="none", counts={}),
        population=population,
    )


TREES = {"near one": tree(around(1.0)), "near nine": tree(around(9.0), groups=4000)}


@pytest.mark.parametrize(
    ("rows", "name"),
    [
        ([row(1, 1)], "near one"),
        ([row(9, 9)], "near nine"),
        ([row(1, 1), row(1, 2), row(9, 9)], "near one"),  # the median
        ([row(None, 8)], "near nine"),
        ([row(-1e308, 0)], "near one"),
    ],
)
def test_the_tree_whose_training_groups_are_nearest_is_taken(rows, name):
    chosen = choose_tree(rows, TREES)
    assert (chosen.name, chosen.saved) == (name, TREES[name])


def test_the_reason_names_both_distances_in_units_of_the_limit():
    choice = choose_tree([row(1.2, 0.7)], TREES)
    near = {}
    for name, saved in TREES.items():
        distance, limit = saved.population.distance({"cka": 1.2, "train_error": 0.7})
        near[name] = f"{distance / limit:.2f}"
    assert choice.why == (
        "of the trees for protocol p, its training groups are nearest "
        f"({near['near one']} of the usual limit; near nine: {near['near nine']})"
    )


def test_of_equally_near_trees_the_one_with_more_groups_is_taken():
    trees = {"few": tree(around(1), groups=30), "many": tree(around(1), groups=300)}
    for order in (trees, dict(reversed(trees.items()))):
        assert choose_tree([row()], order).name == "many"


@pytest.mark.parametrize(
    "population",
    [
        None,
        TrainingDistribution(quantiles={"cka": (0, 1)}, names=(), correlation=(), limit=math.inf),
    ],
    ids=["none", "without a distance"],
)
def test_a_tree_that_knows_no_distance_is_the_last(population):
    trees = {"blind": tree(population, groups=9000), "far": tree(around(99))}
    assert choose_tree([row()], trees).name == "far"
    blind = choose_tree([row()], {"one": tree(population), "two": tree(population, groups=50)})
    assert blind.name == "two"
    assert blind.why == "of the trees for protocol p, it was fitted on the most groups"


def test_rows_without_numbers_get_the_tree_with_the_most_groups():
    assert choose_tree([row(None, None)], TREES).name == "near nine"


def test_the_only_tree_needs_no_comparison():
    choice = choose_tree([row(50, 50)], {"one": tree(around(1)), "other": tree(protocol="q")})
    assert choice.name == "one"
    assert choice.why == "it is the only tree for protocol p that answers with all failure modes"


@pytest.mark.parametrize(
    ("trees", "known"),
    [
        ({}, "none"),
        ({"a": tree(protocol="r"), "b": tree(protocol="q")}, "q, r"),
        ({"a": tree(task="width")}, "none"),
    ],
    ids=["no trees", "other protocols", "another task"],
)
def test_without_a_fitting_tree_the_error_says_what_there_is(trees, known):
    with pytest.raises(
        ProtocolError, match=r"no tree that comes .* protocol p .*`mdtree fit`"
    ) as stop:
        choose_tree([row()], trees)
    assert f"(there are trees for {known}): fit one" in str(stop.value)


def test_rows_of_several_protocols_have_no_common_tree():
    with pytest.raises(ProtocolError, match=r"2 protocols \(p, q\)"):
        choose_tree([row(), row(protocol="q")], TREES)
    with pytest.raises(TreeError, match="no rows"):
        choose_tree([], TREES)


def test_rows_of_the_published_protocol_get_a_shipped_tree_that_answers_with_all_modes():
    choice = choose_tree([row(protocol="paper-1")], shipped_trees())
    assert choice.saved.task == "failure"
    assert choice.saved.protocol == "paper-1"

"""A tree as data: the walk of one group and the walk of all at once are the same walk."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdtree.failure_modes import Move, RoomForImprovement
from mdtree.trees import Leaf, RemedyGain, Split, Step, ends, leaves, walk, with_gains
from mdtree.trees.node import kind, weight_of
from tests.support.trees import leaf, split

COLUMNS = {"a": 0, "b": 1, "c": 2}

numbers = st.sampled_from([-1.0, 0.0, 0.5, 1.0, math.nan, math.inf, -math.inf])
grown = st.recursive(
    st.builds(Leaf, answer=st.sampled_from("xyz"), counts=st.just({"x": 3.0, "y": 4.0})),
    lambda inner: st.builds(
        Split,
        feature=st.sampled_from("abc"),
        threshold=st.sampled_from([-1.0, 0.0, 0.5, 1.0]),
        low=inner,
        high=inner,
        missing=st.sampled_from(["low", "high"]),
    ),
    max_leaves=12,
)


TREE = split(
    "a", 1, leaf("x", x=3), split("b", 2, leaf("y", y=4), leaf("z", x=1, z=2), missing="high")
)


@given(grown, st.lists(st.tuples(numbers, numbers, numbers), max_size=7))
def test_one_walk_and_all_walks_agree(tree, lines):
    matrix = np.array(lines, dtype=float).reshape(-1, 3)
    leaf_of = {}
    for end, where in ends(tree, matrix, COLUMNS):
        leaf_of.update(dict.fromkeys(where.tolist(), end))
    alone = [walk(tree, dict(zip(COLUMNS, line, strict=True)))[1] for line in lines]
    assert [leaf_of[number] for number in range(len(lines))] == alone


@given(grown, st.lists(st.tuples(numbers, numbers, numbers), max_size=7))
def test_every_line_ends_in_exactly_one_leaf(tree, lines):
    matrix = np.array(lines, dtype=float).reshape(-1, 3)
    reached = list(ends(tree, matrix, COLUMNS))
    assert [end for end, _ in reached] == list(leaves(tree))
    assert sorted(line for _, where in reached for line in where) == list(range(len(lines)))


def test_a_walk_tells_each_question_with_its_value_and_the_way_it_went():
    steps, end = walk(TREE, {"a": 1.5, "b": 2})
    assert steps == [
        Step(feature="a", value=1.5, threshold=1, went="high"),
        Step(feature="b", value=2, threshold=2, went="low"),
    ]
    assert end.answer == "y"


def test_a_value_at_the_threshold_goes_low_and_the_next_number_above_goes_high():
    assert walk(TREE, {"a": 1.0})[1].answer == "x"
    assert walk(TREE, {"a": math.nextafter(1.0, 2), "b": 0})[1].answer == "y"


@pytest.mark.parametrize("values", [{"a": 5}, {"a": 5, "b": math.nan}])
def test_a_missing_value_goes_the_way_of_the_split(values):
    steps, end = walk(TREE, values)
    assert end.answer == "z"
    assert steps[-1].went == "high"
    assert math.isnan(steps[-1].value)


def test_infinite_values_go_to_the_sides():
    assert walk(TREE, {"a": -math.inf})[1].answer == "x"
    assert walk(TREE, {"a": math.inf, "b": math.inf})[1].answer == "z"


def test_a_leaf_alone_is_a_tree():
    assert walk(leaf("x"), {}) == ([], leaf("x"))
    ((end, lines),) = ends(leaf("x"), np.zeros((3, 0)), {})
    assert (end, lines.tolist()) == (leaf("x"), [0, 1, 2])


def test_leaves_come_from_low_to_high_and_weights_add_up():
    assert [end.answer for end in leaves(TREE)] == ["x", "y", "z"]
    assert [weight_of(TREE), weight_of(TREE.high), weight_of(TREE.low)] == [10, 7, 3]


def rooms(*gains, moves=({},)):
    moves = moves if len(moves) == len(gains) else [{} for _ in gains]
    return [
        RoomForImprovement(gains=g, step={}, margin=0.5, moves=m)
        for g, m in zip(gains, moves, strict=True)
    ]


def test_gains_are_the_means_over_the_groups_of_a_leaf():
    matrix = np.array([[0, 0, 0], [1, 9, 0], [2, 2, 0], [2, 3, 0], [2, np.nan, 0]])
    gains = [{"up": 1.0}, {"up": 4.0}, {"up": 5.0, "down": 1.0}, {"down": 3.0}, {}]
    gained = with_gains(TREE, matrix, COLUMNS, rooms(*gains))
    assert [end.gains for end in leaves(gained)] == [
        {"up": 2.5},
        {"up": 5.0, "down": 1.0},
        {"down": 3.0},  # the mean over those that know it
    ]
    assert [end.counts for end in leaves(gained)] == [end.counts for end in leaves(TREE)]


def test_ways_say_how_the_gains_spread_and_which_change_brought_them():
    batch, rate = Move("batch_size", 0.25), Move("learning_rate", 4.0)
    gains = [{"up": float(n)} for n in range(11)]
    moves = [{}, *({"up": batch} for _ in range(6)), *({"up": rate} for _ in range(4))]
    gained = with_gains(leaf("x"), np.zeros((11, 1)), {"a": 0}, rooms(*gains, moves=moves))
    assert gained.ways == {"up": RemedyGain(low=1.0, high=9.0, fact="batch_size", factor=0.25)}


def test_the_factor_of_a_way_is_the_median_of_those_who_gain():
    moves = [{"up": Move("width", factor)} for factor in (2.0, 4.0, 32.0)] + [{}]
    gains = [{"up": 1.0}, {"up": 2.0}, {"up": 3.0}, {"up": 0.0}]
    gained = with_gains(leaf("x"), np.zeros((4, 1)), {"a": 0}, rooms(*gains, moves=moves))
    assert gained.ways["up"].factor == 4.0


def test_a_leaf_object_that_stands_at_two_places_gets_the_gains_of_each():
    same = leaf("x")
    gained = with_gains(
        split("a", 0, same, same),
        np.array([[-1.0], [1.0]]),
        {"a": 0},
        rooms({"up": 1.0}, {"up": 2.0}),
    )
    assert [end.gains for end in leaves(gained)] == [{"up": 1.0}, {"up": 2.0}]


def test_a_leaf_that_no_group_reaches_has_no_gains():
    gained = with_gains(TREE, np.array([[0.0, 0, 0]]), COLUMNS, rooms({"up": 1.0}))
    assert [end.gains for end in leaves(gained)] == [{"up": 1.0}, {}, {}]


def test_nodes_do_not_change():
    with pytest.raises(FrozenInstanceError):
        TREE.threshold = 3


def test_a_question_is_told_from_an_end_in_python_and_in_json():
    kinds = [kind(part) for part in (TREE, leaf(), {"feature": "a"}, {"answer": "x"}, 5)]
    assert kinds == ["split", "leaf", "split", "leaf", "leaf"]

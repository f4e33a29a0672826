"""Forests: the same numbers as scikit-learn's, and lists that are no tree."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesRegressor

from mdtree.trees.estimators.base import as_float32
from mdtree.trees.estimators.gains import _converted
from mdtree.trees.forest import Forest
from tests.support.small_forests import constant, question, regression_tree


def tree(feature=(0, -1, -1), number=(0.5, 1.0, 2.0), high=(2, 0, 0), missing=(True, False, False)):
    return regression_tree(feature, number, high, missing)


def test_a_value_at_the_threshold_is_low_and_a_missing_one_has_its_way():
    lines = np.array([[0.5], [0.6], [np.nan], [-9.0]])
    assert tree().predict(lines).tolist() == [1.0, 2.0, 2.0, 1.0]
    assert tree(missing=(False,) * 3).predict(lines).tolist() == [1.0, 2.0, 1.0, 1.0]


def test_a_leaf_alone_answers_everything():
    alone = tree(feature=(-1,), number=(7.0,), high=(0,), missing=(False,))
    assert alone.predict(np.zeros((3, 0))).tolist() == [7.0, 7.0, 7.0]


@pytest.mark.parametrize("seed", range(3))
def test_the_numbers_are_those_of_scikit_learn(seed):
    """But for rounding: leaves to four digits, thresholds to six."""
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(157, 4)).astype(np.float32)
    matrix[rng.random(matrix.shape) < 0.1] = np.nan
    gains = rng.random(157)
    forest = ExtraTreesRegressor(n_estimators=7, min_samples_leaf=3, random_state=seed)
    forest.fit(matrix, gains)
    ours = Forest(trees={"add_data": [_converted(each.tree_) for each in forest.estimators_]})
    others = rng.normal(size=(83, 4)).astype(np.float32)
    others[rng.random(others.shape) < 0.1] = np.nan
    expected = forest.predict(others)
    assert ours.gains(others.astype(float))["add_data"] == pytest.approx(expected, abs=1e-4)


def holed(rng, lines, *, scale=1.0):
    matrix = (scale * rng.normal(size=(lines, 4))).astype(np.float32)
    matrix[rng.random(matrix.shape) < 0.1] = np.nan
    return matrix


@pytest.mark.parametrize("scale", [1e-5, 1.0, 1e9])
def test_lines_end_in_the_leaves_of_scikit_learn_whatever_their_unit_is(scale):
    rng = np.random.default_rng(5)
    matrix, gains = holed(rng, 157, scale=scale), rng.random(157)
    forest = ExtraTreesRegressor(n_estimators=5, min_samples_leaf=2, random_state=1)
    forest.fit(matrix, gains)
    others = np.concatenate([matrix, holed(rng, 83, scale=scale)])
    for each in forest.estimators_:
        ours = _converted(each.tree_).predict(others.astype(float))
        assert ours == pytest.approx(each.predict(others), abs=6e-5)


@pytest.mark.parametrize("value", [0.7, -0.7, 1 / 3, 1e-5, 123456.789, 0.0])
def test_a_value_that_all_groups_have_stays_on_its_side_of_what_is_missing(value):
    """Its threshold is the value itself, in single precision, which may lie below it."""
    matrix = np.array([[value], [np.nan]] * 8)
    gains = np.tile([0.2, 0.9], 8)
    forest = ExtraTreesRegressor(n_estimators=8, random_state=0).fit(matrix, gains)
    for each in forest.estimators_:
        assert _converted(each.tree_).predict(matrix) == pytest.approx(each.predict(matrix))


def test_values_beyond_single_precision_are_on_a_side():
    matrix = np.array([[-1e300], [1e300], [np.nan]] * 6)
    gains = np.tile([0.2, 0.9, 0.5], 6)
    single = as_float32(matrix)
    forest = ExtraTreesRegressor(n_estimators=4, random_state=0).fit(single, gains)
    for each in forest.estimators_:
        assert _converted(each.tree_).predict(matrix) == pytest.approx(each.predict(single))


@pytest.mark.parametrize("seed", range(20))
def test_every_walk_through_lists_that_are_allowed_ends_in_a_leaf(seed):
    """The high side is drawn anywhere behind its question, also into the middle of others."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(3, 40))
    asks = rng.random(count) < 0.7
    asks[-2:] = False
    high = [int(rng.integers(n + 2, count)) if asks[n] else 0 for n in range(count)]
    drawn = tree(
        feature=np.where(asks, rng.integers(0, 3, count), -1),
        number=np.where(asks, rng.normal(size=count), np.arange(count)),
        high=high,
        missing=rng.random(count) < 0.5,
    )
    ends = drawn.predict(holed(rng, 50).astype(float))
    assert not asks[ends.astype(int)].any()


def test_a_walk_may_be_as_long_as_the_tree():
    """Every question sends 1 to the next one, whose low side is the leaf at the end."""
    feature, number, high = [0] * 999 + [-1, -1], [0.5] * 999 + [3.0, 4.0], [1000] * 999 + [0, 0]
    long = tree(feature, number, high, [False] * 1001)
    assert long.predict(np.array([[0.0], [1.0], [np.nan]])).tolist() == [3.0, 4.0, 3.0]


def test_the_gain_is_the_mean_over_the_trees_of_its_remedy_alone():
    first, second = question(0, 0.5, 0.2, 0.8), question(1, 0.5, 0.0, 0.4, missing_high=True)
    forest = Forest(trees={"add_data": [first, second], "enlarge_model": [constant(0.3)]})
    gains = forest.gains(np.array([[0.0, 0.0], [1.0, 0.0], [1.0, np.nan]]))
    assert gains["add_data"] == pytest.approx([0.1, 0.4, 0.6])
    assert gains["enlarge_model"] == pytest.approx([0.3, 0.3, 0.3])


def test_no_lines_have_no_gains():
    assert Forest(trees={"add_data": [constant(0.3)]}).gains(np.zeros((0, 2)))["add_data"].size == 0


def test_leaves_ask_for_no_column():
    assert Forest(trees={"add_data": [constant(0.3)]}).columns == ()


def test_a_forest_names_the_columns_that_it_asks_for():
    second = tree(feature=(3, -1, -1))
    forest = Forest(trees={"add_data": [tree(), second], "enlarge_model": [second]})
    assert forest.columns == (0, 3)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"number": (0.5, 1.0)}, "as long as each other"),
        ({"feature": (0, -1, 0)}, "end in leaves"),
        ({"feature": (-2, -1, -1)}, "end in leaves"),
        ({"number": (np.nan, 1.0, 2.0)}, "finite"),
        ({"number": (0.5, np.inf, 2.0)}, "finite"),
        ({"high": (0, 0, 0)}, "behind it"),
        ({"high": (1, 0, 0)}, "behind it"),
        ({"high": (3, 0, 0)}, "behind it"),
        ({"high": (-1, 0, 0)}, "behind it"),
        ({"number": (-np.inf, 1.0, 2.0)}, "finite"),
        ({"missing": (True,)}, "as long as each other"),
        ({"feature": (), "number": (), "high": (), "missing": ()}, "as long as each other"),
    ],
)
def test_lists_that_are_no_tree_are_refused(change, words):
    with pytest.raises(ValueError, match=words):
        tree(**change)


@pytest.mark.parametrize("trees", [{}, {"add_data": []}])
def test_a_forest_without_trees_is_refused(trees):
    with pytest.raises(ValueError, match="a tree for each remedy"):
        Forest(trees=trees)

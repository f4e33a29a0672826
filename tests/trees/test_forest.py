"""Forests: the same numbers as scikit-learn's, and lists that are no tree."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesRegressor

from mdtree.trees.estimators.gains import _converted
from mdtree.trees.forest import Forest, RegressionTree


def tree(feature=(0, -1, -1), number=(0.5, 1.0, 2.0), high=(2, 0, 0), missing=(True, False, False)):
    return RegressionTree(
        feature=np.array(feature, dtype=np.intp),
        number=np.array(number, dtype=float),
        high=np.array(high, dtype=np.intp),
        missing_high=np.array(missing, dtype=bool),
    )


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
    ],
)
def test_lists_that_are_no_tree_are_refused(change, words):
    with pytest.raises(ValueError, match=words):
        tree(**change)


@pytest.mark.parametrize("trees", [{}, {"add_data": []}])
def test_a_forest_without_trees_is_refused(trees):
    with pytest.raises(ValueError, match="a tree for each remedy"):
        Forest(trees=trees)

"""CART: the tree as data, its counts, and the corners of what is asked of it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from mdtree.render.tree import tree_text
from mdtree.trees import CartTree, Leaf, Split, leaves, walk
from tests.support.cases import drawn_classes


def thresholds(node):
    if isinstance(node, Leaf):
        return []
    return [node.threshold, *thresholds(node.low), *thresholds(node.high)]


@parametrize_with_checks([CartTree()])
def test_every_check_of_scikit_learn_passes(estimator, check):
    check(estimator)


@pytest.mark.parametrize("seed", range(20))
def test_a_question_for_missing_values_has_a_finite_threshold(seed):
    X, y = drawn_classes(seed, missing=0.7)
    tree = CartTree().fit(X, y).tree_
    assert all(math.isfinite(threshold) for threshold in thresholds(tree))


def test_where_missing_tells_all_the_tree_asks_for_it():
    fitted = CartTree(features=["a"]).fit([[1], [np.nan], [3], [np.nan], [2]], list("kmkmk"))
    assert tree_text(fitted.tree_).splitlines()[0] == "a is known"
    assert fitted.predict([[np.nan], [1e38], [-7]]).tolist() == ["m", "k", "k"]


def test_rows_split_by_construction_are_separated_exactly():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(200, 2))
    y = np.where(X[:, 0] <= 0.25, "left", np.where(X[:, 1] <= -0.5, "below", "above"))
    fitted = CartTree(features=["a", "b"], max_depth=2).fit(X, y)
    assert fitted.score(X, y) == 1
    assert fitted.tree_.feature == "a"
    assert X[X[:, 0] <= 0.25, 0].max() <= fitted.tree_.threshold < X[X[:, 0] > 0.25, 0].min()
    assert fitted.tree_.high.feature == "b"


def test_a_leaf_counts_the_training_groups_that_end_in_it_in_whole_numbers():
    X, y = drawn_classes(3, lines=49, missing=0)
    tree = CartTree(features="abcd").fit(X, y).tree_
    counted = {id(leaf): dict.fromkeys(("cold", "fine", "hot"), 0.0) for leaf in leaves(tree)}
    for line, label in zip(X, y, strict=True):
        end = walk(tree, dict(zip("abcd", line, strict=True)))[1]
        counted[id(end)][str(label)] += 1
    assert [leaf.counts for leaf in leaves(tree)] == [counted[id(leaf)] for leaf in leaves(tree)]


def test_one_class_is_a_leaf():
    fitted = CartTree().fit(np.zeros((3, 2)), ["hot"] * 3)
    assert fitted.tree_ == Leaf(answer="hot", counts={"hot": 3})
    assert fitted.predict_proba(np.ones((2, 2))).tolist() == [[1], [1]]


def test_two_rows_are_enough():
    fitted = CartTree(features=["a"]).fit([[1], [2]], ["cold", "hot"])
    assert isinstance(fitted.tree_, Split)
    assert (fitted.tree_.threshold, fitted.predict([[1.4], [1.6]]).tolist()) == (
        1.5,
        ["cold", "hot"],
    )


def test_equal_values_are_a_leaf_that_tells_the_shares():
    fitted = CartTree().fit(np.full((4, 2), 7.0), ["cold", "hot", "hot", "hot"])
    assert fitted.predict_proba([[0, 0]]).tolist() == [[0.25, 0.75]]
    assert fitted.predict([[0, 0]]).tolist() == ["hot"]


def test_the_depth_is_held():
    X, y = drawn_classes(0, lines=300)
    assert [len(list(leaves(CartTree(max_depth=d).fit(X, y).tree_))) for d in (1, 2, 3)] == [
        2,
        4,
        8,
    ]


def test_huge_values_are_values():
    fitted = CartTree().fit([[1.0], [1e300], [-1.7e308]], ["cold", "hot", "fine"])
    assert fitted.predict([[2], [9e299], [-1e307]]).tolist() == ["cold", "hot", "cold"]


def test_infinite_values_are_refused():
    with pytest.raises(ValueError, match="infinity"):
        CartTree().fit([[1.0], [np.inf]], ["cold", "hot"])


@pytest.mark.parametrize("features", [["a"], ["a", "a"], ["a", "b", "c"]])
def test_names_must_fit_the_columns(features):
    with pytest.raises(ValueError, match=r"X has 2 columns, so features must name each once"):
        CartTree(features=features).fit(np.zeros((2, 2)), ["cold", "hot"])


def test_it_lives_with_the_rest_of_scikit_learn():
    X, y = drawn_classes(1, missing=0)
    assert clone(CartTree(max_depth=7)).get_params() == {
        "features": None,
        "max_depth": 7,
        "seed": 0,
    }
    assert CartTree().set_params(max_depth=2).max_depth == 2
    assert len(cross_val_score(make_pipeline(StandardScaler(), CartTree()), X, y, cv=3)) == 3

"""The ensemble: whole groups as the posterior judges them, missing features by sums over groups."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from mdtree.diagnosis import TreeEnsemble
from mdtree.trees import CartTree, Leaf, SavedTree, Split, probabilities
from mdtree.trees.binning import BinnedCounts, collect
from mdtree.trees.node import KNOWN
from mdtree.trees.posterior import posterior
from mdtree.trees.template import Question, TemplateLeaf

CLASSES = ("data_small", "model_small", "temperature_low")
NAMES = ("cka", "train_error", "connectivity")
D, M, L = (TemplateLeaf(name) for name in CLASSES)
NAN = math.nan


def ask(feature, low, high):
    return Question(feature=feature, start=0.0, bounds=(-3.0, 3.0), low=low, high=high)


BOTH = ask("cka", ask("train_error", D, M), ask("connectivity", M, L))
CHAIN = ask("cka", D, ask("train_error", M, L))
ONE = ask("train_error", D, L)


def tree(*components, node=None, features=NAMES):
    return SavedTree(
        task="failure",
        method="posterior" if components else "cart",
        protocol="p",
        classes=CLASSES,
        features=features,
        groups=3,
        ranges={},
        provenance={},
        tree=node or Leaf(answer=CLASSES[0], counts={}),
        components=components,
    )


def groups(count=40, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(count, 3))
    codes = np.where(X[:, 0] < 0, X[:, 1] > 0, 1 + (X[:, 2] > 0))
    return X, np.where(rng.random(count) < 0.2, rng.integers(0, 3, count), codes).astype(int)


def evidence(shape, X, codes, most=8):
    empty = BinnedCounts(shape=shape, classes=CLASSES, hit=8.0, miss=3.0)
    return collect(empty, X, {name: n for n, name in enumerate(NAMES)}, codes, most)


def ensemble(*shapes, weights=(0.5, 0.3, 0.9), count=40):
    X, codes = groups(count)
    return TreeEnsemble(
        tree(*((w, evidence(s, X, codes)) for w, s in zip(weights, shapes, strict=False)))
    )


@pytest.mark.parametrize("shapes", [(BOTH,), (CHAIN, ONE), (BOTH, CHAIN, ONE)])
def test_a_whole_group_is_judged_as_the_tree_judges_it(shapes):
    asked = groups(15, seed=1)[0]
    trees = ensemble(*shapes)
    np.testing.assert_allclose(trees.probabilities(asked), probabilities(trees.saved, asked))
    assert trees.probabilities(asked[:0]).shape == (0, 3)


def test_a_missing_feature_by_hand():
    """Four groups at the corners of two questions with one cut each; `train_error` is missing."""
    shape = ask("cka", ask("train_error", D, M), ask("train_error", M, L))
    X = np.array([[-1.0, -1, 0], [-1, 1, 0], [1, -1, 0], [1, 1, 0]])
    binned = replace(
        evidence(shape, X, np.array([0, 1, 1, 2])),
        cuts=(np.array([0.0]),) * 3,
        cells=np.array([[0, 0, 0], [0, 1, 1], [1, 0, 0], [1, 1, 1]]),
        counts=np.array([[3.0, 0, 0], [0, 1, 0], [0, 5, 0], [0, 0, 2]]),
    )
    whole = posterior(binned).at(np.array([[0, 0, 0], [0, 1, 1]]))
    # two intervals for each question, so a group on the other side of `cka` is half of them away
    near, far = 1.0, math.exp(-((0.5 / 0.1) ** 2))
    low, high = 3 * near + 5 * far, 1 * near + 2 * far
    expected = (low * whole[0] + high * whole[1]) / (low + high)
    chances = TreeEnsemble(tree((1.0, binned))).probabilities(np.array([[-1.0, NAN, NAN]]))
    np.testing.assert_allclose(chances[0], expected)


def test_a_missing_feature_that_is_not_asked_for_changes_nothing():
    trees = ensemble(BOTH)
    low, high = np.array([[-2.9, 0.4, NAN]]), np.array([[2.9, NAN, 0.4]])
    for line in (low, high):  # below and above all cuts of `cka`
        whole = np.where(np.isnan(line), [[0.0, 1.5, -1.5]], line)
        np.testing.assert_allclose(trees.probabilities(line), trees.probabilities(whole))
        np.testing.assert_allclose(trees.votes(line), trees.votes(whole))
    wide = ensemble(ONE).probabilities(np.array([[NAN, 0.4, NAN]]))
    np.testing.assert_allclose(wide, ensemble(ONE).probabilities(np.array([[1.0, 0.4, 2.0]])))


@pytest.mark.parametrize("count", [40, 700])
def test_where_nothing_is_known_all_groups_count_alike(count):
    X, codes = groups(count)
    trees = TreeEnsemble(tree((1.0, evidence(CHAIN, X, codes))))
    everyone = trees.probabilities(X).mean(axis=0)
    np.testing.assert_allclose(trees.probabilities(np.full((1, 3), NAN))[0], everyone)


def test_neither_the_order_of_the_groups_nor_adding_them_up_makes_a_difference():
    X, codes = groups(300)
    one = evidence(BOTH, X.round(1), codes)
    mixed = np.random.default_rng(1).permutation(len(one.cells))
    other = replace(one, cells=one.cells[mixed], counts=one.counts[mixed])
    line = np.array([[0.1, NAN, NAN], [NAN, 0.5, NAN], [NAN, NAN, NAN]])
    first, *rest = (
        TreeEnsemble(tree((1.0, binned))).probabilities(line)
        for binned in (one, other, one.merged())
    )
    for chances in rest:
        np.testing.assert_allclose(chances, first)


@pytest.mark.parametrize("line", [[0.1, 0.2, 0.3], [NAN, 0.2, 0.3], [NAN, NAN, NAN]])
def test_votes_are_shares_of_trees(line):
    votes = ensemble(BOTH, CHAIN).votes(np.array([line]))
    assert votes.sum() == pytest.approx(1)
    assert votes.min() >= 0


def test_the_features_are_those_that_any_shape_asks_for():
    assert ensemble(BOTH).features == NAMES
    assert ensemble(ONE, CHAIN).features == ("train_error", "cka")
    split = Split(feature="cka", threshold=0, low=Leaf(answer=D.answer, counts={}), high=LEAF)
    assert TreeEnsemble(tree(node=replace(split, high=split))).features == ("cka",)
    assert TreeEnsemble(tree()).features == ()


@pytest.mark.parametrize(
    ("line", "features", "near"),
    [
        ([NAN, NAN, NAN], NAMES, 0.01),
        ([0.1, NAN, NAN], ("train_error", "connectivity"), 0.01),
        ([NAN, 0.3, 0.3], ("cka",), 0.01),
        ([0.1, NAN, NAN], ("train_error",), 0.05),  # it tells which groups are alike, too
    ],
)
@pytest.mark.parametrize("shapes", [(BOTH,), (BOTH, CHAIN, ONE)])
def test_on_average_the_outlook_is_what_is_expected_now(shapes, line, features, near):
    trees = ensemble(*shapes)
    ways, shares = trees.outlook(np.array(line), features)
    assert shares.sum() == pytest.approx(1)
    np.testing.assert_allclose(ways.sum(axis=1), 1)
    now = trees.probabilities(np.array([line]))[0]
    np.testing.assert_allclose(shares @ ways, now, atol=near)
    assert np.ptp(ways, axis=0).max() > 0.05


def test_what_is_not_asked_for_leaves_the_outlook_as_it_is():
    trees = ensemble(CHAIN, ONE)
    line = np.array([0.1, NAN, NAN])
    now = trees.probabilities(line[None])[0]
    for features in ((), ("connectivity",)):
        np.testing.assert_allclose(trees.outlook(line, features)[0], [now] * 200)


def test_shapes_that_ask_the_same_change_together():
    line = np.array([NAN, 0.4, 0.4])
    alone, shares = ensemble(CHAIN).outlook(line, ["cka"])
    twice, again = ensemble(CHAIN, CHAIN, weights=(0.2, 0.7)).outlook(line, ["cka"])
    np.testing.assert_allclose(alone, twice)
    np.testing.assert_allclose(shares, again)


LEAF = Leaf(answer="temperature_low", counts={"temperature_low": 6.0})
NODE = Split(
    feature="cka",
    threshold=0.5,
    missing="high",
    low=Leaf(answer="data_small", counts={"data_small": 3.0, "model_small": 1.0}),
    high=Split(
        feature="train_error",
        threshold=KNOWN,
        missing="high",
        low=LEAF,
        high=Leaf(answer="model_small", counts={}),
    ),
)


def test_a_single_tree_walks():
    trees = TreeEnsemble(tree(node=NODE))
    lines = np.array([[0.1, NAN, 0], [0.9, 1, 0], [NAN, NAN, 0]])
    np.testing.assert_allclose(trees.probabilities(lines), [[0.75, 0.25, 0], [0, 0, 1], [0, 1, 0]])
    assert trees.votes(lines) is None


@pytest.mark.parametrize(
    ("line", "features", "ways", "shares"),
    [
        ([NAN, NAN, 0], ["cka"], [[0.75, 0.25, 0], [0, 1, 0]], [1, 0]),
        ([NAN, 1, 0], ["cka"], [[0.75, 0.25, 0], [0, 0, 1]], [0.4, 0.6]),
        ([NAN, NAN, 0], ["cka", "train_error"], [[0.75, 0.25, 0], [0, 0, 1]], [0.4, 0.6]),
        ([0.9, NAN, 0], ["train_error"], [[0, 0, 1]], [1]),
        ([0.9, NAN, 0], ["cka"], [[0, 1, 0]], [0]),
    ],
)
def test_the_outlook_of_a_single_tree_is_the_leaves_that_may_be_reached(
    line, features, ways, shares
):
    outcomes, weights = TreeEnsemble(tree(node=NODE)).outlook(np.array(line), features)
    np.testing.assert_allclose(outcomes, ways)
    np.testing.assert_allclose(weights, shares)


def test_a_tree_of_scikit_learn_that_met_missing_values_is_one_of_them():
    X, codes = groups(200)
    X[::7, 0] = np.nan
    grown = CartTree(features=NAMES).fit(X, np.array(CLASSES)[codes])
    trees = TreeEnsemble(tree(node=grown.tree_))
    expected = grown.classes_[trees.probabilities(X).argmax(axis=1)]
    assert expected.tolist() == grown.predict(X).tolist()


@pytest.mark.parametrize("counts", [np.empty((0, 3)), np.zeros((2, 3))])
def test_without_training_groups_what_is_missing_is_undecided(counts):
    bare = evidence(CHAIN, *groups(12))
    cells = np.zeros((len(counts), 2), dtype=int)
    trees = TreeEnsemble(tree((1.0, replace(bare, cells=cells, counts=counts))))
    lines = np.array([[NAN, 0.4, 0.0], [-2.9, 0.4, 0]])
    chances = trees.probabilities(lines)
    np.testing.assert_allclose(chances[0], 1 / 3)
    assert chances[1].argmax() == 0  # the belief
    np.testing.assert_allclose(trees.outlook(lines[0], ["cka"])[0], 1 / 3)


def test_huge_numbers_are_judged_like_large_ones():
    trees = ensemble(BOTH, CHAIN)
    for sign in (-1, 1):
        chances = [trees.probabilities(np.array([[sign * x, NAN, sign * x]])) for x in (1e9, 1e308)]
        np.testing.assert_allclose(*chances)


def test_one_class_is_certain():
    alone = BinnedCounts(shape=ask("cka", D, D), classes=(D.answer,), hit=8.0, miss=3.0)
    binned = collect(alone, groups(9)[0], {"cka": 0}, np.zeros(9, dtype=int), 4)
    saved = replace(tree((1.0, binned)), classes=(D.answer,))
    for line in ([0.0, 0, 0], [NAN, 0, 0]):
        assert TreeEnsemble(saved).probabilities(np.array([line])) == pytest.approx(1)

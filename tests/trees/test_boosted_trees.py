"""Boosted trees: by hand, walked one by one, refused, and as scikit-learn has fitted them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from mdtree.trees import boosted_trees
from mdtree.trees.boosted_trees import DEEPEST, NEVER_ABOVE, BoostedTrees, boosted

CLASSES = ("data_small", "model_small", "none")


def made(**given):
    """Three classes with a tree of one question each."""
    whole = {
        "classes": CLASSES,
        "starts": np.array([0.1, -0.2, 0.0]),
        "features": np.array([[0], [1], [1]]),
        "thresholds": np.array([[0.5], [-1.0], [NEVER_ABOVE]]),
        "missing_low": np.array([[True], [False], [True]]),
        "values": np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]),
    }
    return BoostedTrees(**{**whole, **given})


def drawn(rng, *, classes=CLASSES, rounds=6, depth=3, scales=4):
    """Draw trees, some of whose questions send all groups one way."""
    owners = len(classes) - (len(classes) == 2)
    shape = owners * rounds, 2**depth - 1
    thresholds = rng.normal(size=shape).round(3)
    thresholds[rng.random(shape) < 0.2] = NEVER_ABOVE
    return BoostedTrees(
        classes=classes,
        starts=rng.normal(size=owners),
        features=rng.integers(scales, size=shape),
        thresholds=thresholds,
        missing_low=rng.random(shape) < 0.5,
        values=rng.normal(size=(shape[0], shape[1] + 1)),
    )


def walked(trees, line):
    """Return the chances of one line, walked tree by tree and question by question."""
    owners = len(trees.starts)
    scores = [0.0] * (len(trees.classes) - owners) + [float(start) for start in trees.starts]
    rounds = len(trees.features) // owners
    for number in range(len(trees.features)):
        place = 0
        while place < trees.features.shape[1]:
            value = line[trees.features[number, place]]
            if math.isnan(value):
                is_low = bool(trees.missing_low[number, place])
            else:
                is_low = value <= trees.thresholds[number, place]
            place = 2 * place + (1 if is_low else 2)
        owner = len(trees.classes) - owners + number // rounds
        scores[owner] += trees.values[number, place - trees.features.shape[1]]
    total = sum(math.exp(score) for score in scores)
    return [math.exp(score) / total for score in scores]


@pytest.mark.parametrize(
    ("line", "scores"),
    [
        ((0.5, -1.0), (1.1, 2.8, 5.0)),  # at most the threshold is low
        ((0.6, -0.9), (2.1, 3.8, 5.0)),
        ((math.nan, math.nan), (1.1, 3.8, 5.0)),
        ((9.0, 9.0), (2.1, 3.8, 5.0)),
    ],
)
def test_chances_are_those_of_the_formula(line, scores):
    chances = made().chances(np.array([line]))
    total = sum(map(math.exp, scores))
    expected = [math.exp(score) / total for score in scores]
    assert [float(chances[name][0]) for name in CLASSES] == pytest.approx(expected)


def test_of_two_classes_the_second_has_trees():
    trees = made(
        classes=CLASSES[:2],
        starts=np.array([0.3]),
        features=np.array([[0], [1]]),
        thresholds=np.array([[0.5], [-1.0]]),
        missing_low=np.ones((2, 1), dtype=bool),
        values=np.array([[1.0, 2.0], [3.0, 4.0]]),
    )
    chances = trees.chances(np.array([[0.0, 0.0]]))
    assert chances["model_small"] == pytest.approx([1 / (1 + math.exp(-5.3))])
    assert chances["data_small"] == pytest.approx(1 - chances["model_small"])


@pytest.mark.parametrize("depth", [1, 2, 3, 5])
@pytest.mark.parametrize("classes", [CLASSES, CLASSES[:2]])
@pytest.mark.parametrize("count", [1, 63, 64, 65, 130])
def test_many_lines_are_walked_as_one_by_one(depth, classes, count):
    rng = np.random.default_rng(depth * count)
    trees = drawn(rng, classes=classes, depth=depth)
    lines = rng.normal(size=(count, 4))
    lines[rng.random(lines.shape) < 0.3] = np.nan
    given = np.column_stack([trees.chances(lines)[name] for name in classes])
    assert given == pytest.approx(np.array([walked(trees, line) for line in lines]))
    assert given.sum(axis=1) == pytest.approx(np.ones(count))


def test_no_lines_have_no_chances():
    assert [len(values) for values in made().chances(np.zeros((0, 2))).values()] == [0, 0, 0]


def test_scores_may_be_large():
    trees = made(values=np.array([[800.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))
    assert float(trees.chances(np.zeros((1, 2)))["data_small"][0]) == pytest.approx(1.0)


@pytest.mark.parametrize(
    "given",
    [
        {"features": np.zeros((3, 2), dtype=int)},
        {"features": np.zeros((3, 0), dtype=int)},
        {"features": np.array([[0], [-1], [1]])},
        {"features": np.zeros((3, 2 ** (DEEPEST + 1) - 1), dtype=int)},
        {"thresholds": np.zeros((3, 2))},
        {"missing_low": np.zeros((2, 1), dtype=bool)},
        {"values": np.zeros((3, 3))},
        {"starts": np.zeros(2)},
        {"classes": CLASSES[:1], "starts": np.zeros(1)},
        {"classes": (*CLASSES, "temperature_low"), "starts": np.zeros(4)},
    ],
)
def test_tables_that_do_not_belong_together_are_refused(given):
    with pytest.raises(ValueError, match="boosted tree"):
        made(**given)


def test_too_few_features_are_refused():
    with pytest.raises(ValueError, match="ask for feature 1, of 1"):
        made().chances(np.zeros((2, 1)))


ANSWERS = ("data_small", "model_small", "none", "temperature_low")


def groups(count=900, *, classes=3, seed=0):
    """Answers that hang on two of four features, one of them often unknown."""
    rng = np.random.default_rng(seed)
    lines = rng.normal(size=(count, 4))
    answers = np.where(lines[:, 0] > 0.4, 1, 0)
    if classes > 2:
        answers = np.where(lines[:, 2] < -0.5, 2, answers)
    lines[rng.random(count) < 0.2, 0] = np.nan
    lines[rng.random(count) < 0.1, 3] = np.nan
    return lines, answers, rng.uniform(0.2, 3.0, count)


def chances(trees, lines):
    return np.column_stack([trees.chances(lines)[name] for name in trees.classes])


@pytest.mark.parametrize("classes", [2, 3])
def test_stored_trees_answer_as_those_of_scikit_learn(classes):
    lines, answers, weights = groups(classes=classes)
    rival = HistGradientBoostingClassifier(
        learning_rate=boosting._RATE,
        max_iter=boosting._ROUNDS,
        max_depth=boosting._DEPTH,
        max_leaf_nodes=2**boosting._DEPTH,
        min_samples_leaf=boosting._FEWEST,
        l2_regularization=boosting._RIDGE,
        early_stopping=False,
        random_state=0,
    ).fit(lines, answers, sample_weight=weights)
    unseen, _, _ = groups(seed=1)
    expected = rival.predict_proba(unseen)
    given = chances(boosted(lines, answers, weights, ANSWERS), unseen)
    # thresholds are rounded, so that a line next to one may end elsewhere
    assert np.median(np.abs(given - expected)) < 1e-3
    assert np.abs(given - expected).mean() < 5e-3


def test_what_there_is_to_learn_is_learnt():
    lines, answers, weights = groups()
    unseen, right, _ = groups(seed=2)
    trees = boosted(lines, answers, weights, ANSWERS)
    told = ~np.isnan(unseen[:, 0])
    assert (chances(trees, unseen).argmax(axis=1) == right)[told].mean() > 0.95


def test_only_classes_with_an_answer_have_a_chance():
    lines, answers, weights = groups()
    trees = boosted(lines, 1 + (answers > 1), weights, ANSWERS)
    assert trees.classes == ["model_small", "none"]
    assert len(trees.starts) == 1


def test_few_groups_have_the_chances_of_their_shares():
    """No leaf may hold so few: every tree is a leaf."""
    lines, answers, _ = groups(60)
    trees = boosted(lines, answers, np.ones(60), ANSWERS)
    shares = np.bincount(answers) / 60
    assert chances(trees, lines) == pytest.approx(np.tile(shares, (60, 1)), abs=2e-3)


def test_unknown_alone_may_be_asked_for():
    """A feature tells by being unknown."""
    rng = np.random.default_rng(3)
    lines = np.where(rng.random((600, 1)) < 0.5, np.nan, 1.0)
    answers = np.isnan(lines[:, 0]).astype(int)
    trees = boosted(lines, answers, np.ones(600), ANSWERS)
    assert (chances(trees, lines).argmax(axis=1) == answers).all()


def test_another_form_of_the_fitted_trees_is_noticed(monkeypatch):
    lines, answers, weights = groups()
    monkeypatch.setattr(boosted_trees, "_copy", lambda *_: None)
    with pytest.raises(RuntimeError, match="scikit-learn"):
        boosted(lines, answers, weights, ANSWERS)

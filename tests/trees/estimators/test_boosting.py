"""Boosting: the stored trees answer as those of scikit-learn, and learn what there is to learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from mdtree.trees.estimators import boosting
from mdtree.trees.estimators.boosting import boosted

CLASSES = ("data_small", "model_small", "none", "temperature_low")


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
    given = chances(boosted(lines, answers, weights, CLASSES), unseen)
    # thresholds are rounded, so that a line next to one may end elsewhere
    assert np.median(np.abs(given - expected)) < 1e-3
    assert np.abs(given - expected).mean() < 5e-3


def test_what_there_is_to_learn_is_learnt():
    lines, answers, weights = groups()
    unseen, right, _ = groups(seed=2)
    trees = boosted(lines, answers, weights, CLASSES)
    told = ~np.isnan(unseen[:, 0])
    assert (chances(trees, unseen).argmax(axis=1) == right)[told].mean() > 0.95


def test_only_classes_with_an_answer_have_a_chance():
    lines, answers, weights = groups()
    trees = boosted(lines, 1 + (answers > 1), weights, CLASSES)
    assert trees.classes == ["model_small", "none"]
    assert len(trees.starts) == 1


def test_few_groups_have_the_chances_of_their_shares():
    """No leaf may hold so few: every tree is a leaf."""
    lines, answers, _ = groups(60)
    trees = boosted(lines, answers, np.ones(60), CLASSES)
    shares = np.bincount(answers) / 60
    assert chances(trees, lines) == pytest.approx(np.tile(shares, (60, 1)), abs=2e-3)


def test_unknown_alone_may_be_asked_for():
    """A feature tells by being unknown."""
    rng = np.random.default_rng(3)
    lines = np.where(rng.random((600, 1)) < 0.5, np.nan, 1.0)
    answers = np.isnan(lines[:, 0]).astype(int)
    trees = boosted(lines, answers, np.ones(600), CLASSES)
    assert (chances(trees, lines).argmax(axis=1) == answers).all()


def test_another_form_of_the_fitted_trees_is_noticed(monkeypatch):
    lines, answers, weights = groups()
    monkeypatch.setattr(boosting, "_copy", lambda *_: None)
    with pytest.raises(RuntimeError, match="scikit-learn"):
        boosted(lines, answers, weights, CLASSES)


def test_bins_of_a_feature_have_about_the_same_weight():
    rng = np.random.default_rng(4)
    column = rng.normal(size=5000).round(3)  # some values come several times
    column[::9] = np.nan
    weights = rng.uniform(0.0, 3.0, 5000)
    cuts = boosting._cuts(column, weights)
    numbers = boosting._bins(column, cuts)
    assert (np.isnan(numbers) == np.isnan(column)).all()
    known = ~np.isnan(column)
    held = np.bincount(numbers[known].astype(int), weights[known])
    assert len(held) == boosting._BINS
    heaviest = np.bincount(np.unique(column[known], return_inverse=True)[1], weights[known]).max()
    assert np.abs(held - held.mean()).max() <= heaviest
    lowest = [column[known][numbers[known] == number].min() for number in range(len(held))]
    assert (np.array(lowest[1:]) > cuts).all()


def test_few_values_have_a_bin_each():
    column = np.array([3.0, np.nan, 1.0, 3.0, 8.0])
    cuts = boosting._cuts(column, np.array([1.0, 1.0, 0.0, 5.0, 1.0]))
    assert cuts.tolist() == [2.0, 5.5]
    assert boosting._bins(column, cuts)[[0, 2, 3, 4]].tolist() == [1, 0, 1, 2]

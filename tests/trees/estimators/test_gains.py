"""The forest of gains, on zoos whose gains are known functions of two features."""

from __future__ import annotations

import numpy as np
import pytest

from mdtree.failure_modes import FAILURE_MODES
from mdtree.trees.estimators.gains import GainForest

FEATURES = ("train_error_share", "error_gap", "log_noise")
CLASSES = list(FAILURE_MODES)


def collection(zoos=5, lines=61, seed=0):
    """Underfitting asks for a larger network, a gap for more data, and small errors for nothing."""
    rng = np.random.default_rng(seed)
    count = zoos * lines
    train, gap = rng.uniform(0, 0.8, count), rng.uniform(0, 0.8, count)
    matrix = np.column_stack([train, gap, np.log(np.full(count, 0.1))])
    gains = {
        "enlarge_model": train**2,
        "add_data": gap**2,
        "lower_temperature": np.zeros(count),
        "raise_temperature": np.zeros(count),
    }
    best = np.max([gains["enlarge_model"], gains["add_data"]], axis=0)
    answers = np.where(
        best <= 0.1,
        "none",
        np.where(gains["enlarge_model"] > gains["add_data"], "model_small", "data_small"),
    )
    return matrix, answers, gains, np.repeat(np.arange(zoos), lines)


def fitted(matrix, answers, gains, zoos, **options):
    forest = GainForest(features=FEATURES, trees=20, **options)
    return forest.fit(matrix, answers, gains=gains, zoos=list(zoos), classes=CLASSES)


def test_zoos_that_were_not_seen_are_answered_right():
    matrix, answers, gains, zoos = collection()
    seen = zoos < 4
    forest = fitted(matrix[seen], answers[seen], {r: g[seen] for r, g in gains.items()}, zoos[seen])
    right = forest.predict(matrix[~seen]) == answers[~seen]
    assert right.mean() > 0.85
    assert forest.predict_proba(matrix).sum(axis=1) == pytest.approx(np.ones(len(matrix)))


def test_what_lies_beyond_the_end_of_a_grid_teaches_nothing():
    """Half of the gains are unknown; as zeros they would halve what is expected."""
    matrix, answers, gains, zoos = collection()
    rng = np.random.default_rng(1)
    unknown = rng.random(len(matrix)) < 0.5
    whole = fitted(matrix, answers, gains, zoos).model_.forest.gains(matrix)["add_data"]
    holes = {**gains, "add_data": np.where(unknown, np.nan, gains["add_data"])}
    part = fitted(matrix, answers, holes, zoos).model_.forest.gains(matrix)["add_data"]
    assert part.mean() == pytest.approx(whole.mean(), rel=0.05)


def test_a_large_zoo_weighs_no_more_than_a_small_one():
    """The same features, and gains of 0.8 in 90 groups of one zoo and of 0.2 in 30 of another."""
    matrix = np.tile([[0.5, 0.5, -2.0]], (120, 1))
    zoos = np.repeat([0, 1], [90, 30])
    gains = {"add_data": np.where(zoos == 0, 0.8, 0.2)}
    forest = fitted(matrix, np.repeat("data_small", 120), gains, zoos)
    assert forest.model_.forest.gains(matrix)["add_data"][0] == pytest.approx(0.5, abs=1e-3)


def test_the_sets_of_answers_hold_the_right_one_about_as_often_as_they_say():
    matrix, answers, gains, zoos = collection(zoos=6, seed=3)
    forest = fitted(matrix, answers, gains, zoos)
    others, right, _, _ = collection(zoos=8, seed=4)
    given = forest.predict_proba(others)
    true = given[np.arange(len(right)), np.searchsorted(forest.classes_, right)]
    for coverage, level in forest.model_.levels.items():
        assert (true >= level).mean() >= float(coverage) - 0.08


def test_a_single_zoo_is_enough():
    matrix, answers, gains, _ = collection(zoos=1, lines=83)
    forest = fitted(matrix, answers, gains, ["digits"] * len(matrix))
    assert (forest.predict(matrix) == answers).mean() > 0.85


def test_the_noise_is_no_question():
    """It says how sure a gain is, and nothing of the network."""
    matrix, answers, gains, zoos = collection()
    matrix[:, 2] = np.log(gains["add_data"] + 0.01)  # it would be the best question of all
    forest = fitted(matrix, answers, gains, zoos)
    assert set(forest.model_.forest.columns) <= {0, 1}


def test_the_same_seed_is_the_same_forest():
    first, again = (fitted(*collection()) for _ in range(2))
    matrix = collection(seed=9)[0]
    assert first.predict_proba(matrix) == pytest.approx(again.predict_proba(matrix), abs=1e-12)


def test_features_that_are_always_missing_do_no_harm():
    matrix, answers, gains, zoos = collection()
    matrix[:, 1] = np.nan
    assert np.isfinite(fitted(matrix, answers, gains, zoos).predict_proba(matrix)).all()


def test_few_gains_are_too_few():
    matrix, answers, _, zoos = collection(zoos=1, lines=9)
    with pytest.raises(ValueError, match="gains need 10 groups with a neighbour on the grid"):
        fitted(matrix, answers, {"add_data": np.zeros(9)}, zoos)

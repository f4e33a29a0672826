"""Scores: against scikit-learn and by loops, and the corners of their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, log_loss

from mdtree.evaluation.scores import calibration_error, scored
from mdtree.failure_modes import RoomForImprovement

CLASSES = ["temperature_high", "temperature_low"]


def room(high, low, step_high=None, step_low=None):
    """Gains of mending a temperature that is too high, and one that is too low."""
    return RoomForImprovement(
        gains={"lower_temperature": high, "raise_temperature": low},
        step={
            "lower_temperature": high if step_high is None else step_high,
            "raise_temperature": low if step_low is None else step_low,
        },
        margin=0.5,
    )


def drawn(seed, lines=200):
    rng = np.random.default_rng(seed)
    sure = rng.uniform(0.01, 0.99, lines)
    probabilities = np.column_stack([sure, 1 - sure])
    answers = rng.choice(CLASSES, lines).tolist()
    given = [CLASSES[n] for n in probabilities.argmax(axis=1)]
    rooms = [room(*rng.uniform(0, 9, 2), *rng.uniform(-3, 3, 2)) for _ in range(lines)]
    return given, probabilities, answers, rooms


@pytest.mark.parametrize("seed", range(5))
def test_accuracy_and_log_loss_are_those_of_scikit_learn(seed):
    given, probabilities, answers, rooms = drawn(seed)
    scores = scored(given, probabilities, CLASSES, answers=answers, rooms=rooms)
    assert scores.accuracy == pytest.approx(100 * accuracy_score(answers, given))
    assert scores.log_loss == pytest.approx(log_loss(answers, probabilities, labels=CLASSES))


@pytest.mark.parametrize("seed", range(5))
def test_the_calibration_error_is_the_weighted_gap_of_ten_bins(seed):
    rng = np.random.default_rng(seed)
    confidence, right = rng.random(300), rng.random(300) < 0.6
    expected = 0.0
    for number in range(10):
        inside = [i for i in range(300) if number / 10 <= confidence[i] < (number + 1) / 10]
        if inside:
            gap = sum(confidence[i] - right[i] for i in inside) / len(inside)
            expected += len(inside) / 300 * abs(gap)
    assert calibration_error(confidence, right) == pytest.approx(expected, abs=1e-12)


def test_certainty_shares_a_bin_with_what_is_nearly_certain():
    assert calibration_error(np.array([1.0, 0.95]), np.array([True, True])) == pytest.approx(0.025)


def test_calibration_looks_at_the_answer_that_was_given_not_at_the_likeliest():
    """A tree can answer against the majority of its leaf; it is then as unsure as that."""
    scores = scored(
        ["temperature_low"],
        np.array([[0.8, 0.2]]),
        CLASSES,
        answers=["temperature_low"],
        rooms=[room(0, 1)],
    )
    assert scores.ece == pytest.approx(0.8)


@pytest.mark.parametrize("seed", range(3))
def test_regret_and_gains_are_means_over_the_groups(seed):
    given, probabilities, answers, rooms = drawn(seed)
    scores = scored(given, probabilities, CLASSES, answers=answers, rooms=rooms)
    remedy = {"temperature_high": "lower_temperature", "temperature_low": "raise_temperature"}
    pairs = list(zip(given, answers, rooms, strict=True))
    regret = [r.gains[remedy[a]] - r.gains[remedy[g]] for g, a, r in pairs]
    steps = [r.step[remedy[g]] for g, _, r in pairs]
    assert scores.regret == pytest.approx(math.fsum(regret) / 200)
    assert scores.gain == pytest.approx(math.fsum(steps) / 200)
    assert scores.gain_clipped == pytest.approx(math.fsum(max(s, 0) for s in steps) / 200)
    assert scores.gain_clipped > scores.gain


def test_right_answers_have_no_regret():
    _, probabilities, answers, rooms = drawn(1)
    scores = scored(answers, probabilities, CLASSES, answers=answers, rooms=rooms)
    assert (scores.accuracy, scores.regret) == (100, 0)


def test_temperature_as_an_answer_gains_what_its_better_direction_gains():
    scores = scored(
        ["temperature", "model_small"],
        np.array([[0.1, 0.9], [0.6, 0.4]]),
        ["model_small", "temperature"],
        answers=["temperature", "temperature"],
        rooms=[room(1, 4, step_low=-2), room(1, 4)],
    )
    assert scores.regret == pytest.approx(4 / 2)  # a larger network gains nothing here
    assert (scores.gain, scores.gain_clipped) == (-1, 0)


def test_an_answer_that_the_method_does_not_know_is_given_no_chance_and_a_bounded_loss():
    scores = scored(
        ["temperature_low"] * 2,
        np.ones((2, 1)),
        ["temperature_low"],
        answers=["temperature_low", "temperature_high"],
        rooms=[room(0, 1), room(1, 0)],
    )
    assert scores.log_loss == pytest.approx(math.log(1000) / 2)
    assert scores.ece == 0.5

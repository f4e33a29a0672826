"""Scores: by loops, and the corners of their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mdtree.evaluation.scores import calibration_error, scored
from tests.support.cases import CLASSES, drawn_answers, room


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
    given, probabilities, answers, rooms = drawn_answers(seed)
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
    _, probabilities, answers, rooms = drawn_answers(1)
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

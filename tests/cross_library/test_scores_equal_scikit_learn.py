"""Accuracy and log loss of a benchmark are those of scikit-learn."""

from __future__ import annotations

import pytest
from sklearn.metrics import accuracy_score, log_loss

from mdtree.evaluation.scores import scored
from tests.support.cases import CLASSES, drawn_answers


@pytest.mark.parametrize("seed", range(5))
def test_accuracy_and_log_loss_are_those_of_scikit_learn(seed):
    given, probabilities, answers, rooms = drawn_answers(seed)
    scores = scored(given, probabilities, CLASSES, answers=answers, rooms=rooms)
    assert scores.accuracy == pytest.approx(100 * accuracy_score(answers, given))
    assert scores.log_loss == pytest.approx(log_loss(answers, probabilities, labels=CLASSES))

"""What is printed of many lines of features: the answer, what to change, and what that gains."""

from __future__ import annotations

import numpy as np
import pytest

from mdtree.diagnosis import Diagnoser, agreement, next_metric
from mdtree.diagnosis.printed_answers import agreement_of_lines, is_same_gain
from mdtree.rows import Running
from mdtree.trees import RemedyGain
from mdtree.trees.gain_model import GainRange
from tests.support.rows import row
from tests.support.small_gain_models import constant, gain_tree, question
from tests.support.trees import HIGH, LOW, leaf, small_tree, split

COLD = "raise_temperature"


@pytest.mark.parametrize(
    ("gain", "other", "same"),
    [
        (2.0, 2.9, True),
        (2.0, 3.1, False),
        (20.0, 24.0, True),
        (20.0, 26.0, False),
        (0.0, 1.0, True),
    ],
)
def test_a_gain_is_the_same_within_a_quarter_or_a_point(gain, other, same):
    assert bool(is_same_gain(gain, other)) == same


def by_gains(low, high, **given):
    """Expect a gain from more data, up to a CKA of 0.5 and above it; the answer is the same."""
    gains = {"add_data": question(0, 0.5, low, high), "enlarge_model": constant(0.1)}
    return Diagnoser(gain_tree(gains, **given), name="t", confidence=0.0)


def lines(*values):
    return np.array([[value, np.nan] for value in values])


@pytest.mark.parametrize(("high", "same"), [(0.35, True), (0.6, False)])
def test_lines_with_one_answer_agree_if_its_gain_does(high, same):
    """Of a test error of 40 %: 12 points, and 14 or 24."""
    diagnoser = by_gains(0.3, high)
    found = agreement_of_lines(diagnoser, row(test_error=40.0), lines(0.2, 0.4, 0.9))
    assert found.answer.tolist() == [True, True, True]
    assert found.advice.tolist() == [True, True, same]


def test_without_a_test_error_no_gain_is_printed():
    found = agreement_of_lines(by_gains(0.3, 0.9), row(), lines(0.2, 0.9))
    assert found.advice.all()


def test_no_gain_exceeds_what_such_groups_gained_nor_the_target():
    """Both are 0.3 of the error at most, or 2 points, whatever is expected."""
    most = {"add_data": (GainRange(expected=1.0, low=0.0, high=0.3),)}
    of_zoo = by_gains(0.3, 0.9, spread=most)
    assert agreement_of_lines(of_zoo, row(test_error=40.0), lines(0.2, 0.9)).advice.all()
    near = row(test_error=40.0, facts={"target_accuracy": 62.0})
    assert agreement_of_lines(by_gains(0.3, 0.9), near, lines(0.2, 0.9)).advice.all()


def test_another_answer_is_no_agreement():
    gains = {"add_data": question(0, 0.5, 0.3, 0.1), "enlarge_model": constant(0.2)}
    diagnoser = Diagnoser(gain_tree(gains), name="t", confidence=0.0)
    found = agreement_of_lines(diagnoser, row(test_error=1.0), lines(0.2, 0.9))
    assert found.answer.tolist() == [True, False]


@pytest.mark.parametrize(("fact", "same"), [("learning_rate", False), ("batch_size", True)])
def test_another_change_is_no_agreement(fact, same):
    """The same remedy, by what the groups of either leaf changed."""
    way = {COLD: RemedyGain(low=0.0, high=9.0, fact="batch_size", factor=0.25)}
    other = {COLD: RemedyGain(low=0.0, high=9.0, fact=fact, factor=0.25)}
    ends = [leaf(LOW, gains={COLD: 5.0}, ways=ways, **{LOW: 9.0}) for ways in (way, other)]
    diagnoser = Diagnoser(small_tree(split("cka", 0.5, *ends), ("cka",)), name="t")
    known = row(facts={"batch_size": 256, "learning_rate": 0.01})
    found = agreement_of_lines(diagnoser, known, np.array([[0.2], [0.9]]))
    assert found.answer.all()
    assert found.advice.tolist() == [True, same]


def test_leaves_of_a_single_tree_name_gains_of_their_own():
    ends = [leaf(HIGH, gains={"lower_temperature": gain}, **{HIGH: 9.0}) for gain in (5.0, 12.0)]
    diagnoser = Diagnoser(small_tree(split("cka", 0.5, *ends), ("cka",)), name="t")
    found = agreement_of_lines(diagnoser, row(), np.array([[0.2], [0.9]]))
    assert found.answer.all()
    assert found.advice.tolist() == [True, False]


def test_no_gain_of_a_leaf_exceeds_the_test_error():
    """Of a test error of 4 %, at most 4 points are gained, whatever the leaf says."""
    ends = [leaf(HIGH, gains={"lower_temperature": gain}, **{HIGH: 9.0}) for gain in (5.0, 12.0)]
    diagnoser = Diagnoser(small_tree(split("cka", 0.5, *ends), ("cka",)), name="t")
    found = agreement_of_lines(diagnoser, row(test_error=4.0), np.array([[0.2], [0.9]]))
    assert found.advice.all()


def test_measuring_goes_on_while_a_gain_may_change():
    """CKA may still be on either side of 0.5, where twice as much is gained."""
    running = {"cka": Running(value=0.4, reach=(0.4, 0.9))}
    known = row(test_error=40.0)
    assert agreement(by_gains(0.3, 0.35), known, running) == 1.0
    assert agreement(by_gains(0.3, 0.6), known, running) == 0.5


def test_a_metric_that_changes_a_gain_is_worth_its_time():
    known, free = row(test_error=40.0), {"similarity": 0.0}
    assert next_metric(by_gains(0.3, 0.35), known, free) is None
    prospect = next_metric(by_gains(0.3, 0.6), known, free)
    assert prospect.metrics == ("similarity",)
    assert prospect.change > 0.1

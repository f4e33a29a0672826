"""Test errors of a log: percent and shares are told apart, and losses under their name."""

from __future__ import annotations

import pytest

from mdtree.runs import History, late_facts
from mdtree.runs.history import is_column, points_from


def read(*lines):
    points, note = points_from(lines)
    return [point.test_accuracy for point in points], note


@pytest.mark.parametrize(
    "column",
    [
        *("val_error", "valid_error", "validation/error", "eval_error", "test_err", "Test Error"),
        *("val_error_rate", "error_rate", "val_err", "test_top1_err", "Err@1", "eval_err1"),
        "val_error_epoch",  # Lightning's mean over an epoch
    ],
)
def test_errors_are_accuracies_that_were_turned_round(column):
    assert is_column(column)
    assert read({column: "0.75"}, {column: "0.25"}) == ([25.0, 75.0], None)
    assert read({column: 75}, {column: 0.5}) == ([25.0, 99.5], None)


@pytest.mark.parametrize("column", ["error", "err", "train_error", "training_err", "error_bar"])
def test_errors_of_training_items_or_of_nobody_knows_which_are_none(column):
    assert not is_column(column)
    assert read({column: 50.0, "val_loss": 1.0}) == ([None], None)


@pytest.mark.parametrize("value", [-0.1, 100.1, "nan", "inf", True, None, "80 %"])
def test_what_cannot_be_an_error_is_none(value):
    assert read({"val_error": value, "val_loss": 1.0}) == ([None], None)


def test_an_accuracy_that_was_logged_counts_more_than_an_error():
    assert read({"val_acc": 60, "val_error": 30}, {"val_error": 20}) == ([60.0, None], None)


def test_shares_that_cost_more_than_the_logged_loss_are_not_used():
    """A misclassified item costs ln 2 = 0.693 or more: 0.8 of them cost 0.554."""
    assert read({"val_error": 0.8, "val_loss": 0.56}) == ([pytest.approx(20.0)], None)
    accuracies, note = read(
        {"val_error": 0.8, "val_loss": 0.55}, {"val_error": 0.1, "val_loss": 2.0}
    )
    assert accuracies == [None, None]
    assert note == (
        "val_error is not used: all its numbers are at most 1, and as shares they do not fit the "
        "logged loss (a fact says what it means: test_accuracy, in percent)"
    )


@pytest.mark.parametrize(
    ("line", "accuracy"),
    [
        ({"val_error": 2.3}, None),  # ln 10, the loss of ten classes at the beginning?
        ({"val_error": 2.3, "train_loss": 0.1}, 97.7),  # losses have a name of their own
        ({"val_error": 12.3}, 87.7),
        ({"val_error_rate": 2.3}, 97.7),
        ({"error_rate": 2.3}, 97.7),
    ],
)
def test_an_error_that_may_be_a_loss_is_not_used(line, accuracy):
    (found,), note = read(line)
    assert found == (None if accuracy is None else pytest.approx(accuracy))
    assert (note is None) == (accuracy is not None)
    assert note is None or note.startswith("val_error is not used: it may hold percent or a loss")


def test_both_reasons_of_a_note_are_told():
    _, note = read({"step": 2, "val_error": 2.0}, {"step": 1, "val_error": 2.0})
    assert note is not None
    assert note.startswith("2 runs stand in it, and the last one counts; val_error is not used")


def test_errors_tell_whether_training_ended_early():
    """20 points from the middle to the end, as by accuracies."""
    lines = [{"epoch": n, "val_error": e} for n, e in enumerate((0.8, 0.4, 0.3, 0.2), 1)]
    history = History(points=points_from(lines)[0])
    assert late_facts([history]) == {"late_accuracy_gain": pytest.approx(20)}
    assert history.kinds == ("accuracy",)

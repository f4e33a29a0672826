"""Is it your accuracy: differences beyond chance stop a diagnosis, and nothing else does."""

from __future__ import annotations

import pytest

from mdtree.exceptions import AccuracyError
from mdtree.measurement import check_accuracy
from mdtree.rows import Measured, Missing, Row


def check(error, *, stderr=0.5, logged=None, expected=None):
    quantities = {"test_error": Measured(value=error, stderr=stderr)}
    row = Row(format=1, group="g", protocol="standard-1", facts={}, quantities=quantities)
    return check_accuracy(row, logged, expected)


@pytest.mark.parametrize(
    ("error", "given", "differs"),
    [
        (20.0, {"logged": 80.0}, False),
        (20.0, {"logged": 86.9}, False),  # four errors, and another split
        (20.0, {"logged": 87.1}, True),
        (20.0, {"logged": 72.9}, True),
        (20.0, {"expected": 82.4}, False),
        (20.0, {"expected": 82.6}, True),
        (20.0, {"expected": 77.4}, True),
        (20.0, {"logged": 10.0, "expected": 80.0}, False),  # the user knows better
        (20.0, {}, False),
        (20.0, {"stderr": None, "expected": 80.6}, True),
        (20.0, {"stderr": 10.0, "expected": 50.0}, False),
    ],
)
def test_a_difference_counts_beyond_four_errors_and_rounding(error, given, differs):
    compared = check(error, **given)
    assert compared.differs is differs
    if not differs:
        compared.raise_if_different()
        return
    with pytest.raises(AccuracyError, match=r"--expect 80\.0$"):
        compared.raise_if_different()


def test_without_a_test_error_there_is_nothing_to_compare():
    row = Row(
        format=1,
        group="g",
        protocol="standard-1",
        facts={},
        quantities={"test_error": Missing(missing="no test data")},
    )
    assert check_accuracy(row, 80.0, None) is None


@pytest.mark.parametrize(("train", "stops"), [(82.1, True), (77.9, False), (0.0, False)])
def test_a_training_error_far_above_the_test_error_stops(train, stops):
    """Of 20 % on new items: 20 points and four errors more on the training items are absurd."""
    quantities = {
        "test_error": Measured(value=60.0, stderr=0.5),
        "train_error": Measured(value=train, stderr=0.5),
    }
    row = Row(format=1, group="g", protocol="standard-1", facts={}, quantities=quantities)
    compared = check_accuracy(row, None, None)
    if stops:
        with pytest.raises(AccuracyError, match="labels in the same order"):
            compared.raise_if_different()
    else:
        compared.raise_if_different()


@pytest.mark.parametrize("error", [98.2, 99.2])
def test_labels_in_another_order_stop_although_the_log_might_be_percent(error):
    """0.883 was logged.  Hardly anybody logs 0.883 %, and who does can say so."""
    quantities = {"test_error": Measured(value=error, stderr=0.5)}
    row = Row(format=1, group="g", protocol="standard-1", facts={}, quantities=quantities)
    compared = check_accuracy(row, 88.3, None, shares=(0.2, 0.883))
    with pytest.raises(AccuracyError, match=r"logged 88\.3 % \(0\.883, read as a share\)"):
        compared.raise_if_different()
    check_accuracy(row, 88.3, 100 - error, shares=(0.2, 0.883)).raise_if_different()


@pytest.mark.parametrize(
    ("shares", "logged", "error", "classes", "is_undecided"),
    [
        ((1.0, 1.0), 100.0, 99.0, 100, True),
        ((0.9, 1.1), 90.0, 99.0, 100, True),
        ((1.0, 1.0), 100.0, 99.0, None, False),
        ((1.0, 1.0), 100.0, 99.0, 10, False),  # chance is 10 %
        ((0.2, 1.0), 100.0, 99.0, 100, False),  # it rose: shares of a network that learned
        ((1.0, 1.0), 100.0, 97.0, 100, False),  # 3 % was measured, which is neither
    ],
)
def test_a_log_that_never_left_the_level_of_chance_may_be_percent(
    shares, logged, error, classes, is_undecided
):
    quantities = {"test_error": Measured(value=error, stderr=0.1)}
    row = Row(format=1, group="g", protocol="standard-1", facts={}, quantities=quantities)
    compared = check_accuracy(row, logged, None, shares=shares, classes=lambda: classes)
    assert compared.is_undecided is is_undecided
    assert compared.differs is not is_undecided
    assert compared.expected == logged  # never dropped


def test_a_small_logged_share_stands_beside_what_was_measured():
    quantities = {"test_error": Measured(value=92.3, stderr=2.6)}
    row = Row(format=1, group="g", protocol="standard-1", facts={}, quantities=quantities)
    compared = check_accuracy(row, 7.7, None, shares=(0.05, 0.077), classes=lambda: 10)
    assert (compared.expected, compared.differs, compared.is_undecided) == (7.7, False, False)

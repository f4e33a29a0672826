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
    compared = check_accuracy(row, 88.3, None, is_share=True)
    with pytest.raises(AccuracyError, match=r"logged 88\.3 % \(0\.883, read as a share\)"):
        compared.raise_if_different()
    check_accuracy(row, 88.3, 100 - error, is_share=True).raise_if_different()

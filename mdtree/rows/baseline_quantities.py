"""The quantities of simple classifiers: what the data tell without the network."""

from __future__ import annotations

from mdtree.rows.quantity import SHARE, Quantity

__all__ = ["BASELINE"]

BASELINE = (
    Quantity(
        name="baseline_error",
        unit="%",
        meaning="test error of the better of two simple classifiers, fitted to the same items",
        low="the task is easy without a deep network",
        high="simple classifiers do not solve the task",
        metric="baseline",
        range=SHARE,
    ),
    Quantity(
        name="baseline_half_error",
        unit="%",
        meaning="the same, fitted to half of the training items",
        low="half of the items teach a simple classifier enough",
        high="simple classifiers do not solve the task with half of the items",
        metric="baseline",
        range=SHARE,
    ),
    Quantity(
        name="linear_error",
        unit="%",
        meaning="test error of a linear classifier of the inputs, fitted to the same items",
        low="classes can be told by a weighted sum of the inputs",
        high="classes differ by more than a weighted sum of the inputs",
        metric="baseline",
        range=SHARE,
    ),
)

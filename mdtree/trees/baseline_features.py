"""Features of simple classifiers that were fitted to the same items, beside the network."""

from __future__ import annotations

from mdtree.trees.feature import Feature, error_ratio

__all__ = ["BASELINE"]

BASELINE = (
    Feature(
        name="log_baseline_ratio",
        needs=("baseline_error", "test_error"),
        meaning="natural logarithm of a simple classifier's test error over the network's",
        low="the network is better than a simple classifier",
        high="the network is worse than a simple classifier",
        compute=error_ratio,
    ),
    Feature(
        name="log_linear_ratio",
        needs=("linear_error", "test_error"),
        meaning="natural logarithm of a linear classifier's test error over the network's",
        low="the network is better than a linear classifier",
        high="the network is worse than a linear classifier",
        compute=error_ratio,
    ),
    Feature(
        name="log_baseline_half_ratio",
        needs=("baseline_half_error", "baseline_error"),
        meaning="natural logarithm of a simple classifier's test error from half of the items "
        "over that from all",
        low="more items bring a simple classifier nothing",
        high="each item more helps a simple classifier",
        compute=error_ratio,
    ),
    Feature(
        name="log_linear_baseline_ratio",
        needs=("linear_error", "baseline_error"),
        meaning="natural logarithm of a linear classifier's test error over a simple classifier's",
        low="random features bring nothing over a linear classifier",
        high="classes differ by more than a weighted sum of the inputs",
        compute=error_ratio,
    ),
)

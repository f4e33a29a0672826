"""Resampling: the effect of measurement error on the features of a row.

Every quantity is redrawn from a normal distribution around its value; quantities that cannot be
negative (such as the Hessian's) from a log-normal distribution with the same mean and spread.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from mdtree.rows import QUANTITIES, Measured, Row
from mdtree.trees import FEATURES, SavedTree
from mdtree.trees.arrays import Floats
from mdtree.trees.feature import identity, log
from mdtree.trees.feature_values import computed, numbers_of

__all__ = ["DRAWS", "POSITIVE", "resampled", "resampled_rows", "standard_errors"]

DRAWS = 200
POSITIVE = (  # cannot be negative
    "hessian_top",
    "hessian_trace",
    "train_loss",
    "test_loss",
    "weight_distance",
    "chance_error",
    "chance_loss",
)
_PERCENT = ("train_error", "test_error")
_LARGEST = 1e100  # largest drawn value: its square is finite


def standard_errors(
    names: Iterable[str], row: Row, saved: SavedTree, draws: Floats
) -> dict[str, float]:
    """Return the standard errors of features.

    Each is that of the row where the feature is one quantity or its logarithm, and the standard
    deviation of the draws elsewhere.
    """
    errors = {}
    for name in names:
        known = _of_one_quantity(name, row)
        if known is None:
            column = draws[:, saved.features.index(name)]
            values = column[~np.isnan(column)]
            varies = len(values) > 0 and values.min() < values.max()
            known = float(values.std()) if varies else 0.0
        errors[name] = known
    return errors


def _of_one_quantity(name: str, row: Row) -> float | None:
    feature = FEATURES[name]
    measured = row.quantities.get(feature.needs[0]) if len(feature.needs) == 1 else None
    if not isinstance(measured, Measured) or measured.stderr is None:
        return None
    error = None
    if feature.compute is identity:
        error = measured.stderr
    elif feature.compute is log and measured.value > 0:
        error = measured.stderr / measured.value
    return error if error is not None and 0 <= error <= _LARGEST else None


def resampled(row: Row, saved: SavedTree, *, seed: int = 0, draws: int = DRAWS) -> Floats:
    """Return the features of a row as they could have been measured: one line for each draw."""
    (drawn,) = resampled_rows([row], saved, seed=seed, draws=draws)
    return np.asarray(drawn)


def resampled_rows(
    rows: Sequence[Row], saved: SavedTree, *, seed: int = 0, draws: int = DRAWS
) -> Floats:
    """Return the features of each row: (rows, draws, features); each draws from the same seed."""
    drawn = [_drawn_numbers(row, draws, seed) for row in rows]
    features = [FEATURES[name] for name in saved.features]
    missing = np.full(draws, math.nan)
    known = {
        name: np.concatenate([np.broadcast_to(each.get(name, missing), draws) for each in drawn])
        for name in {need for feature in features for need in feature.needs}
    }
    count = len(rows) * draws
    return computed(features, known, count).reshape(len(rows), draws, len(features))


def _drawn_numbers(row: Row, draws: int, seed: int) -> dict[str, Floats]:
    """Return what features are computed from; what has an error bar, once for each draw."""
    rng = np.random.default_rng(seed)
    known = {name: np.array(number, dtype=float) for name, number in numbers_of(row).items()}
    for name, value in row.quantities.items():
        if name in QUANTITIES and isinstance(value, Measured) and (value.stderr or 0) > 0:
            known[name] = _drawn(name, value, draws, rng)
    return known


def _drawn(name: str, value: Measured, draws: int, rng: np.random.Generator) -> Floats:
    stderr = value.stderr or 0.0
    largest_log = math.log(_LARGEST)
    if name in POSITIVE and value.value > 0:
        ratio = min(stderr / value.value, _LARGEST)
        spread = math.sqrt(math.log1p(ratio**2))
        logarithms = rng.normal(math.log(value.value) - spread**2 / 2, spread, draws)
        numbers = np.exp(logarithms.clip(-largest_log, largest_log))
    else:
        numbers = rng.normal(value.value, stderr, draws)
    bounds = (0, 100) if name in _PERCENT else (-_LARGEST, _LARGEST)
    return np.asarray(numbers.clip(*bounds))

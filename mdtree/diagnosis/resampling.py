"""Resampling: the effect of measurement error on the features of a row.

Every quantity is redrawn from a normal distribution around its value; quantities that cannot be
negative (such as the Hessian's) from a log-normal distribution with the same mean and spread.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from mdtree.rows import FACTS, QUANTITIES, Measured, Row, Value
from mdtree.rows.training_words import TRAINING_WORDS
from mdtree.trees import SavedTree
from mdtree.trees.binning import Floats
from mdtree.trees.feature_matrix import feature_matrix

__all__ = ["DRAWS", "resampled"]

DRAWS = 200
_POSITIVE = (
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


def resampled(row: Row, saved: SavedTree, *, seed: int = 0, draws: int = DRAWS) -> Floats:
    """Return the features of a row as they could have been measured: one line for each draw."""
    rng = np.random.default_rng(seed)
    quantities = ((name, value) for name, value in row.quantities.items() if name in QUANTITIES)
    drawn_values = {name: _draw(name, value, draws, rng) for name, value in quantities}
    facts = {
        name: fact for name, fact in row.facts.items() if name in FACTS or name in TRAINING_WORDS
    }
    base = Row(format=1, group=row.group, protocol=row.protocol, facts=facts, quantities={})
    rows = [
        replace(base, quantities={name: values[number] for name, values in drawn_values.items()})
        for number in range(draws)
    ]
    return feature_matrix(rows, saved.features)


def _draw(name: str, value: Value, draws: int, rng: np.random.Generator) -> list[Value]:
    if not isinstance(value, Measured) or value.stderr is None or value.stderr <= 0:
        return [value] * draws
    largest_log = math.log(_LARGEST)
    if name in _POSITIVE and value.value > 0:
        ratio = min(value.stderr / value.value, _LARGEST)
        spread = math.sqrt(math.log1p(ratio**2))
        logarithms = rng.normal(math.log(value.value) - spread**2 / 2, spread, draws)
        numbers = np.exp(logarithms.clip(-largest_log, largest_log))
    else:
        numbers = rng.normal(value.value, value.stderr, draws)
    bounds = (0, 100) if name in _PERCENT else (-_LARGEST, _LARGEST)
    stderr = value.stderr
    return [Measured(value=float(number), stderr=stderr) for number in numbers.clip(*bounds)]

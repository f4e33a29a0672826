"""The feature matrix: the numbers that trees ask about, one line for each row.

A number that is missing is NaN here, and only here: estimators take it, and rows never hold it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mdtree.exceptions import MdtreeError
from mdtree.labelling import number_of
from mdtree.messages import nearest
from mdtree.rows import Measured, Row
from mdtree.rows.training_words import TRAINING_WORDS
from mdtree.trees.arrays import DECIMALS
from mdtree.trees.feature import Feature, identity
from mdtree.trees.features import FEATURES

__all__ = ["computed", "feature_matrix", "numbers_of"]


def feature_matrix(rows: Sequence[Row], names: Iterable[str]) -> NDArray[np.float64]:
    """Return features of rows: one line for each row, one column for each name, NaN if missing.

    Raises:
        MdtreeError: If a name is not that of a feature.

    """
    numbers = [numbers_of(row) for row in rows]
    features = [_feature(name) for name in names]
    needs = dict.fromkeys(need for feature in features for need in feature.needs)
    known = {
        need: np.array([n.get(need, math.nan) for n in numbers], dtype=float) for need in needs
    }
    return computed(features, known, len(rows))


def computed(
    features: Sequence[Feature], known: Mapping[str, NDArray[np.float64]], count: int
) -> NDArray[np.float64]:
    """Return features, from one number of each row for what they need; NaN is missing."""
    missing = np.full(count, math.nan)
    matrix = np.empty((count, len(features)))
    for column, feature in enumerate(features):
        values = feature.compute(*(known.get(need, missing) for need in feature.needs))
        # the last bits of what is computed depend on the processor
        matrix[:, column] = values if feature.compute is identity else values.round(DECIMALS)
    return matrix


def _feature(name: str) -> Feature:
    if name not in FEATURES:
        raise MdtreeError(
            f"feature {name!r} is unknown{nearest(name, FEATURES)} (known: {', '.join(FEATURES)})"
        )
    return FEATURES[name]


def numbers_of(row: Row) -> Mapping[str, float]:
    """Return what features are computed from: measurements, facts, and what follows from facts."""
    facts = {name: number_of(row, name) for name in row.facts} | _meanings(row)
    numbers = {name: value for name, value in facts.items() if value is not None}
    quantities = {n: v for n, v in row.quantities.items() if isinstance(v, Measured)}
    measured = {name: value.value for name, value in quantities.items()}
    stderrs = {
        f"{name}_stderr": value.stderr
        for name, value in quantities.items()
        if value.stderr is not None
    }
    steps = _training_steps(numbers)
    return {**numbers, **stderrs, **measured} | ({} if steps is None else {"steps": steps})


def _meanings(row: Row) -> dict[str, float | None]:
    """Return what words for the training mean, as numbers: 1 or 0, None if that is not known."""
    meanings: dict[str, float | None] = {}
    for name, meaning in TRAINING_WORDS.items():
        word = row.facts.get(name)
        known = meaning(word) if isinstance(word, str) else None
        meanings[name] = None if known is None else float(known)
    return meanings


def _training_steps(facts: Mapping[str, float]) -> float | None:
    """Return the number of training steps: a fact, or computed from the epochs."""
    if "steps" in facts:
        return facts["steps"]
    epochs, items, batch = (facts.get(name) for name in ("epochs", "data_amount", "batch_size"))
    if epochs is None or items is None or batch is None or not batch > 0:
        return None
    batches = items / batch
    steps = epochs * math.ceil(batches) if math.isfinite(batches) else math.inf
    return steps if math.isfinite(steps) else None

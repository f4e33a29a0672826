"""Copies of the training groups of which less is known, so that a regression learns to do without.

Columns are left out together that come from one metric or one fact.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mdtree.rows import QUANTITIES
from mdtree.trees.arrays import Floats
from mdtree.trees.feature_sets import LOGGED, known_from_files
from mdtree.trees.features import FEATURES

__all__ = ["copies"]

# facts that only a recipe knows
_RECIPE = ("learning_rate", "batch_size", "steps", "optimizer", "schedule")
_OF_PAIRS = (  # quantities that need two checkpoints
    "ensemble_gain",
    "train_ensemble_gain",
    "disagreement",
    "train_disagreement",
)
# a tree learns to do without them: rows of earlier versions have them only with the predictions
_CHANCE = ("chance_error", "chance_loss")
_MOST_LEFT_OUT = 0.6  # of the metrics and facts of a group
_COPY = 0.25  # weight of a copy relative to the whole
_LOGGED_COPY = 0.06
_NOT_LOGGED = 0.25  # share of the facts and logged numbers that a copy like this lacks


def copies(
    lines: Floats, names: Sequence[str], random: np.random.Generator
) -> Iterator[tuple[float, Floats]]:
    """Yield copies of the lines, each with the weight that it has.

    One is without the facts of a recipe, one without some metrics and facts, and one is as files
    alone tell of the groups.
    """
    sources = _sources(names)
    recipe = [columns for source, columns in sources.items() if source in _RECIPE]
    if recipe:
        without = lines.copy()
        without[:, np.concatenate(recipe)] = np.nan
        yield _COPY, without
    if len(sources) > 1:
        some = lines.copy()
        share = _MOST_LEFT_OUT * random.random(len(some))  # another for each line
        for columns in sources.values():
            left_out = random.random(len(some)) < share
            some[np.ix_(left_out, np.array(columns))] = np.nan
        yield _COPY, some
    yield from _logged_copies(lines, names, random)


def _logged_copies(
    lines: Floats, names: Sequence[str], random: np.random.Generator
) -> Iterator[tuple[float, Floats]]:
    """Yield a copy of the groups as files alone tell of them: weights, settings and a log."""
    known = np.array([known_from_files(name) for name in names], dtype=bool)
    if known.all() or not known.any():
        return
    logged = lines.copy()
    logged[:, ~known] = np.nan
    parts: dict[str, list[int]] = {}
    for column, name in enumerate(names):
        for need in FEATURES[name].needs if name in FEATURES else ():
            parts.setdefault(need if need in LOGGED else _source(need), []).append(column)
    for columns in parts.values():
        missing = random.random(len(logged)) < _NOT_LOGGED
        logged[np.ix_(missing, np.array(columns))] = np.nan
    yield _LOGGED_COPY, logged


def _sources(names: Sequence[str]) -> dict[str, list[int]]:
    """Return the columns that need each metric and each fact."""
    sources: dict[str, list[int]] = {}
    for column, name in enumerate(names):
        needs = FEATURES[name].needs if name in FEATURES else ("?",)
        for source in {_source(need) for need in needs}:
            sources.setdefault(source, []).append(column)
    sources.pop("error_rate", None)  # it is always measured, and first
    return sources


def _source(need: str) -> str:
    if need in _OF_PAIRS:
        return "pairs"
    if need in _CHANCE:
        return "predictions"
    return QUANTITIES[need].metric if need in QUANTITIES else need

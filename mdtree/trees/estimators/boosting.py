"""Boosting: fits trees one after another, each to what those before it leave unexplained.

Gradient boosting of multinomial deviance with histograms (Friedman, 2001; Ke et al., 2017), by
scikit-learn, whose trees are then stored in a form of our own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdtree.trees.arrays import Floats
from mdtree.trees.boosted_trees import NEVER_ABOVE, BoostedTrees

__all__ = ["boosted"]

_ROUNDS = 150  # trees of each class
_RATE = 0.1  # share of each tree that counts
_DEPTH = 3
_FEWEST = 40  # groups in a leaf
_RIDGE = 5.0
_BINS = 255  # of a feature, which questions tell apart
_DIGITS = 3  # of thresholds on a scale where most numbers are below 2, and of values
_COMPARED = 1000  # lines on which the stored trees are compared with the fitted ones
_SAME = 0.005  # chances differ by less on average; rounding may move single lines


def boosted(
    lines: Floats, answers: NDArray[np.intp], weights: Floats, classes: Sequence[str]
) -> BoostedTrees:
    """Fit boosted trees to answers, which are numbers of classes; classes without any are left out.

    Args:
        lines: Scaled features, NaN where unknown.
        answers: The number of a class for each line; at least two different ones.
        weights: Of the lines.
        classes: Their names.

    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    learner = HistGradientBoostingClassifier(
        learning_rate=_RATE,
        max_iter=_ROUNDS,
        max_depth=_DEPTH,
        max_leaf_nodes=2**_DEPTH,
        min_samples_leaf=_FEWEST,
        l2_regularization=_RIDGE,
        max_bins=_BINS,
        early_stopping=False,
        random_state=0,
    )
    cuts = [_cuts(column, weights) for column in lines.T]
    binned = np.column_stack([_bins(*pair) for pair in zip(lines.T, cuts, strict=True)])
    # one thread: those that share a core with other work wait for each other, for minutes
    with threadpool_limits(1, user_api="openmp"):
        fitted = learner.fit(binned, answers, sample_weight=weights)
    # there is no public way to its trees; the comparison below finds what has changed there
    rounds: list[list[Any]] = fitted._predictors  # noqa: SLF001
    trees = [each[number] for number in range(len(rounds[0])) for each in rounds]
    shape = len(trees), 2**_DEPTH - 1
    features, thresholds = np.zeros(shape, dtype=np.intp), np.full(shape, NEVER_ABOVE)
    missing_low, values = np.ones(shape, dtype=bool), np.zeros((len(trees), 2**_DEPTH))
    for number, tree in enumerate(trees):
        tables = features[number], thresholds[number], missing_low[number], values[number]
        _copy(tree.nodes, 0, 0, (cuts, *tables))
    starts: Floats = np.ravel(fitted._baseline_prediction)  # noqa: SLF001
    known = [classes[number] for number in fitted.classes_]
    stored = BoostedTrees(
        classes=known,
        starts=starts.round(_DIGITS),
        features=features,
        thresholds=thresholds.clip(max=NEVER_ABOVE).round(_DIGITS),
        missing_low=missing_low,
        values=values.round(_DIGITS),
    )
    some = np.linspace(0, len(lines) - 1, min(len(lines), _COMPARED)).astype(int)
    given = stored.chances(lines[some])
    _check(np.column_stack([given[name] for name in known]), fitted.predict_proba(binned[some]))
    return stored


def _cuts(column: Floats, weights: Floats) -> Floats:
    """Return what lies between the bins of a feature; all bins have about the same weight.

    scikit-learn would sort the column anew for each of them, where lines have weights; bins of
    ours it takes as they are.
    """
    known = ~np.isnan(column)
    values, place = np.unique(column[known], return_inverse=True)
    last = np.arange(len(values) - 1)
    if len(values) > _BINS:
        total = np.cumsum(np.bincount(place, weights[known]))
        last = np.unique(np.searchsorted(total[:-1], np.arange(1, _BINS) / _BINS * total[-1]))
        last = last[last < len(values) - 1]
    return np.asarray((values[last] + values[last + 1]) / 2)


def _bins(column: Floats, cuts: Floats) -> Floats:
    """Return the number of each line's bin, NaN where the feature is unknown."""
    return np.where(np.isnan(column), np.nan, np.searchsorted(cuts, column))


def _copy(nodes: Any, node: int, place: int, tables: tuple[Any, ...]) -> None:
    """Copy a node and those below it; a leaf above the last level asks nothing more."""
    cuts, features, thresholds, missing_low, values = tables
    if place >= len(features):
        values[place - len(features)] = nodes[node]["value"]
    elif nodes[node]["is_leaf"]:
        _copy(nodes, node, 2 * place + 1, tables)
    else:
        features[place] = nodes[node]["feature_idx"]
        last_low = nodes[node]["num_threshold"]  # infinite where only what is unknown goes up
        if np.isfinite(last_low):
            thresholds[place] = cuts[features[place]][int(last_low)]
        missing_low[place] = bool(nodes[node]["missing_go_to_left"])
        _copy(nodes, int(nodes[node]["left"]), 2 * place + 1, tables)
        _copy(nodes, int(nodes[node]["right"]), 2 * place + 2, tables)


def _check(stored: Floats, expected: Floats) -> None:
    """Refuse trees that do not answer as the fitted ones."""
    if np.abs(stored - expected).mean() > _SAME:
        raise RuntimeError(
            "boosted trees cannot be read from this version of scikit-learn: install the one in "
            "constraints/cpu.txt"
        )

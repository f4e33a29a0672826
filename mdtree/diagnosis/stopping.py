"""When to stop measuring: which metric a verdict still needs, and when it can no longer flip."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from itertools import product

import numpy as np

from mdtree.diagnosis.diagnoser import Diagnoser
from mdtree.diagnosis.ensemble import TreeEnsemble
from mdtree.diagnosis.missing import metric_of
from mdtree.rows import Row
from mdtree.trees import SavedTree, Split
from mdtree.trees.binning import Floats
from mdtree.trees.node import KNOWN
from mdtree.trees.template import from_scale, questions_of

__all__ = ["is_settled", "next_metric"]

_VALUES = 9  # of a missing feature that are tried
_MOST = 20_000  # combinations of them


def next_metric(diagnoser: Diagnoser, row: Row, metrics: Collection[str]) -> str | None:
    """Name the metric to measure next, of those that can be; None where the verdict is settled.

    The order of `metrics` is that of their cost: the cheapest comes first that the walk to the most
    probable answer asks for; after them, the cheapest that any plausible tree asks for.
    """
    line = diagnoser.line(row)
    needed = {
        metric_of(name, row) for name in _missing(diagnoser.ensemble.features, diagnoser, line)
    }
    candidates = [metric for metric in metrics if metric in needed]
    if not candidates or is_settled(diagnoser, row):
        return None
    path_features = [step.feature for step in diagnoser(row).clues]
    path_metrics = {metric_of(name, row) for name in _missing(path_features, diagnoser, line)}
    return next((metric for metric in candidates if metric in path_metrics), candidates[0])


def is_settled(diagnoser: Diagnoser, row: Row) -> bool:
    """Say whether no outcome of what is missing could change the verdict.

    Every missing feature is tried at values between and beyond the cuts of the trees, in all
    combinations; where these are too many, the verdict is not settled.
    """
    line = diagnoser.line(row)
    trial_values = _trial_values(diagnoser.ensemble, line)
    if not trial_values:
        return True
    if math.prod(map(len, trial_values.values())) > _MOST:
        return False
    combinations = np.array(list(product(*trial_values.values())))
    lines = np.repeat(line[None], len(combinations), axis=0)
    lines[:, [diagnoser.saved.features.index(name) for name in trial_values]] = combinations
    return len({diagnoser.mode(shares) for shares in diagnoser.ensemble.probabilities(lines)}) == 1


def _missing(features: Collection[str], diagnoser: Diagnoser, line: Floats) -> list[str]:
    names = diagnoser.saved.features
    return [name for name in features if math.isnan(line[names.index(name)])]


def _trial_values(ensemble: TreeEnsemble, line: Floats) -> Mapping[str, Floats]:
    """Give the values at which each missing feature is tried."""
    names = ensemble.saved.features
    return {
        name: _values_around(np.unique(cuts))
        for name, cuts in _cuts(ensemble.saved).items()
        if math.isnan(line[names.index(name)])
    }


def _cuts(saved: SavedTree) -> dict[str, list[float]]:
    """Collect the thresholds of each feature that any of the trees may have.

    A regression of gains has none; its quantiles stand for them.
    """
    if saved.gain_model is not None:
        scales = saved.gain_model.regression.scales
        return {saved.features[n]: scale.quantiles.tolist() for n, scale in scales.items()}
    thresholds: dict[str, list[float]] = {}
    for _, binned in saved.components:
        for question, cuts in zip(questions_of(binned.shape), binned.cuts, strict=True):
            thresholds.setdefault(question.feature, []).extend(
                from_scale(float(cut), question.scale) for cut in cuts
            )
    nodes = [] if saved.components else [saved.tree]
    while nodes:
        node = nodes.pop()
        if isinstance(node, Split):
            if node.threshold != KNOWN:  # being known is no outcome: what is measured will be
                thresholds.setdefault(node.feature, []).append(node.threshold)
            nodes += [node.low, node.high]
    return thresholds


def _values_around(cuts: Floats) -> Floats:
    """Choose values below, between and above cuts."""
    span = float(cuts[-1] - cuts[0]) or 1.0
    values = np.concatenate([[cuts[0] - span], (cuts[1:] + cuts[:-1]) / 2, [cuts[-1] + span]])
    places = np.linspace(0, len(values) - 1, min(_VALUES, len(values))).round().astype(int)
    return np.asarray(values[places])

"""What was not measured: the metrics that the trees need, and what they could change."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mdtree.diagnosis.ensemble import TreeEnsemble
from mdtree.diagnosis.verdict_record import MissingMeasurement
from mdtree.rows import FACTS as AMOUNTS
from mdtree.rows import QUANTITIES, Measured, Missing, Row
from mdtree.rows.training_words import TRAINING_WORDS, is_known_word
from mdtree.trees import FEATURES
from mdtree.trees.arrays import Floats, first_best
from mdtree.trees.feature_sets import is_in_files
from mdtree.trees.feature_values import numbers_of

__all__ = [
    "FACTS",
    "NOT_MEASURED",
    "NOT_POSITIVE",
    "PAIRS",
    "facts_of",
    "is_from_files",
    "metric_of",
    "missing_by_metric",
    "missing_measurements",
    "most_changes",
    "not_run",
    "untold_facts",
]

FACTS = "facts"  # takes the place of a metric
_HALF = 0.5
NOT_MEASURED = "was not measured"  # how the reason of what was left out ends
PAIRS = "needs 2 checkpoints"  # how the reason of what compares two networks begins
_OF_PAIRS = ("connectivity", "similarity")  # metrics that give nothing for a single checkpoint
NOT_POSITIVE = "cannot be computed: it needs a positive number"


def missing_measurements(
    ensemble: TreeEnsemble, rows: Sequence[Row], lines: Floats, probabilities: Floats
) -> list[tuple[MissingMeasurement, ...]]:
    """Return the missing metrics of each row, those that may change most first.

    `probabilities` are those of the lines.
    """
    missing = [
        missing_by_metric(ensemble, row, line) for row, line in zip(rows, lines, strict=True)
    ]
    questions = [
        (line, features)
        for line, by_metric in zip(lines, missing, strict=True)
        for features in by_metric.values()
    ]
    outlooks = iter(ensemble.outlooks(questions))
    found = []
    for row, by_metric, shares in zip(rows, missing, probabilities, strict=True):
        measurements = [
            MissingMeasurement(
                metric=metric,
                features=tuple(features),
                reason=_reason(features[0], row),
                flips=_flips(ensemble, shares, next(outlooks)),
            )
            for metric, features in by_metric.items()
        ]
        found.append(tuple(sorted(measurements, key=lambda measurement: -measurement.flips)))
    return found


def missing_by_metric(ensemble: TreeEnsemble, row: Row, line: Floats) -> dict[str, list[str]]:
    """Return the missing features of the trees by the metric that would provide them."""
    names = ensemble.saved.features
    by_metric: dict[str, list[str]] = {}
    for name in ensemble.features:
        if np.isnan(line[names.index(name)]):
            by_metric.setdefault(metric_of(name, row), []).append(name)
    return by_metric


def metric_of(feature: str, row: Row) -> str:
    """Return the metric that would provide a feature; `facts` if the user must provide it."""
    needs = FEATURES[feature].needs
    unmeasured = [name for name in needs if name in QUANTITIES and not _measured(name, row)]
    if not unmeasured and untold_facts(feature, row):
        return FACTS
    for name in unmeasured or needs:
        if name in QUANTITIES:
            return QUANTITIES[name].metric
    return FACTS


def untold_facts(feature: str, row: Row) -> list[str]:
    """Return the facts that a feature needs and that are not in a row and do not follow from it."""
    known = {*row.facts, *numbers_of(row)}
    facts = {*AMOUNTS, *TRAINING_WORDS}
    return [name for name in FEATURES[feature].needs if name in facts and name not in known]


def facts_of(missing: MissingMeasurement, row: Row) -> tuple[str, ...]:
    """Return the facts that are missing, or those that are no usable values."""
    untold = [fact for name in missing.features for fact in untold_facts(name, row)]
    wrong = [need for name in missing.features for need in FEATURES[name].needs]
    return tuple(dict.fromkeys(untold or wrong))


def is_from_files(row: Row) -> bool:
    """Return whether a row holds nothing that only measuring tells."""
    return all(
        is_in_files(name) for name, value in row.quantities.items() if isinstance(value, Measured)
    )


def not_run(row: Row) -> bool:
    """Return whether all that is known of a row comes from weights, settings and logs."""
    return row.provenance is None and bool(row.quantities) and is_from_files(row)


def _measured(name: str, row: Row) -> bool:
    value = row.quantities.get(name)
    return value is not None and not isinstance(value, Missing)


def _reason(feature: str, row: Row) -> str:
    for name in FEATURES[feature].needs:
        value = row.quantities.get(name)
        if isinstance(value, Missing):
            return value.missing
        if value is None and name in QUANTITIES:
            if QUANTITIES[name].metric in _OF_PAIRS and _is_single(row):
                return f"{PAIRS}, found 1"
            return f"{name} {NOT_MEASURED}"
    for name in untold_facts(feature, row):
        return f"the fact {name} is not known"
    for name in FEATURES[feature].needs:
        if name in TRAINING_WORDS:  # it is told, but does not answer the question
            word = row.facts[name]
            known = isinstance(word, str) and is_known_word(name, word)
            fault = "neither like Adam nor like SGD" if known else "not one that mdtree knows"
            return f"the {name} {word!r:.50} is {fault}"
    return f"{feature} {NOT_POSITIVE}"


def _is_single(row: Row) -> bool:
    """Return whether a row is known to be about one network."""
    return row.provenance is not None and len(row.provenance.weights) == 1


def _flips(ensemble: TreeEnsemble, probabilities: Floats, outlook: tuple[Floats, Floats]) -> float:
    current = int(first_best(probabilities))
    outcomes, shares = outlook
    flips = float(shares[first_best(outcomes) != current].sum())
    if ensemble.saved.gain_model is not None:
        # an answer that is no longer the most probable one has at most every second chance
        flips = min(flips, most_changes(float(probabilities[current]), at_most=_HALF))
    return round(flips, 6)


def most_changes(probability: float, *, at_most: float) -> float:
    """Return the largest chance that an answer loses its probability by what is measured next.

    A calibrated probability is the mean of what it may become.  So if it falls to `at_most` with
    the chance c, then

        probability <= c at_most + (1 - c) .

    Groups that a gain regression takes for similar differ more than that allows.
    """
    return min(1.0, max(0.0, (1 - probability) / (1 - at_most))) if at_most < 1 else 1.0


def is_final(measurement: MissingMeasurement, row: Row) -> bool:
    """Return whether a metric cannot be measured, or nothing but files is known of the row."""
    if row.provenance is None and is_from_files(row):
        return True
    needs = {need for name in measurement.features for need in FEATURES[name].needs}
    return any(isinstance(row.quantities.get(need), Missing) for need in needs)

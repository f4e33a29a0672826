"""Scores of answers for zoos that were not seen; means over zoos, so that each weighs the same.

Answers are judged on groups whose label is clear of the noise; what follows an answer, on all whose
gain is known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import NDArray

from mdtree.evaluation.left_out_methods import CLASSES, Answers
from mdtree.evaluation.scores import LEAST, calibration_error
from mdtree.failure_modes import CONFIDENCE, REMEDIES
from mdtree.labelling import Label
from mdtree.trees.gain_model import answer_set

__all__ = ["LeftOutScores", "left_out_scores", "mean_scores"]


@dataclass(frozen=True, kw_only=True)
class LeftOutScores:
    """The scores of one method; NaN if a zoo has no such group."""

    right: float  # percent of groups with a clear label: the likeliest of five answers is right
    temperature: float  # percent right: too high or too low, if the two gains differ
    resources: float  # percent right: data or model, if the two gains differ
    lost: float  # percent of the possible gain that is lost by following the likeliest answer
    right_sure: float  # percent of groups with a clear label: sure enough for a verdict, and right
    wrong_sure: float  # the same, and wrong
    log_loss: float  # nats
    ece: float  # expected calibration error, 0 to 1
    coverage_80: float  # percent of sets that hold the right answer
    size_80: float  # answers in a set
    coverage_90: float
    size_90: float
    outside: float  # percent of groups flagged as unlike those of the zoos that were seen
    # of each group with a clear label: how sure the likeliest answer is, and whether it is right
    confidences: tuple[tuple[float, bool], ...] = field(default=(), repr=False)

    def numbers(self) -> dict[str, float]:
        """Return the scores by name."""
        return {part.name: getattr(self, part.name) for part in _NUMBERS}


_NUMBERS = [part for part in fields(LeftOutScores) if part.name != "confidences"]


def mean_scores(by_zoo: Mapping[str, LeftOutScores]) -> LeftOutScores:
    """Return the means over zoos, leaving out NaN.

    The calibration error is that of all groups together: a zoo has too few for ten bins.
    """
    means = {}
    for column in _NUMBERS:
        values = np.array([getattr(scores, column.name) for scores in by_zoo.values()])
        known = values[~np.isnan(values)]
        means[column.name] = float(known.mean()) if len(known) else float("nan")
    confidences = tuple(pair for scores in by_zoo.values() for pair in scores.confidences)
    if confidences:
        sure, right = np.array(confidences).T
        means["ece"] = calibration_error(sure, right.astype(bool))
    return LeftOutScores(**means, confidences=confidences)


def left_out_scores(answers: Answers, labels: Sequence[Label]) -> LeftOutScores:
    """Score the answers of a method for one zoo."""
    given = [CLASSES[number] for number in answers.probabilities.argmax(axis=1)]
    clear = np.array([label.is_clear for label in labels])
    right = np.array([label.mode == mode for label, mode in zip(labels, given, strict=True)])
    sure = answers.probabilities.max(axis=1)
    places = [CLASSES.index(label.mode) for label in labels]
    true = answers.probabilities[np.arange(len(labels)), places]
    sets = {
        coverage: [
            answer_set(dict(zip(CLASSES, map(float, line), strict=True)), level)
            for line in answers.probabilities
        ]
        for coverage, level in answers.levels.items()
    }
    held = {
        coverage: np.array([label.mode in names for label, names in zip(labels, each, strict=True)])
        for coverage, each in sets.items()
    }
    sizes = {coverage: np.array([len(names) for names in each]) for coverage, each in sets.items()}
    nothing = np.full(len(labels), np.nan)
    return LeftOutScores(
        right=_percent(right, clear),
        temperature=_between(answers, labels, "lower_temperature", "raise_temperature"),
        resources=_between(answers, labels, "add_data", "enlarge_model"),
        lost=_lost(given, labels),
        right_sure=_percent(right & (sure >= CONFIDENCE), clear),
        wrong_sure=_percent(~right & (sure >= CONFIDENCE), clear),
        log_loss=_mean(-np.log(true.clip(LEAST, 1)), clear),
        ece=calibration_error(sure[clear], right[clear]) if clear.any() else float("nan"),
        coverage_80=100 * _mean(held.get("0.8", nothing), clear),
        size_80=_mean(sizes.get("0.8", nothing), clear),
        coverage_90=100 * _mean(held.get("0.9", nothing), clear),
        size_90=_mean(sizes.get("0.9", nothing), clear),
        outside=float("nan") if answers.outside is None else 100 * float(answers.outside.mean()),
        confidences=tuple(zip(sure[clear].tolist(), right[clear].tolist(), strict=True)),
    )


def _between(answers: Answers, labels: Sequence[Label], one: str, other: str) -> float:
    """Return how often the better of two remedies is chosen, if both are known and differ."""
    sides = [CLASSES.index(REMEDIES[remedy]) for remedy in (one, other)]
    first = answers.probabilities[:, sides[0]] > answers.probabilities[:, sides[1]]
    right = [
        bool(first[number]) is (label.gains[one] > label.gains[other])
        for number, label in enumerate(labels)
        if {one, other} <= label.known.keys()
        and abs(label.gains[one] - label.gains[other]) > label.margin
    ]
    return 100 * float(np.mean(right)) if right else float("nan")


def _lost(given: Sequence[str], labels: Sequence[Label]) -> float:
    """Return the percentage of the possible gain that is lost by following the answers."""
    possible = reached = 0.0
    for mode, label in zip(given, labels, strict=True):
        known = {REMEDIES[remedy]: gain for remedy, gain in label.known.items()}
        if mode == "none" or mode in known:
            possible += max(known.values(), default=0.0)
            reached += known.get(mode, 0.0)
    return 100 * (possible - reached) / possible if possible else float("nan")


def _percent(values: NDArray[np.bool_], counted: NDArray[np.bool_]) -> float:
    return 100 * _mean(values.astype(float), counted)


def _mean(values: NDArray[np.float64], counted: NDArray[np.bool_]) -> float:
    return float(values[counted].mean()) if counted.any() else float("nan")

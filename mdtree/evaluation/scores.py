"""Scores of answers: accuracy, calibration, and what following them would gain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mdtree.failure_modes import RoomForImprovement, best_gain, step_gain
from mdtree.trees.arrays import Floats

__all__ = ["LEAST", "MethodScores", "calibration_error", "scored"]

_BINS = 10
LEAST = 1e-3  # smallest probability in a log loss, so that one sure mistake is not infinite


@dataclass(frozen=True, kw_only=True)
class MethodScores:
    """The scores of one method on one case with one seed."""

    accuracy: float  # percent
    log_loss: float  # nats
    ece: float  # expected calibration error, 0 to 1
    regret: float  # points of test accuracy lost relative to the best answer
    gain_clipped: float  # points that one step gains, losses counted as 0, as published
    gain: float  # the same, losses counted


def scored(
    given: Sequence[str],
    probabilities: Floats,
    classes: Sequence[str],
    *,
    answers: Sequence[str],
    rooms: Sequence[RoomForImprovement],
) -> MethodScores:
    """Score given answers and their probabilities (rows, classes) against the right answers."""
    columns = {name: number for number, name in enumerate(classes)}
    right = np.array([g == a for g, a in zip(given, answers, strict=True)])
    true_probabilities = _probabilities_of(probabilities, columns, answers)
    steps = np.array([step_gain(room, g) for room, g in zip(rooms, given, strict=True)])
    reached = np.array([best_gain(room, g) for room, g in zip(rooms, given, strict=True)])
    possible = np.array([best_gain(room, a) for room, a in zip(rooms, answers, strict=True)])
    return MethodScores(
        accuracy=100 * float(right.mean()),
        log_loss=float(-np.log(np.clip(true_probabilities, LEAST, 1)).mean()),
        ece=calibration_error(_probabilities_of(probabilities, columns, given), right),
        regret=float((possible - reached).mean()),
        gain_clipped=float(np.maximum(steps, 0).mean()),
        gain=float(steps.mean()),
    )


def _probabilities_of(
    probabilities: Floats, columns: Mapping[str, int], answers: Sequence[str]
) -> Floats:
    """Return the probability of one answer for each row; 0 for an answer never seen."""
    return np.array(
        [
            probabilities[line, columns[answer]] if answer in columns else 0.0
            for line, answer in enumerate(answers)
        ]
    )


def calibration_error(confidence: Floats, right: NDArray[np.bool_]) -> float:
    """Return the expected calibration error in ten bins of equal width.

    ECE = sum_b (n_b / n) * | mean confidence in b - share of right answers in b |

    Guo et al.: "On Calibration of Modern Neural Networks", arXiv 1706.04599.
    """
    bins = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    gaps = [
        abs(confidence[bins == number].mean() - right[bins == number].mean())
        * (bins == number).mean()
        for number in np.unique(bins)
    ]
    return float(sum(gaps))

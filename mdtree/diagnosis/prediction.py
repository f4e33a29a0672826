"""Predictions: what a tree says about rows, computed for many rows together.

One call with many lines costs far less than many calls with one.  It differs from them in the last
bits alone, and these are rounded away: a row gets the same numbers alone and among others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mdtree.diagnosis.ensemble import TreeEnsemble
from mdtree.diagnosis.missing import missing_measurements
from mdtree.diagnosis.resampling import resampled_rows
from mdtree.diagnosis.verdict_record import MissingMeasurement, OutOfDistribution
from mdtree.rows import Row
from mdtree.trees.arrays import Floats, first_best
from mdtree.trees.gain_model import little_known

__all__ = ["Prediction", "predictions"]

_DIGITS = 9  # behind the point, of what a verdict holds
_TOGETHER = 16  # rows whose resamples are held in memory at once


@dataclass(frozen=True, kw_only=True, eq=False)
class Prediction:
    """What a tree says about one row."""

    row: Row
    line: Floats  # features
    little: bool  # nothing was measured and nothing is told of the training
    shares: Floats  # probability of each class
    place: int  # the most probable class
    agreement: float | None  # share of plausible trees with this class; None for a single tree
    draws: Floats  # features as they could have been measured
    stability: float | None  # share of draws with this class; None without error bars
    outlier: OutOfDistribution | None
    missing: tuple[MissingMeasurement, ...]
    gains: Mapping[str, float]  # remedy -> expected gain, relative to the error; of a regression
    doublings: Mapping[str, float]  # remedy -> how often its fact is doubled for it; the same


def predictions(
    ensemble: TreeEnsemble,
    rows: Sequence[Row],
    *,
    seed: int = 0,
    allow_protocol_mismatch: bool = False,
) -> Iterator[Prediction]:
    """Yield the prediction for each row, in order."""
    saved = ensemble.saved
    for start in range(0, len(rows), _TOGETHER):
        part = rows[start : start + _TOGETHER]
        lines = saved.matrix(part, allow_protocol_mismatch=allow_protocol_mismatch)
        little = np.zeros(len(part), dtype=bool)
        if saved.gain_model is not None:
            little = little_known(lines, saved.features)
        outcomes = ensemble.outcomes(lines)
        shares = outcomes.probabilities.round(_DIGITS)
        places = [int(place) for place in first_best(shares)]
        votes = ensemble.votes(lines)
        outliers = [_rounded(outlier) for outlier in saved.outliers(lines)]
        missing = missing_measurements(ensemble, part, lines, shares)
        draws = resampled_rows(part, saved, seed=seed)
        stabilities = _stabilities(ensemble, lines, draws, places)
        for number, row in enumerate(part):
            place = places[number]
            yield Prediction(
                row=row,
                line=lines[number],
                little=bool(little[number]),
                shares=shares[number],
                place=place,
                agreement=None if votes is None else round(float(votes[number, place]), _DIGITS),
                draws=draws[number],
                stability=stabilities[number],
                outlier=outliers[number],
                missing=missing[number],
                gains=_of_row(outcomes.gains, number),
                doublings=_of_row(outcomes.doublings, number),
            )


def _of_row(expected: Mapping[str, Floats], number: int) -> dict[str, float]:
    return {remedy: round(float(values[number]), _DIGITS) for remedy, values in expected.items()}


def _rounded(outlier: OutOfDistribution | None) -> OutOfDistribution | None:
    if outlier is None:
        return None
    return replace(outlier, distance=round(outlier.distance, _DIGITS))


def _stabilities(
    ensemble: TreeEnsemble, lines: Floats, draws: Floats, places: Sequence[int]
) -> list[float | None]:
    """Return the share of resamples with the same answer; None without error bars."""
    varied = [
        number
        for number, (line, drawn) in enumerate(zip(lines, draws, strict=True))
        if not ((drawn == line) | (np.isnan(drawn) & np.isnan(line))).all()
    ]
    found: list[float | None] = [None] * len(draws)
    if varied:
        together = draws[varied].reshape(-1, draws.shape[-1])
        best = first_best(ensemble.probabilities(together)).reshape(len(varied), -1)
        for number, answers in zip(varied, best, strict=True):
            found[number] = float((answers == places[number]).mean())
    return found

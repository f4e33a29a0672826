"""When to stop measuring: what a metric may change, and whether that is worth its time.

A metric is worth its time if it changes the verdict with a probability of at least 1 %, plus 1 %
for every minute that it takes.  Where a gain regression decides, it counts as well if the advice
changes: to another change, or to another gain beyond its tolerance (`printed_answers`).

Five seconds count as nothing: on a busy machine, short times are told apart by chance, and the same
networks should get the same measurements.

Of those that are worth their time, the cheapest is measured first: it may settle what a dearer one
would have been measured for.  Only where none is worth its time alone, several are considered
together, the cheapest with those after it: some numbers are informative only in combination.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mdtree.diagnosis.diagnoser import Diagnoser
from mdtree.diagnosis.missing import missing_by_metric
from mdtree.diagnosis.printed_answers import agreement_of_lines
from mdtree.diagnosis.target import target_of
from mdtree.rows import Row
from mdtree.trees.arrays import Floats

__all__ = ["Prospect", "next_metric", "prospects"]

_LEAST = 0.01  # probability that a verdict changes, for a metric that costs nothing
_MINUTE = 0.01  # more for every minute
_SECONDS = 60
_NOTHING = 5.0  # seconds


@dataclass(frozen=True, kw_only=True)
class Prospect:
    """The possible effect of measuring some metrics, the cheapest of them first."""

    metrics: tuple[str, ...]
    change: float  # the probability that the verdict or its advice changes
    seconds: float  # for all of them together

    @property
    def surplus(self) -> float:
        """Return how far the probability of a change exceeds what the time requires."""
        seconds = self.seconds if self.seconds > _NOTHING else 0.0
        return self.change - _LEAST - _MINUTE * seconds / _SECONDS


def next_metric(diagnoser: Diagnoser, row: Row, seconds: Mapping[str, float]) -> Prospect | None:
    """Choose the metric to measure next; None if nothing is worth its time.

    Args:
        diagnoser: The diagnoser that will judge the row.
        row: What is known about the group.
        seconds: The metrics that can be measured, the cheapest first, and the time of each.

    Returns:
        The best prospect: measure its first metric, then call this again.

    """
    outlook = _Outlook(diagnoser, row, seconds)
    alone = [each for each in outlook.alone() if each.surplus >= 0]
    if alone:
        return alone[0]
    together = [each for each in outlook.together() if each.surplus >= 0]
    return max(together, key=lambda each: each.surplus, default=None)


def prospects(diagnoser: Diagnoser, row: Row, seconds: Mapping[str, float]) -> list[Prospect]:
    """Return what each metric may change by itself, the cheapest first.

    Args:
        diagnoser: The diagnoser that will judge the row.
        row: What is known about the group.
        seconds: The metrics that can be measured, the cheapest first, and the time of each.

    """
    return _Outlook(diagnoser, row, seconds).alone()


class _Outlook:
    """What measuring may change about a row."""

    def __init__(self, diagnoser: Diagnoser, row: Row, seconds: Mapping[str, float]) -> None:
        self._diagnoser, self._row, self._seconds = diagnoser, row, seconds
        self._line = diagnoser.line(row)
        self._missing = missing_by_metric(diagnoser.ensemble, row, self._line)
        self._candidates = [metric for metric in seconds if metric in self._missing]
        target = target_of(row)
        self._is_decided = target is not None and target.is_reached

    def alone(self) -> list[Prospect]:
        """Consider each metric by itself."""
        return self._prospects([(metric,) for metric in self._candidates])

    def together(self) -> list[Prospect]:
        """Consider the metrics together with all that are cheaper."""
        counts = range(2, len(self._candidates) + 1)
        return self._prospects([tuple(self._candidates[:count]) for count in counts])

    def _prospects(self, choices: Sequence[tuple[str, ...]]) -> list[Prospect]:
        changes = self._changes(choices)
        return [
            Prospect(
                metrics=metrics,
                change=change,
                seconds=sum(self._seconds[each] for each in metrics),
            )
            for metrics, change in zip(choices, changes, strict=True)
        ]

    def _changes(self, choices: Sequence[tuple[str, ...]]) -> list[float]:
        """Return the probability that the verdict changes, for each choice."""
        if self._is_decided or not choices:
            return [0.0] * len(choices)
        diagnoser, line = self._diagnoser, self._line
        shares = diagnoser.ensemble.probabilities(line[None])[0]
        current, most = diagnoser.mode(shares), diagnoser.most_changes(shares)
        questions = [
            (line, [name for metric in metrics for name in self._missing[metric]])
            for metrics in choices
        ]
        if diagnoser.saved.gain_model is not None:
            return self._changes_of_advice(questions, most)
        changes = []
        for outcomes, weights in diagnoser.ensemble.outlooks(questions):
            is_other = np.array([mode != current for mode in diagnoser.modes(outcomes)])
            changes.append(min(most, round(float(weights[is_other].sum()), 6)))
        return changes

    def _changes_of_advice(
        self, questions: Sequence[tuple[Floats, Sequence[str]]], most: float
    ) -> list[float]:
        """Return the probability that the answer changes, or else what is advised for it."""
        filled = self._diagnoser.ensemble.filled_in(questions)
        lines = np.concatenate([self._line[None], *filled])
        found = agreement_of_lines(self._diagnoser, self._row, lines)
        changes = []
        for place, part in enumerate(filled):
            of_part = slice(1 + place * len(part), 1 + (place + 1) * len(part))
            answer, advice = found.answer[of_part], found.advice[of_part]
            another = min(most, float((~answer).mean()))
            changes.append(round(another + float((answer & ~advice).mean()), 6))
        return changes

"""When to stop measuring: what a metric may change, and whether that is worth its time.

A metric is worth its time if it changes the verdict with a probability of at least 1 %, plus 1 %
for every minute that it takes.  Five seconds count as nothing: on a busy machine, short times are
told apart by chance, and the same networks should get the same measurements.

A metric is considered alone and together with all cheaper metrics: some numbers are informative
only in combination with others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mdtree.diagnosis.diagnoser import Diagnoser
from mdtree.diagnosis.missing import missing_by_metric
from mdtree.diagnosis.target import target_of
from mdtree.rows import Row
from mdtree.trees.binning import Floats

__all__ = ["Prospect", "next_metric", "prospects"]

_LEAST = 0.01  # probability that a verdict changes, for a metric that costs nothing
_MINUTE = 0.01  # more for every minute
_SECONDS = 60
_NOTHING = 5.0  # seconds


@dataclass(frozen=True, kw_only=True)
class Prospect:
    """The possible effect of measuring some metrics, the cheapest of them first."""

    metrics: tuple[str, ...]
    change: float  # the probability that the verdict changes
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
    worthwhile = [each for each in prospects(diagnoser, row, seconds) if each.surplus >= 0]
    alone = [each for each in worthwhile if len(each.metrics) == 1]
    if alone:
        return alone[0]
    return max(worthwhile, key=lambda each: each.surplus, default=None)


def prospects(diagnoser: Diagnoser, row: Row, seconds: Mapping[str, float]) -> Iterator[Prospect]:
    """Yield what each metric may change, alone and together with those before it.

    Args:
        diagnoser: The diagnoser that will judge the row.
        row: What is known about the group.
        seconds: The metrics that can be measured, the cheapest first, and the time of each.

    """
    line = diagnoser.line(row)
    missing = missing_by_metric(diagnoser.ensemble, row, line)
    candidates = [metric for metric in seconds if metric in missing]
    shares = diagnoser.ensemble.probabilities(line[None])[0]
    current, most = diagnoser.mode(shares), diagnoser.most_changes(shares)
    target = target_of(row)
    is_decided = target is not None and target.is_reached
    for number, metric in enumerate(candidates):
        for metrics in dict.fromkeys(((metric,), tuple(candidates[: number + 1]))):
            features = [name for each in metrics for name in missing[each]]
            yield Prospect(
                metrics=metrics,
                change=0.0
                if is_decided
                else min(most, _change(diagnoser, line, features, current)),
                seconds=sum(seconds[each] for each in metrics),
            )


def _change(diagnoser: Diagnoser, line: Floats, features: Sequence[str], current: str) -> float:
    outcomes, shares = diagnoser.ensemble.outlook(line, features)
    changed = [diagnoser.mode(outcome) != current for outcome in outcomes]
    return round(float(shares[np.array(changed, dtype=bool)].sum()), 6)

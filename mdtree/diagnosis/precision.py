"""As precise as the verdict needs: whether what is left open of some quantities can change it.

The quantities that are still measured are redrawn, those that cannot be negative on a logarithmic
scale.  Where a running value lies between its ends, as the mean of random probes does, it is drawn
from normal distributions on both sides of it, which the ends hold 99 % of.  Where it only moves one
way, it is drawn evenly between its ends; those of a curve move together, since it gets better as a
whole.  It is enough once at least 99 % of the redraws agree with the running values: in the answer,
in what to change, and in the gain that is expected from it (`printed_answers`).

What other metrics will measure stays missing: the question is asked again then.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from mdtree.diagnosis.diagnoser import Diagnoser, with_facts
from mdtree.diagnosis.printed_answers import agreement_of_lines
from mdtree.diagnosis.resampling import POSITIVE
from mdtree.diagnosis.target import target_of
from mdtree.rows import (
    QUANTITIES,
    Fact,
    Measured,
    Row,
    Running,
    coarse_metrics,
    remaining,
)
from mdtree.trees import FEATURES
from mdtree.trees.arrays import Floats
from mdtree.trees.feature_values import computed, numbers_of
from mdtree.trees.quantiles import normal_quantiles

__all__ = ["SURE", "OpenMetric", "RowPrecision", "VerdictPrecision", "agreement", "open_metric"]

SURE = 0.99  # share of the redraws
_DRAWS = 200
_FEW = np.array([0.05, 0.95])  # quantiles that are asked about first
_END = 2.5758  # standard deviations: the normal distribution has 99 % within
_TOGETHER = ("connectivity",)  # metrics whose quantities move together


@dataclass(frozen=True, kw_only=True)
class VerdictPrecision:
    """Says of each row how precise its verdict needs it; picklable, for workers."""

    diagnoser: Diagnoser
    facts: Mapping[str, Fact] = field(default_factory=dict)  # that the user knows of all groups

    def __call__(self, row: Row) -> RowPrecision:
        """Prepare for what is measured of a row."""
        return RowPrecision(diagnoser=self.diagnoser, row=with_facts(row, self.facts))


@dataclass(frozen=True, kw_only=True)
class RowPrecision:
    """Says whether running values are enough for the verdict on a row."""

    diagnoser: Diagnoser
    row: Row

    def __call__(self, running: Mapping[str, Running]) -> bool:
        """Return whether at least 99 % of the redraws agree."""
        open_besides = {n: each for n, each in remaining(self.row).items() if n not in running}
        return agreement(self.diagnoser, self.row, {**open_besides, **running}) >= SURE


def agreement(diagnoser: Diagnoser, row: Row, running: Mapping[str, Running]) -> float:
    """Return the share of redraws that agree with the running values.

    Numbers that are not finite agree with nothing.  If values not far from the running ones already
    disagree, the rest is not asked, and the share is that of these.
    """
    if not all(map(_is_finite, running.values())):
        return 0.0
    values = {name: Measured(value=each.value) for name, each in running.items()}
    now = replace(row, quantities={**row.quantities, **values})
    target = target_of(now)
    if target is not None and target.is_reached:
        return 1.0
    places = _places(running)
    few = dict.fromkeys(running, _FEW)
    first = _agreement(diagnoser, now, running, few)
    return first if first < 1 else _agreement(diagnoser, now, running, places)


@dataclass(frozen=True)
class OpenMetric:
    """A metric that was stopped too early for the verdict."""

    metric: str
    change: float  # share of redraws that disagree


def open_metric(diagnoser: Diagnoser, row: Row, *, all_of_them: bool = False) -> OpenMetric | None:
    """Return the metric to measure further; None where all are precise enough.

    Of several, it is the one that changes the verdict most often by itself.  With `all_of_them`, it
    is also one that the verdict does not need.
    """
    coarse = coarse_metrics(row) if row.failure is None else ()
    if not coarse:
        return None
    left = remaining(row)
    change = round(1 - agreement(diagnoser, row, left), 6)
    if not all_of_them and change <= round(1 - SURE, 6):
        return None

    def alone(metric: str) -> float:
        own = {name: each for name, each in left.items() if QUANTITIES[name].metric == metric}
        return agreement(diagnoser, row, own)

    return OpenMetric(min(coarse, key=alone), change)


def _is_finite(running: Running) -> bool:
    return all(map(math.isfinite, (running.value, *running.reach)))


def _places(running: Mapping[str, Running]) -> dict[str, Floats]:
    """Return where between its ends each quantity is drawn: evenly, in an order of its own."""
    even = (np.arange(_DRAWS) + 0.5) / _DRAWS
    source = np.random.default_rng(0)
    orders: dict[str, Floats] = {}
    for name in running:
        metric = QUANTITIES[name].metric
        key = metric if metric in _TOGETHER else name
        if key not in orders:
            orders[key] = source.permutation(even)
    return {
        name: orders[QUANTITIES[name].metric if name not in orders else name] for name in running
    }


def _agreement(
    diagnoser: Diagnoser, now: Row, running: Mapping[str, Running], places: Mapping[str, Floats]
) -> float:
    count = len(next(iter(places.values())))
    known = {name: np.full(count, number) for name, number in numbers_of(now).items()}
    for name, each in running.items():
        known[name] = _drawn(name, each, places[name])
    drawn = computed([FEATURES[name] for name in diagnoser.saved.features], known, count)
    lines = np.concatenate([diagnoser.line(now)[None], drawn])
    found = agreement_of_lines(diagnoser, now, lines)
    return float((found.answer & found.advice)[1:].mean())


def _drawn(name: str, running: Running, places: Floats) -> Floats:
    """Return the quantity at quantiles of what it may be."""
    value, (first, second) = running.value, running.reach
    if not first < value < second:
        return _between(name, first, second, places)
    aside = normal_quantiles(places) / _END  # -1 and 1 at the ends
    below = _between(name, value, first, np.maximum(-aside, 0))
    return np.where(aside < 0, below, _between(name, value, second, np.maximum(aside, 0)))


def _between(name: str, first: float, second: float, places: Floats) -> Floats:
    if name in POSITIVE and min(first, second) > 0:
        low, high = math.log(first), math.log(second)
        return np.asarray(np.exp(low + (high - low) * places))
    return np.asarray(first + (second - first) * places)

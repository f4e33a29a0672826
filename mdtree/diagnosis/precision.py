"""As precise as the verdict needs: whether what is left open of some quantities can change it.

The quantities that are still measured are redrawn evenly between the ends of their reach, those
that cannot be negative on a logarithmic scale; those of a curve move together, since it gets better
as a whole.  It is enough once at least 99 % of the redraws have the verdict of the running values.

What the same metric has not measured yet is filled in from similar training groups, another one for
each redraw.  What other metrics will measure stays missing: the question is asked again then.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from mdtree.diagnosis.diagnoser import Diagnoser, with_facts
from mdtree.diagnosis.resampling import POSITIVE
from mdtree.diagnosis.target import target_of
from mdtree.rows import (
    QUANTITIES,
    Fact,
    Measured,
    Missing,
    Row,
    Running,
    Value,
    coarse_metrics,
    remaining,
)
from mdtree.trees import FEATURES
from mdtree.trees.binning import Floats
from mdtree.trees.feature_matrix import computed, numbers_of

__all__ = ["SURE", "OpenMetric", "RowPrecision", "VerdictPrecision", "agreement", "open_metric"]

SURE = 0.99  # share of the redraws
_DRAWS = 200
_OPEN = "it was stopped"
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
        """Return whether at least 99 % of the redraws have the same verdict."""
        return agreement(self.diagnoser, self.row, running) >= SURE


def agreement(diagnoser: Diagnoser, row: Row, running: Mapping[str, Running]) -> float:
    """Return the share of redraws that have the verdict of the running values.

    Numbers that are not finite agree with nothing.  If the ends already differ from the running
    values, the rest is not asked, and the share is that of the three.
    """
    if not all(map(_is_finite, running.values())):
        return 0.0
    now = replace(row, quantities={**row.quantities, **_values(running)})
    target = target_of(now)
    if target is not None and target.is_reached:
        return 1.0
    places = _places(running)
    ends = {name: np.array([0.0, 1.0]) for name in running}
    first = _agreement(diagnoser, now, running, ends)
    return first if first < 1 else _agreement(diagnoser, now, running, places)


@dataclass(frozen=True)
class OpenMetric:
    """A metric that was stopped too early for the verdict."""

    metric: str
    change: float  # share of redraws with another verdict


def open_metric(diagnoser: Diagnoser, row: Row, *, all_of_them: bool = False) -> OpenMetric | None:
    """Return the metric to measure again, to its tolerance; None where all are precise enough.

    With `all_of_them`, also one that the verdict does not need.
    """
    coarse = coarse_metrics(row) if row.failure is None else ()
    if not coarse:
        return None
    change = round(1 - agreement(diagnoser, row, remaining(row)), 6)
    is_needed = all_of_them or change > 1 - SURE
    return OpenMetric(coarse[-1], change) if is_needed else None


def _is_finite(running: Running) -> bool:
    numbers = running.reach if running.value is None else (running.value, *running.reach)
    return all(map(math.isfinite, numbers))


def _values(running: Mapping[str, Running]) -> dict[str, Value]:
    """Return what a row would hold, if all were stopped now."""
    return {
        name: Missing(missing=_OPEN) if each.value is None else Measured(value=each.value)
        for name, each in running.items()
    }


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
        known[name] = _between(name, each, places[name])
    drawn = computed([FEATURES[name] for name in diagnoser.saved.features], known, count)
    line = diagnoser.line(now)
    central = np.repeat(line[None], count, axis=0)
    pending = _pending(diagnoser, now, line, running)
    if pending:
        filled = diagnoser.ensemble.filled_in(line, pending, count)
        columns = [diagnoser.saved.features.index(name) for name in pending]
        central[:, columns] = drawn[:, columns] = filled[:, columns]
    else:
        central = central[:1]
    lines = np.concatenate([central, drawn])
    modes = np.array(diagnoser.modes(diagnoser.ensemble.probabilities(lines)), dtype=object)
    return float((modes[len(central) :] == modes[: len(central)]).mean())


def _between(name: str, running: Running, places: Floats) -> Floats:
    first, second = running.reach
    if name in POSITIVE and min(first, second) > 0:
        low, high = math.log(first), math.log(second)
        return np.asarray(np.exp(low + (high - low) * places))
    return np.asarray(first + (second - first) * places)


def _pending(
    diagnoser: Diagnoser, now: Row, line: Floats, running: Mapping[str, Running]
) -> list[str]:
    """Return the features that wait for quantities of the same metrics."""
    metrics = {QUANTITIES[name].metric for name in running}
    features = diagnoser.saved.features
    return [
        name
        for name in diagnoser.ensemble.features
        if np.isnan(line[features.index(name)]) and _waits(name, now, metrics)
    ]


def _waits(feature: str, now: Row, metrics: set[str]) -> bool:
    return any(
        need in QUANTITIES
        and QUANTITIES[need].metric in metrics
        and not isinstance(now.quantities.get(need), Measured | Missing)
        for need in FEATURES[feature].needs
    )

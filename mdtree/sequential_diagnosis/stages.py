"""What a diagnosis may measure, what its verdicts need next, and what it has measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from mdtree.diagnosis import Diagnoser, VerdictPrecision, next_metric, open_metric, prospects
from mdtree.rows import Fact, Row

__all__ = ["FIRST", "LATER", "METRICS_BY_COST", "Diagnosed", "Needs", "Stage"]

# all that need not be asked for; the first is by far the cheapest, and every tree asks for it
METRICS_BY_COST = (
    "error_rate",
    "predictions",
    "baseline",
    "similarity",
    "spectrum",
    "hessian",
    "connectivity",
)
FIRST, *LATER = METRICS_BY_COST
_BY_BLOCKS = ("hessian", "connectivity")  # between whose blocks the verdict is asked

_Seconds = Mapping[str, Mapping[str, float]]  # group -> metric -> seconds


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A metric that is measured for some groups."""

    metric: str
    groups: tuple[str, ...]
    seconds: float  # on one worker
    change: float | None  # the largest probability that it changes a verdict; None: none yet
    again: bool = False  # it was measured before, but the verdict needs more


@dataclass(frozen=True, kw_only=True)
class Diagnosed:
    """The rows and the diagnoser after measuring, and what was not worth its time."""

    diagnoser: Diagnoser
    rows: list[Row]
    left_out: tuple[Stage, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What the verdicts of a diagnoser need: which metric next, and how precisely.

    With `full`, it is everything that the tree asks for, whether it can change a verdict or not;
    with `full_precision`, to the tolerances.  `facts` are what the user knows about all groups.
    """

    diagnoser: Diagnoser
    facts: Mapping[str, Fact] = field(default_factory=dict)
    full: bool = False
    full_precision: bool = False

    def next(self, rows: Sequence[Row], seconds: _Seconds) -> Stage | None:
        """Return what to measure next: the cheapest metric that a verdict needs; None if none.

        What was measured is measured more precisely only after all else.
        """
        needs = list(filter(None, (self._unmeasured(row, seconds) for row in rows)))
        needs = needs or list(filter(None, map(self._coarse, rows)))
        if not needs:
            return None
        metric = min((need.metric for need in needs), key=METRICS_BY_COST.index)
        return _stage([need for need in needs if need.metric == metric], seconds)

    def left_out(self, rows: Sequence[Row], seconds: _Seconds) -> Iterator[Stage]:
        """Yield what was not measured, and what it could have changed."""
        alone: dict[str, list[_Need]] = {}
        for row in rows:
            for prospect in prospects(self.diagnoser, row, _left(row, seconds)):
                (metric,) = prospect.metrics
                alone.setdefault(metric, []).append(_Need(row.group, metric, prospect.change))
        for needs in alone.values():
            yield _stage(needs, seconds)

    def precision(self, metric: str) -> VerdictPrecision | None:
        """Return how precisely to measure a metric; None is to its tolerance."""
        if self.full_precision or metric not in _BY_BLOCKS:
            return None
        return VerdictPrecision(diagnoser=self.diagnoser, facts=self.facts)

    def _unmeasured(self, row: Row, seconds: _Seconds) -> _Need | None:
        costs = _left(row, seconds)
        if self.full:
            chosen = next(iter(prospects(self.diagnoser, row, costs)), None)
        else:
            chosen = next_metric(self.diagnoser, row, costs)
        return None if chosen is None else _Need(row.group, chosen.metrics[0], chosen.change)

    def _coarse(self, row: Row) -> _Need | None:
        """Return what is less precise than its tolerance, and than the verdict needs it."""
        found = open_metric(self.diagnoser, row, all_of_them=self.full_precision)
        return None if found is None else _Need(row.group, found.metric, found.change, again=True)


@dataclass(frozen=True)
class _Need:
    group: str
    metric: str
    change: float
    again: bool = False


def _stage(needs: Sequence[_Need], seconds: _Seconds) -> Stage:
    """Return the stage that measures one metric for all groups that need it."""
    metric = needs[0].metric
    return Stage(
        metric=metric,
        groups=tuple(need.group for need in needs),
        seconds=sum(seconds.get(need.group, {}).get(metric, 0.0) for need in needs),
        change=max(need.change for need in needs),
        again=any(need.again for need in needs),
    )


def _left(row: Row, seconds: _Seconds) -> dict[str, float]:
    """Return the metrics that can still be measured, the cheapest first, and their seconds."""
    if row.failure is not None:
        return {}
    measured = row.provenance.metrics if row.provenance is not None else ()
    costs = seconds.get(row.group, {})
    return {name: costs[name] for name in LATER if name in costs and name not in measured}

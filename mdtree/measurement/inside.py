"""Progress inside a group: the share of the announced cost that has been spent."""

from __future__ import annotations

import math
from collections.abc import Iterable

from mdtree.landscape import ComputeCost, CostMeter
from mdtree.metrics import METRICS, MetricInput
from mdtree.progress import report

__all__ = ["ReportingMeter"]

_STRAIGHT = 0.8  # of the announced cost of a metric; beyond, the share only approaches all of it


class ReportingMeter(CostMeter):
    """Adds up the cost of work, and reports how far a group is.

    A metric may take several times what it announced: its share is x up to 0.8 of that, and then
    1 - 0.2 exp(-(x - 0.8) / 0.2), which still moves and never reaches the next metric.
    """

    def __init__(self, total: ComputeCost) -> None:
        super().__init__()
        self.total = total
        self._costs: dict[str, float] = {}  # metric -> passes
        self._metric = ""
        self._before = 0.0  # passes that were announced for the metrics before
        self._begun = 0.0  # passes that had been spent when the metric began

    def announce(self, metrics: Iterable[str], metric_input: MetricInput) -> None:
        """Take down what metrics will cost."""
        metrics = tuple(metrics)
        work = metric_input.workload(metrics)
        self._costs = {name: METRICS[name].cost(work).passes for name in metrics}

    def begin(self, metric: str) -> None:
        """Go on to the next metric."""
        self._before += self._costs.get(self._metric, 0.0)
        self._metric, self._begun = metric, self.total.passes
        self._report()

    def add(self, cost: ComputeCost) -> None:
        """Add the cost of a computation, and report what is done."""
        super().add(cost)
        self._report()

    def _report(self) -> None:
        announced, everything = self._costs.get(self._metric, 0.0), sum(self._costs.values())
        if not everything:
            return
        spent = (self.total.passes - self._begun) / announced if announced else 0.0
        if spent > _STRAIGHT:
            rest = 1 - _STRAIGHT
            spent = 1 - rest * math.exp(-(spent - _STRAIGHT) / rest)
        report((self._before + announced * spent) / everything, self._metric)

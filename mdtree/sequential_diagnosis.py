"""Sequential diagnosis: measure the cheap metrics first, and stop when the verdict is settled.

Here diagnosis and measurement meet: a diagnoser names the next metric, and it is measured.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from mdtree.diagnosis import Diagnoser, next_metric, with_facts
from mdtree.executors import HERE, ExecutorConfig
from mdtree.measurement import Request, dry_run, measure, survey
from mdtree.progress import Progress, Silent
from mdtree.rows import Fact, Row, open_rows

__all__ = ["SequentialDiagnosis", "Stage"]

_FIRST = "error_rate"  # by far the cheapest, and every tree asks for it
# in the order of their cost
_METRICS = ("predictions", "similarity", "spectrum", "hessian", "connectivity")


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What is measured next."""

    metric: str
    groups: tuple[str, ...]
    seconds: float  # that it will take, on one worker
    flips: float | None  # the largest probability that it changes an answer; None: no verdict yet


def _announce_nothing(_: Stage) -> None:
    """Tell nobody."""


@dataclass(frozen=True, kw_only=True)
class SequentialDiagnosis:
    """Groups that are measured as far as their verdicts need it.

    `choose_diagnoser` chooses the tree by what is known of the groups, anew after each stage.  With
    `full`, all that the tree asks for is measured, whether it can change the verdict or not.
    `facts` are what the user knows of all groups: they join the rows that are diagnosed, and the
    file of rows stays as it was measured.
    """

    request: Request
    out: Path  # the file of rows
    choose_diagnoser: Callable[[Sequence[Row]], Diagnoser]
    facts: Mapping[str, Fact] = field(default_factory=dict)
    full: bool = False
    executor: ExecutorConfig = HERE
    announce: Callable[[Stage], None] = _announce_nothing  # before each stage
    progress: Progress = field(default_factory=Silent)

    def run(self) -> tuple[Diagnoser, list[Row]]:
        """Measure in stages, and give the diagnoser and the rows."""
        groups = survey(self.request)
        failed = self._measure(_FIRST, groups, None)
        while True:
            rows = self._rows(groups, failed)
            diagnoser = self.choose_diagnoser(rows)  # what was measured may speak for another tree
            needs = list(self._needs(diagnoser, rows))
            if not needs:
                return diagnoser, rows
            metric = min((need.metric for need in needs), key=_METRICS.index)
            selected = [need for need in needs if need.metric == metric]
            flips = max(need.flips for need in selected)
            failed |= self._measure(metric, [need.group for need in selected], flips)

    def _needs(self, diagnoser: Diagnoser, rows: Sequence[Row]) -> Iterator[_Need]:
        for row in rows:
            if row.failure is not None:
                continue
            measured = row.provenance.metrics if row.provenance is not None else ()
            unmeasured = [metric for metric in _METRICS if metric not in measured]
            if not self.full:  # a row that is settled need not be diagnosed here
                needed = next_metric(diagnoser, row, unmeasured)
                unmeasured = [] if needed is None else [needed]
            if not unmeasured:
                continue
            flips = {missing.metric: missing.flips for missing in diagnoser(row).missed}
            metric = next((metric for metric in unmeasured if metric in flips), None)
            if metric is not None:
                yield _Need(row.group, metric, flips[metric])

    def _measure(self, metric: str, groups: Sequence[str], flips: float | None) -> set[str]:
        """Measure a metric of groups where that is not done yet; name those that failed."""
        request = replace(self.request, metrics=(metric,), groups=frozenset(groups))
        plan = dry_run(request, out=self.out)
        pending = tuple(item.task.group for item in plan.planned if item.pending)
        if not pending:
            return set()
        seconds = sum(cost.seconds for cost in plan.costs)
        self.announce(Stage(metric=metric, groups=pending, seconds=seconds, flips=flips))
        summary = measure(request, out=self.out, executor=self.executor, progress=self.progress)
        return set(summary.failed)

    def _rows(self, groups: Sequence[str], failed: Collection[str]) -> list[Row]:
        """Read the rows of groups; that one failed in an earlier run, and not in this, is past."""
        by_group = {
            row.group: row for row in open_rows(self.out) if row.protocol == self.request.protocol
        }
        for group, row in by_group.items():
            if row.measured and group not in failed:
                by_group[group] = replace(row, failure=None)
        return [with_facts(by_group[group], self.facts) for group in groups if group in by_group]


@dataclass(frozen=True)
class _Need:
    group: str
    metric: str
    flips: float

"""Sequential diagnosis: measure the cheap metrics first, and stop when none is worth its time.

Diagnosis and measurement meet here: a diagnoser names the next metric, and it is measured, after
each block of work only as long as the verdict may still change.  What later measurements make too
coarse is measured further.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from mdtree.diagnosis import (
    Diagnoser,
    VerdictPrecision,
    next_metric,
    open_metric,
    prospects,
    with_facts,
)
from mdtree.executors import HERE, ExecutorConfig
from mdtree.measurement import (
    AccuracyCheck,
    GroupTask,
    Planned,
    Request,
    check_accuracy,
    dry_run,
    execute,
    kept_members,
    known_classes,
)
from mdtree.progress import Progress, Silent
from mdtree.rows import Fact, Precision, Row, open_rows
from mdtree.sequential_diagnosis.stages import (
    BY_BLOCKS,
    FIRST,
    LATER,
    METRICS_BY_COST,
    Diagnosed,
    Stage,
)

__all__ = ["SequentialDiagnosis"]

_OF_PAIRS = ("similarity", "connectivity")

_Seconds = Mapping[str, Mapping[str, float]]  # group -> metric -> seconds


def _announce_nothing(_: Stage) -> None:
    """Announce nothing."""


@dataclass(frozen=True, kw_only=True)
class SequentialDiagnosis:
    """Groups that are measured only as far as their verdicts need it.

    `choose_diagnoser` chooses the tree again after each stage, by what is known about the groups.
    With `full`, everything that the tree asks for is measured, whether it can change the verdict or
    not.  `facts` are what the user knows about all groups: they are added to the rows that are
    diagnosed, not to the file of rows.
    """

    request: Request
    out: Path  # the file of rows
    choose_diagnoser: Callable[[Sequence[Row]], Diagnoser]
    facts: Mapping[str, Fact] = field(default_factory=dict)
    full: bool = False
    full_precision: bool = False  # to the tolerance, whatever the verdict needs
    executor: ExecutorConfig = HERE
    announce: Callable[[Stage], None] = _announce_nothing  # before each stage
    found: Callable[[GroupTask], None] | None = None  # told of each group, before all stages
    expected: float | None = None  # test accuracy in percent; None: as the trainer logged it
    compared: Callable[[AccuracyCheck], None] | None = None  # told of each accuracy, when measured
    progress: Progress = field(default_factory=Silent)

    def run(self) -> Diagnosed:
        """Measure in stages."""
        with (
            kept_members(),  # all stages look at the same networks
            tempfile.TemporaryDirectory(prefix="mdtree-unfinished-") as folder,
        ):
            return self._run(Path(folder))

    def _run(self, unfinished: Path) -> Diagnosed:
        whole = dry_run(replace(self.request, metrics=METRICS_BY_COST), out=self.out)
        plan = {
            item.task.group: replace(
                item, task=replace(item.task, unfinished=unfinished / f"{number}.safetensors")
            )
            for number, item in enumerate(whole.planned)
        }
        seconds = {cost.group: cost.by_metric for cost in whole.costs}
        if self.found is not None:
            for item in whole.planned:
                self.found(item.task)
        pending = {group: item for group, item in plan.items() if item.pending}
        lost = [group for group, item in pending.items() if item.task.lost is not None]
        if lost:  # of which there is nothing to measure, and so nothing to announce
            self._execute([plan[group] for group in lost], "", None, Silent())
        first = [
            group
            for group, item in pending.items()
            if FIRST in item.task.metrics and group not in lost
        ]
        known = sum(seconds.get(group, {}).get(FIRST, 0.0) for group in first)
        stage = Stage(metric=FIRST, groups=tuple(first), seconds=known, change=None)
        failed = self._measure(stage, plan, None)
        self._compare(plan, failed, measured=first)
        while True:
            rows = self._rows(plan, failed)
            diagnoser = self.choose_diagnoser(rows)  # what was measured may speak for another tree
            needs = list(self._needs(diagnoser, rows, seconds))
            needs = needs or list(self._too_coarse(diagnoser, rows))
            if not needs:
                left_out = self._left_out(diagnoser, rows, seconds)
                return Diagnosed(diagnoser=diagnoser, rows=rows, left_out=tuple(left_out))
            metric = min((need.metric for need in needs), key=METRICS_BY_COST.index)
            selected = [need for need in needs if need.metric == metric]
            failed |= self._measure_needed(metric, selected, plan, seconds, diagnoser)

    def _measure_needed(
        self,
        metric: str,
        needs: Sequence[_Need],
        plan: Mapping[str, Planned],
        seconds: _Seconds,
        diagnoser: Diagnoser,
    ) -> set[str]:
        """Measure a metric as precisely as the verdicts of some groups need it."""
        groups = [need.group for need in needs]
        again = any(need.again for need in needs)
        known = sum(seconds.get(group, {}).get(metric, 0.0) for group in groups)
        asks = metric in BY_BLOCKS and not self.full_precision
        precision = VerdictPrecision(diagnoser=diagnoser, facts=self.facts)
        change = max(need.change for need in needs)
        stage = Stage(
            metric=metric, groups=tuple(groups), seconds=known, change=change, again=again
        )
        return self._measure(stage, plan, precision if asks else None)

    def _too_coarse(self, diagnoser: Diagnoser, rows: Sequence[Row]) -> Iterator[_Need]:
        """Yield what is less precise than its tolerance, and than the verdict needs it."""
        for row in rows:
            coarse = open_metric(diagnoser, row, all_of_them=self.full_precision)
            if coarse is not None:
                yield _Need(row.group, coarse.metric, coarse.change, again=True)

    def _compare(
        self, plan: Mapping[str, Planned], failed: Collection[str], *, measured: Collection[str]
    ) -> None:
        """Stop before more is measured of networks that are not those that were trained."""
        for row in self._rows(plan, failed):
            task = plan[row.group].task
            check = check_accuracy(
                row,
                task.logged_accuracy,
                self.expected,
                shares=task.logged_shares,
                classes=partial(known_classes, task),
            )
            if check is not None:
                is_new = row.group in measured or check.expected is not None
                if self.compared is not None and is_new:
                    self.compared(check)
                check.raise_if_different()

    def _needs(
        self, diagnoser: Diagnoser, rows: Sequence[Row], seconds: _Seconds
    ) -> Iterator[_Need]:
        for row in rows:
            unmeasured = _unmeasured(row, seconds)
            if self.full:
                chosen = next(iter(prospects(diagnoser, row, unmeasured)), None)
            else:
                chosen = next_metric(diagnoser, row, unmeasured)
            if chosen is not None:
                yield _Need(row.group, chosen.metrics[0], chosen.change)

    def _left_out(
        self, diagnoser: Diagnoser, rows: Sequence[Row], seconds: _Seconds
    ) -> Iterator[Stage]:
        """Yield what was not measured, and what it could have changed."""
        alone: dict[str, list[_Need]] = {}
        for row in rows:
            for prospect in prospects(diagnoser, row, _unmeasured(row, seconds)):
                (metric,) = prospect.metrics
                alone.setdefault(metric, []).append(_Need(row.group, metric, prospect.change))
        for metric, needs in alone.items():
            yield Stage(
                metric=metric,
                groups=tuple(need.group for need in needs),
                seconds=sum(seconds[need.group][metric] for need in needs),
                change=max(need.change for need in needs),
            )

    def _measure(
        self, stage: Stage, plan: Mapping[str, Planned], precision: Precision | None
    ) -> set[str]:
        """Measure a metric for groups; return those that failed."""
        metric = stage.metric
        if not stage.groups:
            return set()
        if stage.seconds or stage.again or metric not in _OF_PAIRS:
            self.announce(stage)  # of single checkpoints, pairs only say what is missing
        earlier = self._measured() if metric != FIRST else {}
        planned = [
            replace(
                plan[group],
                task=replace(
                    plan[group].task,
                    metrics=(metric,),
                    earlier=earlier.get(group, plan[group].task.earlier),
                ),
            )
            for group in stage.groups
        ]
        return self._execute(planned, metric, precision, self.progress)

    def _execute(
        self,
        planned: Sequence[Planned],
        metric: str,
        precision: Precision | None,
        progress: Progress,
    ) -> set[str]:
        summary = execute(
            planned,
            self.request,
            out=self.out,
            executor=self.executor,
            progress=progress,
            stage=metric,
            precision=precision,
        )
        return {*summary.failed, *summary.diverged}

    def _measured(self) -> dict[str, Row]:
        """Read the rows in the file."""
        rows = open_rows(self.out)
        return {row.group: row for row in rows if row.protocol == self.request.protocol}

    def _rows(self, groups: Iterable[str], failed: Collection[str]) -> list[Row]:
        """Read the rows of groups, without failures from earlier runs."""
        by_group = self._measured()
        for group, row in by_group.items():
            if row.measured and group not in failed:
                by_group[group] = replace(row, failure=None)
        return [with_facts(by_group[group], self.facts) for group in groups if group in by_group]


def _unmeasured(row: Row, seconds: _Seconds) -> dict[str, float]:
    """Return the metrics that can still be measured, the cheapest first, and their seconds."""
    if row.failure is not None:
        return {}
    measured = row.provenance.metrics if row.provenance is not None else ()
    costs = seconds.get(row.group, {})
    return {name: costs[name] for name in LATER if name in costs and name not in measured}


@dataclass(frozen=True)
class _Need:
    group: str
    metric: str
    change: float
    again: bool = False  # it was measured, but not precisely enough

"""Sequential diagnosis: measure the cheap metrics first, and stop when none is worth its time.

Diagnosis and measurement meet here: a diagnoser names the next metric, and it is measured, after
each block of work only as long as the verdict may still change.  What later measurements make too
coarse is measured further.  Networks in memory need no files of rows.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from mdtree.diagnosis import Diagnoser, with_facts
from mdtree.executors import HERE, ExecutorConfig, kept_workers
from mdtree.measurement import (
    AccuracyCheck,
    GroupTask,
    ModelsInMemory,
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
    FIRST,
    LATER,
    METRICS_BY_COST,
    Diagnosed,
    Needs,
    Stage,
)

__all__ = ["SequentialDiagnosis", "diagnose_in_memory"]

_OF_PAIRS = ("similarity", "connectivity")


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
            kept_workers(),  # and so can the same processes
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
        cheapest = Stage(metric=FIRST, groups=tuple(first), seconds=known, change=None)
        failed = self._measure(cheapest, plan, None)
        self._compare(plan, failed, measured=first)
        while True:
            rows = self._rows(plan, failed)
            diagnoser = self.choose_diagnoser(rows)  # what was measured may speak for another tree
            needs = Needs(
                diagnoser=diagnoser,
                facts=self.facts,
                full=self.full,
                full_precision=self.full_precision,
            )
            stage = needs.next(rows, seconds)
            if stage is None:
                left_out = tuple(needs.left_out(rows, seconds))
                return Diagnosed(diagnoser=diagnoser, rows=rows, left_out=left_out)
            failed |= self._measure(stage, plan, needs.precision(stage.metric))

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


def diagnose_in_memory(
    models: ModelsInMemory,
    choose_diagnoser: Callable[[Sequence[Row]], Diagnoser],
    *,
    expected: float | None = None,
    full: bool = False,
    full_precision: bool = False,
) -> Diagnosed:
    """Measure networks in memory as far as their verdict needs it.

    Args:
        models: The networks and their data.
        choose_diagnoser: Chooses the tree by what is known.
        expected: The test accuracy in percent, if it is known.
        full: Measure everything that the tree asks for.
        full_precision: Measure to the tolerances, whatever the verdict needs.

    Raises:
        AccuracyError: The measured accuracy is not the expected one.

    """
    row = models.row((FIRST,))
    if row.failure is not None:
        return Diagnosed(diagnoser=choose_diagnoser([row]), rows=[row])
    check = check_accuracy(row, None, expected)
    if check is not None:
        check.raise_if_different()
    seconds = {row.group: dict.fromkeys(LATER, 0.0)}  # which are not known
    while True:
        diagnoser = choose_diagnoser([row])
        needs = Needs(diagnoser=diagnoser, full=full, full_precision=full_precision)
        stage = needs.next([row], seconds)
        if stage is None:
            return Diagnosed(diagnoser=diagnoser, rows=[row])
        precision = needs.precision(stage.metric)
        enough = None if precision is None else precision(row)
        row = models.extended(row, (stage.metric,), enough=enough)

"""Measuring: checkpoint -> model -> metrics -> measurements, for every group of a directory."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mdtree.checkpoints import remove_temporary_folders
from mdtree.exceptions import CheckpointError, DivergedError, RecipeError
from mdtree.executors import HERE, ExecutorConfig, run
from mdtree.losses import build_loss
from mdtree.measurement.builders import group_data, group_network
from mdtree.measurement.failures import TracebackFiles, failed_row
from mdtree.measurement.group import GroupResult, measure_or_fail
from mdtree.measurement.plan import (
    Cost,
    Planned,
    estimate,
    find_groups,
    plan,
    survey,
    with_known_cost,
)
from mdtree.measurement.request import Request
from mdtree.measurement.task import DESCRIPTIONS, GroupTask
from mdtree.progress import Progress, Silent
from mdtree.rows import Damaged, Index, Precision, RowKey, Store

__all__ = ["DryRun", "Summary", "dry_run", "execute", "measure"]


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What a run of `measure` did."""

    out: Path
    protocol: str
    groups: tuple[str, ...]  # all groups of the directory
    measured: int
    already: int  # rows whose inputs have not changed
    left: int  # groups that the run did not come to, as too many had failed
    failed: dict[str, str]  # group -> reason
    diverged: dict[str, str]  # the same of groups whose training diverged: a result
    damaged: tuple[Damaged, ...]  # lines of the old file that were no rows, and were moved aside
    kept: tuple[str, ...] = ()  # groups whose earlier row stays: it holds what was not measured now


@dataclass(frozen=True, kw_only=True)
class DryRun:
    """What a run of `measure` would do."""

    planned: list[Planned]
    costs: list[Cost]


def measure(
    request: Request,
    *,
    out: Path,
    executor: ExecutorConfig = HERE,
    max_failures: int | None = None,
    progress: Progress | None = None,
    found: Callable[[GroupTask], None] | None = None,
) -> Summary:
    """Measure all groups whose inputs are new or have changed, and append a row for each to `out`.

    Groups that fail get a row that says why; they are tried again by the next call.  What was
    measured of them before is kept.  The run stops when more than `max_failures` have failed.
    """
    names, tasks = survey(request)
    return _run(
        lambda index: plan(tasks, index),
        names,
        request,
        out=out,
        executor=executor,
        most=max_failures,
        progress=progress,
        found=found,
    )


def execute(
    planned: Sequence[Planned],
    request: Request,
    *,
    out: Path,
    executor: ExecutorConfig = HERE,
    progress: Progress | None = None,
    stage: str = "",
    precision: Precision | None = None,
) -> Summary:
    """Measure groups that have been planned already, and append a row for each to `out`.

    `stage` is what the progress is about.  `precision` says when quantities are precise enough,
    without it at their tolerance.  It goes to the workers, so it is picklable.
    """
    return _run(
        lambda _: planned,
        tuple(item.task.group for item in planned),
        request,
        out=out,
        executor=executor,
        most=None,
        progress=progress,
        stage=stage,
        precision=precision,
    )


def _run(
    planned: Callable[[Index], Iterable[Planned]],
    names: tuple[str, ...],
    request: Request,
    *,
    out: Path,
    executor: ExecutorConfig,
    most: int | None,  # failures, beyond which the run stops
    progress: Progress | None,
    found: Callable[[GroupTask], None] | None = None,  # told of each group before it is measured
    stage: str = "",
    precision: Precision | None = None,
) -> Summary:
    watch = progress or Silent()
    traces = TracebackFiles(out)
    measured, kept = 0, list[str]()
    failed, diverged = dict[str, str](), dict[str, str]()
    with _nothing_left(request), Store(out) as store:
        pending = _Pending(planned(store.index), store, traces, watch, found)
        watch.start(len(names), stage)
        with contextlib.closing(_attempts(pending, executor, watch, precision)) as attempts:
            for result in attempts:
                row = traces.keep(result.row, result.trace)
                store.append(row)
                measured += row.failure is None
                if store.index.fuller(row.key):
                    kept.append(row.group)
                if row.failure is not None:
                    is_result = row.failure.kind == DivergedError.__name__
                    (diverged if is_result else failed)[row.group] = row.failure.reason
                watch.step(row.group)
                if most is not None and len(failed) > most:
                    break
        damaged = tuple(store.index.damaged)
    return Summary(
        out=out,
        protocol=request.protocol,
        groups=names,
        measured=measured,
        already=pending.already,
        left=len(names) - measured - pending.already - len(failed) - len(diverged),
        failed=failed,
        diverged=diverged,
        damaged=damaged,
        kept=tuple(kept),
    )


@contextlib.contextmanager
def _nothing_left(request: Request) -> Iterator[None]:
    """Remove in the end what workers have fetched and could not remove, as they were killed."""
    try:
        yield
    finally:
        if request.storage is not None:
            remove_temporary_folders()


class _Pending:
    """The groups that are to be measured, found when somebody can measure them."""

    def __init__(
        self,
        planned: Iterable[Planned],
        store: Store,
        traces: TracebackFiles,
        watch: Progress,
        found: Callable[[GroupTask], None] | None,
    ) -> None:
        self.already = 0
        self._planned, self._store, self._traces, self._watch = planned, store, traces, watch
        self._found = found

    def __iter__(self) -> Iterator[GroupTask]:
        checked = False
        for planned in self._planned:
            if not planned.pending:
                self.already += 1
                if planned.state != "diverged":
                    self._settle((planned.task.group, planned.task.protocol))
                if planned.told is not None:
                    self._store.append(planned.told)
                self._watch.skip(planned.task.group)
                continue
            if not checked and planned.task.lost is None:
                _preflight(planned.task)
                checked = True
            if self._found is not None:
                self._found(planned.task)
            self._watch.inside(planned.task.group, 0.0)
            yield planned.task

    def _settle(self, key: RowKey) -> None:
        """Forget that a later attempt failed, with other inputs than those that are there again."""
        if self._store.index.settle(key):
            self._traces.drop(key)


def _attempts(
    tasks: Iterable[GroupTask],
    executor: ExecutorConfig,
    watch: Progress,
    precision: Precision | None,
) -> Generator[GroupResult]:
    work = measure_or_fail if precision is None else partial(measure_or_fail, precision=precision)
    attempts = run(
        work,
        tasks,
        executor,
        gpu_memory_share=lambda result: result.share,
        inside=lambda task, share, metric: watch.inside(task.group, share, metric),
    )
    for done in attempts:
        reason = done.error or "no reason"
        yield done.result or GroupResult(row=failed_row(done.item, "WorkerLost", reason))


def dry_run(request: Request, *, out: Path) -> DryRun:
    """Say what `measure` would do, and what it would cost; nothing is written."""
    planned = list(with_known_cost(plan(find_groups(request), Index(out))))
    return DryRun(planned=planned, costs=list(estimate(planned)))


def _preflight(task: GroupTask) -> None:
    """Fail at once where every group would fail alike: unknown names, data that are not there.

    Parts of a recipe that depend on a group's facts are left to the group.
    """
    if "$" not in task.recipe.loss.model_dump_json():
        build_loss(task.recipe.loss, task.trust)
    if "$" not in task.recipe.model.model_dump_json():
        try:
            group_network(task)
        except (RecipeError, CheckpointError):
            if task.recipe.model.factory not in DESCRIPTIONS:  # which each folder describes
                raise
    if "$" not in task.recipe.data.model_dump_json():
        group_data(task)

"""Measuring: checkpoint -> model -> metrics -> measurements, for every group of a directory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from mdtree.exceptions import MdtreeError, RecipeError
from mdtree.losses import build_loss
from mdtree.measurements import PROTOCOLS, Damaged, Index, Row, Store
from mdtree.measuring.group import (
    GroupTask,
    failed_row,
    forget,
    group_data,
    group_network,
    measure_group,
)
from mdtree.measuring.plan import Cost, Planned, Request, estimate, find_groups, plan
from mdtree.metrics import METRICS
from mdtree.progress import Progress, Silent
from mdtree.spelling import nearest
from mdtree.workers import run

__all__ = [
    "Cost",
    "DryRun",
    "Planned",
    "Request",
    "Summary",
    "check_metrics",
    "check_protocol",
    "dry_run",
    "find_groups",
    "forget",
    "measure",
    "pick_device",
]


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What a run of `measure` did."""

    out: Path
    protocol: str
    groups: tuple[str, ...]  # all groups of the directory
    measured: int
    already: int  # rows whose inputs have not changed
    failed: dict[str, str]  # group -> reason
    damaged: tuple[Damaged, ...]  # lines of the old file that were no rows, and were moved aside


@dataclass(frozen=True, kw_only=True)
class DryRun:
    """What a run of `measure` would do."""

    planned: list[Planned]
    costs: list[Cost]


def measure(
    request: Request, *, out: Path, workers: int = 1, progress: Progress | None = None
) -> Summary:
    """Measure all groups whose inputs are new or have changed, and append a row for each to `out`.

    Groups that fail get a row that says why; they are tried again by the next call.
    """
    watch = progress or Silent()
    failed: dict[str, str] = {}
    groups = find_groups(request)
    with Store(out) as store:
        planned = plan(groups, store.index)
        tasks = [item.task for item in planned if item.pending]
        if tasks:
            _preflight(tasks[0])
        watch.start(len(tasks))
        for row in _rows(tasks, workers):
            store.append(row)
            if row.failure is not None:
                failed[row.group] = row.failure.reason
            watch.step(row.group)
        damaged = tuple(store.index.damaged)
    return Summary(
        out=out,
        protocol=request.protocol,
        groups=tuple(task.group for task in groups),
        measured=len(tasks) - len(failed),
        already=len(planned) - len(tasks),
        failed=failed,
        damaged=damaged,
    )


def dry_run(request: Request, *, out: Path) -> DryRun:
    """Say what `measure` would do, and what it would cost; nothing is written."""
    planned = plan(find_groups(request), Index(out))
    return DryRun(planned=planned, costs=list(estimate(planned)))


def check_metrics(names: tuple[str, ...]) -> tuple[str, ...]:
    """Hold names to the table of metrics; no names are all that need not be asked for."""
    for name in names:
        if name not in METRICS:
            raise MdtreeError(
                f"metric {name!r} is unknown{nearest(name, METRICS)} (known: {', '.join(METRICS)})"
            )
    usual = (name for name, metric in METRICS.items() if not metric.on_request)
    return tuple(dict.fromkeys(names or usual))


def check_protocol(name: str) -> str:
    """Hold a name to the table of protocols."""
    if name not in PROTOCOLS:
        raise MdtreeError(
            f"protocol {name!r} is unknown{nearest(name, PROTOCOLS)} "
            f"(known: {', '.join(PROTOCOLS)})"
        )
    return name


def pick_device(name: str) -> str:
    """Choose where to run: `auto` is the first CUDA device, if there is one, else the CPU."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        first = str(error).splitlines()[0]
        raise MdtreeError(
            f"device {name!r} cannot be used: {first} (auto, cpu, cuda, cuda:1, ...)"
        ) from error
    return str(device)


def _rows(tasks: list[GroupTask], count: int) -> Iterator[Row]:
    for done in run(measure_group, tasks, workers=count):
        if done.result is not None:
            yield done.result
        else:
            yield failed_row(done.item, "WorkerDied", done.error or "no reason")


def _preflight(task: GroupTask) -> None:
    """Fail at once where every group would fail alike: unknown names, data that are not there.

    Parts of a recipe that depend on a group's facts are left to the group.
    """
    if "$" not in task.recipe.loss.model_dump_json():
        build_loss(task.recipe.loss, task.trust)
    if "$" not in task.recipe.model.model_dump_json():
        try:
            group_network(task)
        except RecipeError:
            if task.recipe.model.factory != "huggingface":  # which each folder describes itself
                raise
    if "$" not in task.recipe.data.model_dump_json():
        group_data(task)

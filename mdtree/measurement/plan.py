"""The plan: which groups there are, which are measured already, and what the rest will cost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace

from mdtree.checkpoints import file_digest, snapshots
from mdtree.datasets import data_digest
from mdtree.exceptions import MdtreeError
from mdtree.landscape import ComputeCost
from mdtree.measurement.builders import group_fitted, group_training
from mdtree.measurement.failures import is_still_diverged
from mdtree.measurement.found_groups import FoundGroup, check_groups, find
from mdtree.measurement.members import check_names, copies_of
from mdtree.measurement.request import Request
from mdtree.measurement.speed import Speed, measure_speed, suited_threads
from mdtree.measurement.task import ASIDE, GroupTask, MeasurementSettings, row_digest
from mdtree.measurement.told_amount import AMOUNT, told_amount, without_amount
from mdtree.metrics import CHANCE, METRICS, Workload
from mdtree.recipes import bind
from mdtree.rows import Index, Provenance, Row, coarse_metrics
from mdtree.runs import History

__all__ = [
    "Cost",
    "Planned",
    "estimate",
    "find_groups",
    "group_task",
    "groups",
    "plan",
    "survey",
    "with_known_cost",
]


_KEPT = 1_000  # groups, of which each takes a few kilobytes
_ADDED = {"error_rate": CHANCE}  # what earlier versions did not measure with a metric


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A group, and why it is measured or not."""

    task: GroupTask
    # new | changed | failed before | more metrics | measured | diverged | snapshots
    state: str
    copies: Mapping[str, str] = field(default_factory=dict)  # file -> the member that it equals
    fault: str | None = None  # why it will fail, as far as its names tell
    told: Row | None = None  # of a measured group whose facts are others now, which no number needs

    @property
    def pending(self) -> bool:
        """Say whether there is something to measure."""
        return self.state not in ("measured", "diverged")

    @property
    def shown_state(self) -> str:
        """The state that a list of the plan shows: of lost networks, a row says that at no cost."""
        return "diverged" if self.task.lost is not None else self.state

    @property
    def members(self) -> list[str]:
        """Name the networks of the group, each once."""
        return [name for name in self.task.members if name not in self.copies]


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What measuring one group will cost."""

    group: str
    passes: float  # forward passes of one item
    by_metric: Mapping[str, float]  # seconds on one worker, from a timed batch

    @property
    def seconds(self) -> float:
        """Say how long all metrics take together, on one worker."""
        return sum(self.by_metric.values())


def survey(request: Request) -> tuple[tuple[str, ...], Iterator[GroupTask]]:
    """Name the groups below the root, after checking that they can be told apart, and list them.

    What was found of a few groups is kept; many are found anew, one after the other.
    """
    kept: list[FoundGroup] = []

    def names() -> Iterator[str]:
        for group in find(request):
            if len(kept) <= _KEPT:
                kept.append(group)
            yield group.folder.name

    checked = check_groups(request, names())
    return checked, _tasks(request, kept) if len(kept) <= _KEPT else groups(request)


def groups(request: Request) -> Iterator[GroupTask]:
    """Find the groups one after the other: a million of them are never in memory."""
    yield from _tasks(request, find(request))


def find_groups(request: Request) -> list[GroupTask]:
    """List the groups below the root, after checking that they can be told apart."""
    found = list(find(request))
    check_groups(request, (group.folder.name for group in found))
    return list(_tasks(request, found))


def _tasks(request: Request, found: Iterable[FoundGroup]) -> Iterator[GroupTask]:
    digest = _data_digest(request)
    for group in found:
        if request.groups is None or group.group in request.groups:
            yield group_task(request, group, digest)


def group_task(request: Request, group: FoundGroup, data_digest: str | None = None) -> GroupTask:
    """Return all that a worker needs to measure a group."""
    terms = {field.name: getattr(request, field.name) for field in fields(MeasurementSettings)}
    stated = {**request.recipe.facts, **group.stated}
    whole = History(points=tuple(point for each in group.histories for point in each.points))
    return GroupTask(
        **terms,
        group=group.group,
        files=group.folder.files,
        facts={**without_amount(group.training), **stated},
        told_amount=None if AMOUNT in stated else told_amount(group.training, group.origins),
        data_digest=data_digest,
        stamps=group.folder.stamps,
        listed=bool(request.recipe.groups),
        origins=without_amount(group.origins),
        logged_accuracy=group.logged_accuracy,
        logged_shares=whole.shares,
        logged=whole.kinds,
        notes=group.notes,
        details=group.details,
        lost=group.folder.lost,
    )


def plan(tasks: Iterable[GroupTask], index: Index) -> Iterator[Planned]:
    """Compare each group with its row in the store."""
    return (_compared(task, index.latest((task.group, task.protocol))) for task in tasks)


def with_known_cost(planned: Iterable[Planned]) -> Iterator[Planned]:
    """Look at the files of what is pending, before it is measured."""
    for item in planned:
        if not item.pending or item.task.earlier is not None or item.task.lost is not None:
            yield item
            continue
        try:
            check_names(item.task)
        except MdtreeError as error:
            yield replace(item, fault=str(error))
        else:
            yield replace(item, copies=copies_of(item.task))


def estimate(planned: Iterable[Planned]) -> Iterator[Cost]:
    """Tell the cost of what is pending; every other architecture is timed on one batch."""
    speeds: dict[str, Speed] = {}
    seen: set[tuple[str, str]] = set()  # metric and data whose work beside networks is counted
    for item in planned:
        if not item.pending or item.fault is not None or item.task.lost is not None:
            continue
        task = item.task
        ready = group_fitted(task)
        data = ready.data
        work = Workload(
            members=len(item.members),
            train_items=len(data.train),
            test_items=len(data.test) if data.test is not None else 0,
            full_items=data.full,
            protocol=task.protocol,
            training=group_training(task),
            has_curve="connectivity" in task.metrics,
            quantities=task.quantities,
        )
        costs = {name: METRICS[name].cost(work) for name in task.metrics}
        model = bind(task.recipe.model, task.facts).model_dump_json()
        if model not in speeds:
            with suited_threads(ready.runner, data.train):
                speeds[model] = measure_speed(ready.runner, data.train)
        by_metric = {name: speeds[model].seconds(cost) for name, cost in costs.items()}
        known = bind(task.recipe.data, task.facts).model_dump_json()
        for name in task.metrics:
            seconds_of = METRICS[name].seconds
            if seconds_of is not None and (name, known) not in seen:
                seen.add((name, known))
                by_metric[name] += seconds_of(data)
        yield Cost(
            group=task.group,
            passes=sum(costs.values(), ComputeCost()).passes,
            by_metric=by_metric,
        )


def _data_digest(request: Request) -> str | None:
    """Hash the data, which all groups share; what cannot be read is an error when it is needed."""
    try:
        return data_digest(request.recipe.data, request.folder)
    except MdtreeError:
        return None


def _compared(task: GroupTask, row: Row | None) -> Planned:
    if row is None:
        return Planned(task=task, state="new")
    if is_still_diverged(task, row):
        return Planned(task=task, state="diverged")
    if not _same_inputs(task, row):
        return Planned(task=task, state="changed" if row.failure is None else "failed before")
    assert row.provenance is not None
    if not task.listed and snapshots(row.provenance.weights) is not None:
        return Planned(task=task, state="snapshots")  # an older mdtree took them for seeds
    copies = {name: copy.of for name, copy in (row.provenance.copies or {}).items()}
    rest = tuple(name for name in task.metrics if not _is_measured(name, task, row))
    if not rest:
        return Planned(task=task, state="measured", copies=copies, told=_told(task, row))
    state = "more metrics" if row.failure is None else "failed before"
    return Planned(task=replace(task, metrics=rest, earlier=row), state=state, copies=copies)


def _told(task: GroupTask, row: Row) -> Row | None:
    """Return a row with the facts that change no number as they are now, if they have changed."""
    kept = {name: fact for name, fact in row.facts.items() if name not in ASIDE}
    facts = kept | {name: fact for name, fact in task.facts.items() if name in ASIDE}
    return None if facts == row.facts else replace(row, facts=facts)


def _is_measured(metric: str, task: GroupTask, row: Row) -> bool:
    """Say whether a row has all that is wanted of a metric."""
    assert row.provenance is not None
    if metric in row.provenance.metrics:
        is_whole = row.quantities.keys() >= set(_ADDED.get(metric, ()))
        # only as precise as a verdict needed, or less than this version measures: again
        return is_whole and metric not in coarse_metrics(row)
    wanted = set(METRICS[metric].quantities).intersection(task.quantities)
    return row.failure is None and bool(wanted) and row.quantities.keys() >= wanted


def _same_inputs(task: GroupTask, row: Row) -> bool:
    """Compare hashes of the weights, the recipe and the data; what cannot be read has changed."""
    known = row.provenance
    if known is None or known.seed != task.seed or known.files.keys() != task.members.keys():
        return False
    if len(set(known.weights.values())) < len(known.weights):
        return False  # an older mdtree counted equal files as often as there were
    if task.stamps is not None and known.stamps != task.stamps:
        return False
    try:
        return (
            known.recipe == row_digest(task)
            and known.data == task.data_digest
            and (task.stamps is not None or _same_weights(known, task))
        )
    except MdtreeError:
        return False


def _same_weights(known: Provenance, task: GroupTask) -> bool:
    files = known.files
    return all(files[name] == file_digest(path) for name, path in task.members.items())

"""Rows without data: what the weights and the log of the trainer tell where there is no recipe.

The errors and losses are those that the trainer logged, with whatever augmentation, dropout and
averaging it used.  They are enough for a first answer, with wide prediction sets.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mdtree.checkpoints import (
    LazyTensor,
    base_of,
    counters_of,
    is_adapter,
    list_tensors,
    undecided,
)
from mdtree.exceptions import DivergedError, MdtreeError, SnapshotsError
from mdtree.measurement.classes import classes_of
from mdtree.measurement.failures import diverged_beside
from mdtree.measurement.found_groups import FoundGroup, check_groups, find
from mdtree.measurement.members import check_names, copies_of
from mdtree.measurement.one_run import check_counters, kin_notes, tensors_of
from mdtree.measurement.plan import group_task
from mdtree.measurement.request import Request
from mdtree.measurement.task import GroupTask
from mdtree.metrics import spectrum_of
from mdtree.rows import (
    Diverged,
    Fact,
    GroupFailure,
    Missing,
    Row,
    Value,
    chance_of_classes,
    home_of,
    mean_over_members,
)
from mdtree.rows.facts import AMOUNT_AT_MOST
from mdtree.runs import History, HistoryPoint
from mdtree.spectra import find_matrices
from mdtree.zoo import diverged_row

__all__ = ["rows_from_files"]

_UNDECIDED = (
    "the logged accuracy may be a share, or percent near the level of chance (a fact says it: "
    "test_accuracy, in percent)"
)
_MOST_ITEMS = 10**12  # of a training set
_MANY_STEPS = 10  # of an epoch: one more or less changes the amount by a tenth, as trees can bear
_CONVOLUTIONS = ("conv", "depthwise")  # how their kinds begin
_BUFFERS = ("running_mean", "running_var", "num_batches_tracked")  # of normalisation layers


def rows_from_files(
    request: Request, *, found: Callable[[FoundGroup], None] | None = None
) -> list[Row]:
    """Return a row for each group, from files alone; nothing is run.

    Args:
        request: What is asked for; model and data of its recipe are not looked at.
        found: Receives each group before it is read.

    Raises:
        MdtreeError: There are no checkpoints, or neither weights nor logs tell anything.

    """
    groups = list(find(request))
    check_groups(request, [group.group for group in groups])
    rows = []
    for group in groups:
        if request.groups is None or group.group in request.groups:
            known = _with_amount(group)
            if found is not None:
                found(known)
            rows.append(_row(known, request))
    return rows


def _row(group: FoundGroup, request: Request) -> Row:
    if group.folder.lost is not None:
        return diverged_row(group.group, request.protocol, group.facts, group.folder.lost)
    failure = None
    quantities: dict[str, Value] = {}
    counted: dict[str, Fact] = {}
    classes: int | None = None
    diverged: Diverged | None = None
    try:
        task = _task(group, request)
        files = _distinct(task)
        diverged = diverged_beside(task, len(files))
        tensors = {
            str(file): list_tensors(
                file, trust=request.trust.names, base=_base(file, request)
            ).tensors
            for file in files
        }
        _check_finite(tensors, {str(path): name for name, path in task.members.items()})
        _check_one_run(task, tensors)
        quantities |= spectrum_of(tensors, seed=request.seed).values
        first = next(iter(tensors.values()))
        counted["parameters"] = sum(
            math.prod(tensor.sizes)
            for tensor in first
            if tensor.same_as is None and not tensor.name.endswith(_BUFFERS)
        )
        counted["conv_parameters"] = sum(
            math.prod(matrix.tensor.sizes)
            for matrix in find_matrices(first)[0]
            if matrix.kind.startswith(_CONVOLUTIONS)
        )
        classes = classes_of(files[0], first)
        quantities |= chance_of_classes(classes)
    except MdtreeError as error:
        failure = GroupFailure(kind=type(error).__name__, reason=str(error))
        if isinstance(error, DivergedError):
            diverged = Diverged(networks=error.networks, of=error.of)
    quantities |= _logged(group.points)
    if classes is not None and any(each.may_be_percent(classes) for each in group.histories):
        quantities["test_error"] = Missing(missing=_UNDECIDED)
    if group.diverged is not None:
        diverged = diverged or group.diverged
        reason = "the last training loss that was logged is NaN or infinite"
        failure = GroupFailure(kind=DivergedError.__name__, reason=reason)
    if failure is not None and failure.kind == DivergedError.__name__:
        quantities = {}
    facts: dict[str, Fact] = counted | group.facts
    return Row(
        format=1,
        group=group.group,
        protocol=request.protocol,
        facts=facts,
        quantities=quantities,
        failure=failure,
        diverged=diverged,
        details=dict(group.details) or None,
    )


def _task(group: FoundGroup, request: Request) -> GroupTask:
    """Return the group as it would be measured: nothing outside the directory is read."""
    strict = replace(
        request, folder=home_of(request.root), trust=replace(request.trust, any_factory=False)
    )
    return group_task(strict, group)


def _distinct(task: GroupTask) -> list[Path]:
    """Return the files, those that are equal once.

    Raises:
        SnapshotsError: They are checkpoints of one run, which are not averaged like seeds.
        UnsafeError: A link leads out of the directory, and no recipe was named.

    """
    check_names(task)
    copies = copies_of(task)
    return [path for name, path in task.members.items() if name not in copies]


def _check_one_run(task: GroupTask, tensors: Mapping[str, Sequence[LazyTensor]]) -> None:
    """Refuse numbered files, unless what they count or their weights tell that they are seeds.

    Raises:
        SnapshotsError: They are checkpoints of one run, or may be.

    """
    members = {name: path for name, path in task.members.items() if str(path) in tensors}
    if task.listed or not undecided(members):
        return
    counters = {name: counters_of(path, trust=task.trust.names) for name, path in members.items()}
    check_counters(task, counters)

    def weights(name: str) -> Sequence[LazyTensor]:
        is_merged = is_adapter(members[name])
        return tensors_of(task, name) if is_merged else tensors[str(members[name])]

    notes = kin_notes(task, list(members), counters, weights)
    if notes:
        raise SnapshotsError("; ".join(notes))


def _base(file: Path, request: Request) -> Path | None:
    """Find the base of an adapter, which must be inside the directory, as no recipe was named."""
    if not is_adapter(file):
        return None
    root = next((root for root in request.others if root in file.parents), home_of(request.root))
    return base_of(file, within=root)


def _check_finite(members: Mapping[str, Sequence[LazyTensor]], names: Mapping[str, str]) -> None:
    broken = {file: tensor for file, each in members.items() if (tensor := _not_finite(each))}
    for file, tensor in broken.items():
        message = f"{file}: {tensor} is NaN or infinite"
        raise DivergedError.of_group(message, (names[each] for each in broken), len(members))


def _not_finite(tensors: Sequence[LazyTensor]) -> str | None:
    """Return the name of a tensor with NaN or infinity; None if there is none."""
    for tensor in tensors:
        if tensor.fault is None and tensor.same_as is None:
            numbers = tensor.load()
            if numbers.is_floating_point() and not bool(numbers.isfinite().all()):
                return tensor.name
    return None


def _logged(points: Sequence[HistoryPoint]) -> dict[str, Value]:
    """Average over runs what all of them have logged."""
    values: dict[str, Value] = {}
    for name in ("train_loss", "test_loss"):
        numbers = [n for point in points if (n := getattr(point, name)) is not None]
        if len(numbers) == len(points) > 0:
            values[name] = mean_over_members(numbers, single_stderr=None)
    accuracies = [p.test_accuracy for p in points if p.test_accuracy is not None]
    if len(accuracies) == len(points) > 0:
        values["test_error"] = mean_over_members([100 - a for a in accuracies], single_stderr=None)
    return values


def _with_amount(group: FoundGroup) -> FoundGroup:
    """Add the training items as far as the log tells them: steps of an epoch times batch size.

    The last batch of an epoch may be smaller, or be left out, so the product is right within one
    batch: of many batches that is an estimate, of few it only tells how many items there can be.
    """
    batch = group.facts.get("batch_size")
    if "data_amount" in group.facts or not isinstance(batch, int | float) or batch < 1:
        return group
    steps = _steps_of_epoch(group.histories)
    if steps is None or not 1 <= steps * batch <= _MOST_ITEMS:
        return group
    if steps >= _MANY_STEPS:
        name, amount, how = "data_amount", round(steps * batch), f"within {100 / steps:.2g} %"
    else:  # (steps + 1) x batch would be one step more
        name, amount = AMOUNT_AT_MOST, max(math.ceil((steps + 1) * batch) - 1, 1)
        how = "too few for an estimate"
    log = group.origins.get("history", "the log")
    origin = f"{log}: batch size x steps of an epoch ({steps:.4g}), {how}"
    return replace(
        group,
        training={**group.training, name: amount},
        origins={**group.origins, name: origin},
    )


def _steps_of_epoch(histories: Sequence[History]) -> float | None:
    """Return the steps of an epoch in the first history, if it tells steps and epochs."""
    firsts: dict[float, float] = {}  # epoch -> its first step
    for point in histories[0].points if histories else ():
        if point.step is not None and point.epoch is not None:
            firsts.setdefault(point.epoch, point.step)
    if len(firsts) < 2:  # noqa: PLR2004 - a difference
        return None
    begin, end = min(firsts), max(firsts)
    steps = (firsts[end] - firsts[begin]) / (end - begin)
    return steps if steps > 0 else None

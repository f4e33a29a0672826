"""One group: from a task (paths, names, seeds) to a row. This is what a worker runs."""

from __future__ import annotations

import contextlib
import platform
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor

from mdtree.checkpoints import Checkpoint, fetched
from mdtree.datasets import Data
from mdtree.exceptions import DivergedError, MdtreeError
from mdtree.measurement.builders import group_fitted, group_network, group_training
from mdtree.measurement.failures import diverged_beside, diverged_in, failed_row, row_of_records
from mdtree.measurement.inside import ReportingMeter
from mdtree.measurement.members import (
    Members,
    check_names,
    load_members,
    read_unfinished,
    write_unfinished,
)
from mdtree.measurement.speed import suited_threads
from mdtree.measurement.task import GroupTask, row_digest
from mdtree.metrics import METRICS, MetricInput, MetricResult
from mdtree.models import Network
from mdtree.recipes import bind
from mdtree.rows import (
    Fact,
    Precision,
    Provenance,
    Row,
)
from mdtree.runtime.device import held_share
from mdtree.version import __version__

__all__ = [
    "GroupResult",
    "joined",
    "measure_or_fail",
    "quantities_of",
    "versions",
]

ValueT = TypeVar("ValueT")

_SHARE_CURVE = {"connectivity", "surface"}  # metrics that need the same trained curve


@dataclass(frozen=True, kw_only=True)
class GroupResult:
    """What came of measuring a group."""

    row: Row
    trace: str | None = None  # of a failure: where it was raised
    share: float | None = None  # of its GPU's memory, that it held at most


def measure_or_fail(task: GroupTask, precision: Precision | None = None) -> GroupResult:
    """Measure one group; whatever goes wrong with it is in its row, and other groups go on.

    Args:
        task: The group.
        precision: Says when its quantities are precise enough; None: at their tolerance.
    """
    if task.lost is not None:
        facts = {**_of_recipe(task), **task.facts}
        return GroupResult(row=row_of_records(task, facts, task.lost))
    try:
        with _with_local_files(task) as ready:
            row, share = held_share(task.device, lambda: _measured(ready, precision))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a user's code can raise anything
        if isinstance(error, DivergedError) and task.earlier is None:  # a result, without a trace
            row = failed_row(task, DivergedError.__name__, str(error))
            return GroupResult(row=replace(row, diverged=diverged_in(task, error)))
        kind = type(error).__name__
        reason = str(error) if isinstance(error, MdtreeError) else f"{kind}: {error}"
        trace = "".join(traceback.format_exception(error))
        return GroupResult(row=failed_row(task, kind, reason), trace=trace)
    return GroupResult(row=row, share=share)


@contextlib.contextmanager
def _with_local_files(task: GroupTask) -> Iterator[GroupTask]:
    """Have the group's files on this machine while it is measured."""
    if task.storage is None:
        yield task
        return
    with fetched(task.storage, task.files) as files:
        yield replace(task, files=files)


def _measured(task: GroupTask, precision: Precision | None) -> Row:
    started = time.perf_counter()
    check_names(task)
    network = group_network(task)
    loaded = load_members(task, network)
    _check_unchanged(task, loaded)
    ready = group_fitted(task)
    data = ready.data
    facts = _facts(task, network, data)
    enough = None if precision is None else precision(_known_before(task, facts))
    meter = ReportingMeter(ready.runner.meter.total)
    metric_input = MetricInput(
        runner=replace(ready.runner, meter=meter),
        members={member.name: _placed(member, task) for member in loaded.distinct},
        data=data,
        protocol=task.protocol,
        seed=task.seed,
        training=group_training(task),
        hessian_limit=task.recipe.hessian_limit or 1,
        notes=ready.notes,
        quantities=task.quantities,
        enough=enough,
        unfinished=read_unfinished(task.unfinished),
    )
    meter.announce(task.metrics, metric_input)
    result = quantities_of(task.metrics, metric_input, begin=meter.begin)
    write_unfinished(task.unfinished, metric_input.unfinished if result.open else None)
    told = () if task.told_amount is None else task.told_amount.notes(len(data.train))
    notes = [*told, *task.notes, *loaded.notes, *metric_input.notes, *result.notes]
    row = Row(
        format=1,
        group=task.group,
        protocol=task.protocol,
        facts=facts,
        quantities=dict(result.values),
        provenance=Provenance(
            weights={member.name: member.sha256 for member in loaded.distinct},
            recipe=row_digest(task),
            data=task.data_digest,
            metrics=_complete(task),
            seed=task.seed,
            device=task.device,
            seconds=round(time.perf_counter() - started, 3),
            versions=versions(),
            passes=metric_input.runner.meter.total.passes,
            notes=tuple(dict.fromkeys(notes)),
            stamps=None if task.stamps is None else dict(task.stamps),
            copies=loaded.copies or None,
            stopped=dict(result.stopped) or None,
            reach=result.reach,
        ),
        diverged=diverged_beside(task, len(loaded.distinct)),
        details={**task.details, **result.details} or None,
    )
    return row if task.earlier is None else joined(task.earlier, row)


def _known_before(task: GroupTask, facts: dict[str, Fact]) -> Row:
    """Return the row without what is measured now."""
    now = {name for metric in task.metrics for name in METRICS[metric].quantities}
    empty = Row(format=1, group=task.group, protocol=task.protocol, facts=facts, quantities={})
    earlier = task.earlier or empty
    known = {name: value for name, value in earlier.quantities.items() if name not in now}
    return replace(earlier, facts=facts, quantities=known, failure=None)


def _complete(task: GroupTask) -> tuple[str, ...]:
    """Name the metrics of which all quantities were asked for: the others can be continued."""
    wanted = set(task.quantities)
    return tuple(
        name for name in task.metrics if not wanted or wanted.issuperset(METRICS[name].quantities)
    )


def versions() -> dict[str, str]:
    """Return the releases that a row was measured with."""
    return {
        "mdtree": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def quantities_of(
    metrics: Iterable[str],
    metric_input: MetricInput,
    *,
    begin: Callable[[str], None] = lambda _: None,
) -> MetricResult:
    """Compute metrics; return the results of all of them.

    `begin` is told of each metric before it is computed.
    """
    metrics = tuple(metrics)
    if {*metrics} >= _SHARE_CURVE:  # otherwise it would take memory for nothing
        metric_input = replace(metric_input, curves={})
    results = []
    with suited_threads(metric_input.runner, metric_input.data.train):
        for metric in metrics:
            begin(metric)
            results.append(METRICS[metric].compute(metric_input))
    wants = metric_input.wants
    return MetricResult(
        {n: value for result in results for n, value in result.values.items() if wants(n)},
        details={name: detail for result in results for name, detail in result.details.items()},
        notes=tuple(note for result in results for note in result.notes),
        stopped={n: rule for result in results for n, rule in result.stopped.items() if wants(n)},
        open={n: running for result in results for n, running in result.open.items() if wants(n)},
    )


def _check_unchanged(task: GroupTask, loaded: Members) -> None:
    """Refuse to add to a row what was measured of other weights."""
    known = task.earlier.provenance if task.earlier is not None else None
    if known is not None and known.weights != {m.name: m.sha256 for m in loaded.distinct}:
        raise MdtreeError(
            f"the checkpoints of {task.group!r} have changed while they were measured: run the "
            "same command again when they are whole"
        )


def _placed(member: Checkpoint, task: GroupTask) -> dict[str, Tensor]:
    device = torch.device(task.device)
    return {name: tensor.to(device) for name, tensor in member.weights.items()}


def _facts(task: GroupTask, network: Network, data: Data) -> dict[str, Fact]:
    """Collect what is known: what the user says, then what the model and the data show."""
    noise = bind(task.recipe.data, task.facts).label_noise
    counted = {"parameters": network.parameters, "conv_parameters": network.conv_parameters}
    facts: dict[str, Fact] = {"data_amount": len(data.train)}
    if noise:
        facts["label_noise"] = float(noise)
    return {**counted, **facts, **_of_recipe(task), **task.facts, **counted}


def _of_recipe(task: GroupTask) -> dict[str, Fact]:
    """Return what the recipe says about the network and the training of a group."""
    facts: dict[str, Fact] = {}
    width = bind(task.recipe.model, task.facts).kwargs.get("width")
    if isinstance(width, int | float) and not isinstance(width, bool) and width > 0:
        facts["width"] = width
    if task.recipe.training is not None:
        training = bind(task.recipe.training, task.facts)
        facts["learning_rate"] = float(training.learning_rate)
        facts["batch_size"] = int(training.batch_size)
        facts["optimizer"] = "sgd"  # the only one that a recipe describes
    return facts


def joined(earlier: Row, row: Row) -> Row:
    """Add what was measured now to what was measured of the same inputs before."""
    assert earlier.provenance is not None, "only rows that were measured here are continued"
    assert row.provenance is not None
    return replace(
        row,
        quantities={**earlier.quantities, **row.quantities},
        details={**(earlier.details or {}), **(row.details or {})} or None,
        provenance=replace(
            row.provenance,
            metrics=tuple(dict.fromkeys((*earlier.provenance.metrics, *row.provenance.metrics))),
            seconds=round(earlier.provenance.seconds + row.provenance.seconds, 3),
            passes=(earlier.provenance.passes or 0) + (row.provenance.passes or 0),
            notes=tuple(dict.fromkeys((*earlier.provenance.notes, *row.provenance.notes))),
            stopped=_joined(earlier.provenance.stopped, row.provenance.stopped, row),
            reach=_joined(earlier.provenance.reach, row.provenance.reach, row),
        ),
    )


def _joined(
    earlier: Mapping[str, ValueT] | None, now: Mapping[str, ValueT] | None, row: Row
) -> dict[str, ValueT] | None:
    """Add what is told of quantities now to what was told of those that were not measured again."""
    kept = {name: each for name, each in (earlier or {}).items() if name not in row.quantities}
    return {**kept, **(now or {})} or None

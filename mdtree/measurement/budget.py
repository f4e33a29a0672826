"""A budget of seconds: networks in memory, measured as far as the time allows.

The metrics come in the order of their announced cost.  Before each one, the seconds that it is
expected to take must fit into what remains; one that takes longer is stopped between two passes.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable
from dataclasses import replace

import torch

from mdtree.batch import size
from mdtree.exceptions import DivergedError, MdtreeError
from mdtree.landscape import ComputeCost, CostMeter, preserved_state
from mdtree.measurement.in_memory import ModelsInMemory
from mdtree.measurement.request import check_metrics
from mdtree.measurement.speed import Speed, measure_speed
from mdtree.metrics import CHANCE, METRICS, MetricInput
from mdtree.rows import Measured, Missing, Row, Value

__all__ = ["row_within"]

_BATCHES = (1, 4, 16, 64, 256)  # that are timed, until one takes this share of the budget
_TIMED = 0.01
_SPEED = 7_000  # passes that it takes to time gradients and second derivatives, about
_FAILED = "failed: "


def row_within(models: ModelsInMemory, seconds: float, metrics: Iterable[str] = ()) -> Row:
    """Measure networks in memory within a budget.

    What did not fit, or failed, is missing with that reason, and is in the notes of the row.

    Args:
        models: The networks and their data.
        seconds: The budget.
        metrics: Names; none are the usual ones.

    Raises:
        MdtreeError: Nothing could be measured, or neither errors nor losses, although there was
            time for them; the message says why.

    """
    deadline = time.perf_counter() + seconds
    names = check_metrics(tuple(metrics))
    try:
        metric_input = models.prepared
    except DivergedError:  # a verdict by itself
        return models.row(names)
    costs = _announced(metric_input, names, seconds)
    row: Row | None = None
    reasons: dict[str, str] = {}
    for name in sorted(names, key=lambda name: costs[name]):
        left = max(deadline - time.perf_counter(), 0.0)
        if costs[name] > left:
            reasons[name] = (
                f"did not fit into the budget: it takes about {costs[name]:.2g} s, and "
                f"{left:.2g} s were left"
            )
            continue
        try:
            row = models.extended(row, (name,), _Deadline(deadline))
        except _OutOfTimeError:
            reasons[name] = "was stopped: the budget was used up"
        except Exception as error:  # noqa: BLE001 - a user's code can raise anything
            kind = "" if isinstance(error, MdtreeError) else f"{type(error).__name__}: "
            reasons[name] = f"{_FAILED}{kind}{error!s:.500}"
    values = () if row is None else row.quantities.values()
    if row is None or not any(isinstance(value, Measured) for value in values):
        faults = [f"{name} {reason}" for name, reason in reasons.items()]
        faults += dict.fromkeys(value.missing for value in values if isinstance(value, Missing))
        raise MdtreeError(f"nothing was measured: {'; '.join(faults)}")
    fault = reasons.get("error_rate") if _FAILED in reasons.get("error_rate", "") else None
    known = set(METRICS["error_rate"].quantities).difference(CHANCE)  # the labels alone tell it
    errors = [row.quantities.get(name) for name in sorted(known)]
    if "error_rate" not in reasons and not any(isinstance(value, Measured) for value in errors):
        fault = next((value.missing for value in errors if isinstance(value, Missing)), None)
    if fault is not None:  # what is known without a pass is not enough for a verdict
        raise MdtreeError(f"neither errors nor losses could be measured: {fault}")
    return _with_reasons(row, reasons)


class _OutOfTimeError(Exception):
    """The budget was used up while a metric was measured."""


class _Deadline(CostMeter):
    """Stops a metric when the budget is used up: all work is told to the meter."""

    def __init__(self, deadline: float) -> None:
        super().__init__()
        self.deadline = deadline

    def add(self, cost: ComputeCost) -> None:
        """Add the cost of a computation, if there is time for another one."""
        super().add(cost)
        if time.perf_counter() > self.deadline:
            raise _OutOfTimeError


def _with_reasons(row: Row, reasons: dict[str, str]) -> Row:
    missing: dict[str, Value] = {
        quantity: Missing(missing=f"{name} {reason}")
        for name, reason in reasons.items()
        for quantity in METRICS[name].quantities
    }
    notes = tuple(f"{name} {reason}" for name, reason in reasons.items())
    assert row.provenance is not None, "it was measured here"
    return replace(
        row,
        quantities={**row.quantities, **missing},
        provenance=replace(row.provenance, notes=(*row.provenance.notes, *notes)),
    )


def _announced(metric_input: MetricInput, names: Iterable[str], seconds: float) -> dict[str, float]:
    """Return the seconds that each metric is expected to take."""
    workload = metric_input.workload()  # each metric is measured alone
    speed = _speed(metric_input, seconds)
    costs = {name: speed.seconds(METRICS[name].cost(workload)) for name in names}
    for name in costs:
        if (of_weights := METRICS[name].weights_seconds) is not None:
            costs[name] += of_weights(metric_input.members.values())
        if (seconds_of := METRICS[name].seconds) is not None:
            costs[name] += seconds_of(metric_input.data)
    return costs


def _speed(metric_input: MetricInput, seconds: float) -> Speed:
    """Time all kinds of work, or only forward passes if the others would take too long."""
    forward = _seconds_per_pass(metric_input, seconds)
    if _SPEED * forward <= 2 * _TIMED * seconds:
        with contextlib.suppress(Exception):  # of a user's code; the metrics say why
            return measure_speed(metric_input.runner, metric_input.data.train)
    usual = ComputeCost(gradient=1).passes, ComputeCost(product=1).passes
    return Speed(forward=forward, gradient=usual[0] * forward, product=usual[1] * forward)


def _seconds_per_pass(metric_input: MetricInput, seconds: float) -> float:
    """Time a forward pass of one item, in batches that grow as far as the budget allows."""
    runner, items = metric_input.runner, metric_input.data.train
    weights = next(iter(metric_input.members.values()))
    best = seconds  # where not a single item fits into memory
    with preserved_state(runner, seed=0), torch.inference_mode():
        for count in _BATCHES:
            part = items.take(torch.arange(min(count, len(items))))
            batch = next(runner.batches(part, count))
            started = time.perf_counter()
            try:
                runner.network(weights, batch).sum().item()  # waits for the device
            except torch.OutOfMemoryError:
                break
            except Exception:  # noqa: BLE001 - the metrics say why
                return 0.0
            took = time.perf_counter() - started
            best = min(best, took / size(batch))
            if took > _TIMED * seconds or count >= len(items):
                break
    return best

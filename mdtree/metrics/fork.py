"""Fork: two short continuations of one checkpoint, trained on different orders of the same data.

    fork_barrier   highest training error on the straight line between them minus the worse end's
    fork_cka       CKA of their outputs, as in `similarity`

Once training has become stable, the order of the data no longer decides which valley it reaches,
and the barrier is zero (Frankle et al. 2020, arXiv 1912.05671).  One checkpoint is enough; of
several, the first in order of names is used.  Both protocols measure it in the same way.
"""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from functools import partial

from mdtree.landscape import (
    MIN_ITEMS,
    ComputeCost,
    Profile,
    cka,
    cka_stderr,
    derive_seed,
    draw,
    generator,
    has_statistics,
    mixed_sample,
    outputs,
    preserved_state,
    profile,
    straight_line,
    trainable_parameters,
    within_memory,
)
from mdtree.metrics.base import Metric, MetricInput, MetricResult, Workload
from mdtree.models import Weights
from mdtree.rows import Measured, Missing, Value
from mdtree.training.loop import Training, train

__all__ = ["FORK"]

_EPOCHS = 2
_STEPS = 200  # at most
_ITEMS = 1024
_STATISTICS = 512
_INNER = (0.25, 0.5, 0.75)
_POINTS = 2 + len(_INNER)

_QUANTITIES = ("fork_barrier", "fork_cka")


def compute(metric_input: MetricInput) -> MetricResult:
    """Measure fork_barrier and fork_cka."""
    if metric_input.training is None:
        reason = (
            "needs `training` in the recipe: learning_rate and batch_size (or the facts optimizer, "
            "an SGD, learning_rate, batch_size, momentum and weight_decay)"
        )
        return MetricResult(dict.fromkeys(_QUANTITIES, Missing(missing=reason)))
    fault = _fault(metric_input, metric_input.training)
    if fault is not None:
        return MetricResult(dict.fromkeys(_QUANTITIES, Missing(missing=fault)))
    weights = next(iter(metric_input.members.values()))
    with preserved_state(metric_input.runner, derive_seed(metric_input.seed, "fork")):
        start, end = (
            _continued(metric_input, metric_input.training, weights, way) for way in (0, 1)
        )
        barrier = _barrier(metric_input, start, end)
        similarity, note = _similarity(metric_input, start, end)
    values = {"fork_barrier": barrier, "fork_cka": similarity}
    return MetricResult(values, notes=() if note is None else (note,))


def cost(work: Workload) -> ComputeCost:
    """Estimate the cost of both continuations, the points of the line, and the outputs."""
    if work.training is None:
        return ComputeCost()
    items = min(work.train_items, _ITEMS)
    return ComputeCost(
        gradient=2 * _trained_items(work.training, work.train_items),
        forward=_POINTS * (items + min(items, _STATISTICS)) + 2 * items,
    )


def _fault(metric_input: MetricInput, how: Training) -> str | None:
    """Return why the checkpoint cannot be trained further, or None."""
    network, items = metric_input.runner.network, len(metric_input.data.train)
    if items == 0:
        return "needs training items, found 0"
    if not trainable_parameters(network).shapes:
        return "the network has no trainable parameters"
    if min(how.batch_size, items) == 1 and has_statistics(network.module):
        return (
            f"BatchNorm cannot be trained on one item at a time: found {items} training "
            f"item{'s' if items > 1 else ''} and batch_size {how.batch_size}"
        )
    return None


def _continued(metric_input: MetricInput, how: Training, weights: Weights, way: int) -> Weights:
    runner, items = metric_input.runner, metric_input.data.train
    module = copy.deepcopy(runner.network.module)
    seed = derive_seed(metric_input.seed, "fork", way) % 2**32
    now = replace(how, epochs=_EPOCHS, steps=_STEPS, seed=seed)

    def work(_: int) -> Weights:
        module.load_state_dict(
            weights, strict=False
        )  # of a tied tensor, only the first name is here
        return train(module, items, runner.losses, now, runner.place)

    trained = within_memory(
        work, how.batch_size, least=how.batch_size, what="in the training of a continuation"
    )
    runner.meter.add(ComputeCost(gradient=_trained_items(how, len(items))))
    return trained


def _trained_items(how: Training, items: int) -> int:
    """Return the number of items in all steps; a short last batch is left out."""
    batch_size = min(how.batch_size, items)
    return min(_EPOCHS * (items // batch_size), _STEPS) * batch_size


def _barrier(metric_input: MetricInput, start: Weights, end: Weights) -> Value:
    runner, train_items = metric_input.runner, metric_input.data.train
    sample = draw(runner, train_items, _ITEMS, generator(metric_input.seed, "fork items"))
    statistics = draw(runner, sample, _STATISTICS, generator(metric_input.seed, "fork statistics"))
    line = straight_line(trainable_parameters(runner.network), start, end)
    line_profile: Profile = profile(runner, line, sample, statistics, inner=_INNER)
    if not line_profile.has_errors:
        return Missing(missing="the targets are not class numbers")
    figure = line_profile.barrier()
    if not math.isfinite(figure.value):
        return Missing(missing="the loss of the continuations is not finite")
    return Measured(value=figure.value, stderr=figure.stderr)


def _similarity(
    metric_input: MetricInput, start: Weights, end: Weights
) -> tuple[Value, str | None]:
    runner, train_items = metric_input.runner, metric_input.data.train
    source = generator(metric_input.seed, "fork mixing")
    sample, note = mixed_sample(runner, train_items, _ITEMS, source)
    if len(sample) < MIN_ITEMS:
        return Missing(missing=f"needs {MIN_ITEMS} training items, found {len(sample)}"), note
    first, second = (
        runner.network.with_weights(weights, partial(outputs, runner, sample))
        for weights in (start, end)
    )
    if first.kernel is None or second.kernel is None:
        fault = first.fault or second.fault
        return Missing(missing=f"the outputs of the continuations {fault}"), note
    value = cka(first.kernel, second.kernel, debiased=True)
    if value is None:
        return Missing(missing="the outputs of the continuations are all equal"), note
    stderr = cka_stderr(first.kernel, second.kernel, debiased=True)
    return Measured(value=value, stderr=stderr), note


FORK = Metric(name="fork", quantities=_QUANTITIES, compute=compute, cost=cost, on_request=True)

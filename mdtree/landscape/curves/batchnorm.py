"""BatchNorm statistics, re-estimated for weights that have none of their own.

mean = sum_b n_b mean_b / sum_b n_b, and the same for the (unbiased) variance: one pass over the
items, weighted by the size of the batches, without autograd.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from mdtree.batch import Batch, size
from mdtree.items import Items
from mdtree.landscape.oom import within_memory
from mdtree.landscape.runner import ComputeCost, ModelRunner
from mdtree.landscape.score import Score, score
from mdtree.network import Run

__all__ = [
    "batch_statistics",
    "batches_with_variance",
    "has_statistics",
    "reestimate",
    "score_reestimated",
]


def has_statistics(module: nn.Module) -> bool:
    """Return whether a module has running statistics, which depend on the weights."""
    return any(True for _ in _layers(module))


def reestimate(runner: ModelRunner, items: Items, run: Run) -> None:
    """Set the BatchNorm statistics of `run` to those of one pass over the items.

    Args:
        runner: The network and its batch size.
        items: At least two items.
        run: The network at its weights, whose buffers are set.

    Raises:
        DataError: Memory runs out even with batches of two items.
    """
    if not has_statistics(runner.network.module):
        return
    with torch.no_grad(), batch_statistics(runner.network.module) as layers:
        seen = within_memory(
            lambda batch_size: _collect(runner, items, run, layers, batch_size),
            max(runner.batch_size, 2),
            least=2,
            what="to estimate the statistics of BatchNorm",
        )
    runner.meter.add(ComputeCost(forward=seen))


def score_reestimated(runner: ModelRunner, items: Items, statistics: Items, run: Run) -> Score:
    """Score a network whose BatchNorm statistics are first re-estimated on `statistics`."""
    reestimate(runner, statistics, run)
    return score(runner, items, run)


def _collect(
    runner: ModelRunner, items: Items, run: Run, layers: Sequence[_NormBase], batch_size: int
) -> int:
    seen = 0
    for layer in layers:
        layer.reset_running_stats()
    for batch in batches_with_variance(runner, items, batch_size):
        seen += size(batch)
        for layer in layers:
            layer.momentum = size(batch) / seen
        run(batch)
    return seen


@contextmanager
def batch_statistics(module: nn.Module) -> Iterator[list[_NormBase]]:
    """Put layers with statistics into training mode, and all others into evaluation mode.

    Modes and momenta are restored afterwards.
    """
    modes = [(inner, inner.training) for inner in module.modules()]
    layers = list(_layers(module))
    momenta = [layer.momentum for layer in layers]
    try:
        module.eval()
        for layer in layers:
            layer.train()
        yield layers
    finally:
        for inner, training in modes:
            inner.training = training
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum


def batches_with_variance(
    runner: ModelRunner, items: Items, batch_size: int | None = None
) -> Iterator[Batch]:
    """Yield all items in batches of at least two; a single last item is left out."""
    for batch in runner.batches(items, max(batch_size or runner.batch_size, 2)):
        if size(batch) > 1:
            yield batch


def _layers(module: nn.Module) -> Iterator[_NormBase]:
    for layer in module.modules():
        if isinstance(layer, _NormBase) and layer.running_mean is not None:
            yield layer

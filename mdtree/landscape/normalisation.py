"""Statistics of BatchNorm, re-estimated for weights that were never trained with their own.

mean = sum_b n_b mean_b / sum_b n_b, and the same for the (unbiased) variance: one pass over items,
weighted by the size of the batches, without autograd.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from mdtree.batch import size
from mdtree.datasets import Items
from mdtree.landscape.effort import Effort
from mdtree.landscape.setup import Setup
from mdtree.models import Run

__all__ = ["has_statistics", "reestimate"]


def has_statistics(module: nn.Module) -> bool:
    """Say whether a module has statistics that depend on the weights."""
    return any(True for _ in _layers(module))


def reestimate(setup: Setup, items: Items, run: Run, batch_size: int | None = None) -> None:
    """Set the statistics that `run` holds to those of one pass over the items.

    Only the layers with statistics are in training mode; dropout stays off.  A last batch of one
    item is left out where there are others: its variance is not known.
    """
    layers = list(_layers(setup.network.module))
    if not layers:
        return
    seen = 0
    with torch.no_grad(), _collecting(layers):
        for batch in setup.batches(items, batch_size):
            count = size(batch)
            if count == 1 and seen > 0:
                continue
            seen += count
            for layer in layers:
                layer.momentum = count / seen
            run(batch)
    setup.meter.add(Effort(forward=seen))


def _layers(module: nn.Module) -> Iterator[_NormBase]:
    for layer in module.modules():
        if isinstance(layer, _NormBase) and layer.running_mean is not None:
            yield layer


@contextmanager
def _collecting(layers: list[_NormBase]) -> Iterator[None]:
    before = [(layer, layer.training, layer.momentum) for layer in layers]
    try:
        for layer in layers:
            layer.train()
        yield
    finally:
        for layer, training, momentum in before:
            layer.training, layer.momentum = training, momentum

"""How many threads a network can use: small ones are slower with several than with one.

Each layer ends with all threads waiting for each other, which takes microseconds on idle cores, and
a time slice of the scheduler for each layer where something else runs too.  So several threads are
used only where the layers have work for them.  The work is counted, not timed, so that a
measurement does not depend on how busy the machine is.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from mdtree.datasets import Items
from mdtree.landscape import ModelRunner, preserved_state
from mdtree.runtime.device import one_thread

__all__ = ["layer_work", "suited_threads"]

_ITEMS = 128  # of a batch that is differentiated
_LEAST = 1 << 19  # multiplications of a layer, about 50 microseconds on one core


@contextlib.contextmanager
def suited_threads(runner: ModelRunner, items: Items) -> Iterator[None]:
    """Compute with one thread inside the context, if the network has no work for more of them."""
    if torch.get_num_threads() > 1 and runner.device.type == "cpu" and len(items) > 0:
        work = layer_work(runner, items)
        if work is not None and work < _LEAST:
            with one_thread():
                yield
            return
    yield


def layer_work(runner: ModelRunner, items: Items) -> float | None:
    """Count the multiplications of a layer, on average, in a batch that is differentiated.

    A matrix is used once for each position of the output.  None: the network does not run on an
    item, which those will tell who need it to.
    """
    counts: list[int] = []
    layers = [
        module
        for module in runner.network.module.modules()
        if not list(module.children()) or list(module.parameters(recurse=False))
    ]
    with contextlib.ExitStack() as stack:
        stack.enter_context(preserved_state(runner, seed=0))
        stack.enter_context(torch.inference_mode())
        try:
            for layer in layers:
                handle = layer.register_forward_hook(partial(_count, counts))
                stack.callback(handle.remove)
            batch = next(runner.batches(items, 1))
            runner.network(runner.network.module.state_dict(), batch)
        except Exception:  # noqa: BLE001 - a user's code can raise anything
            return None
    return min(len(items), _ITEMS) * sum(counts) / len(counts) if counts else None


def _count(counts: list[int], layer: nn.Module, _: Any, output: Any) -> None:
    """Count one pass of a layer; a table that is looked up multiplies nothing."""
    first = output[0] if isinstance(output, tuple) and output else output
    if not isinstance(first, Tensor) or first.dim() == 0:
        return
    features = first.shape[1 if isinstance(layer, _ConvNd) and first.dim() > 1 else -1]
    matrices = sum(p.numel() for p in layer.parameters(recurse=False) if p.dim() > 1)
    if matrices == 0 or isinstance(layer, nn.Embedding):
        counts.append(first.numel())
    else:
        counts.append(matrices * first.numel() // max(features, 1))

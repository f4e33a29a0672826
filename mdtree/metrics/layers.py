"""Layers: similarity of every pair of layers of two networks.

Debiased CKA (landscape/similarity/cka.py) of the outputs of all layers of the first two members, or
of one member with itself, on a sample of 256 unmodified training items.

A layer is a module without submodules, or an attention, that returns floats for each item; its last
call counts.  The whole sample is one batch: each layer's kernel is computed at once, and only
kernels are kept, at most half a megabyte each, while features are as large as the network is wide.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from mdtree.batch import size
from mdtree.datasets import Items
from mdtree.landscape import (
    MIN_ITEMS,
    ComputeCost,
    Kernel,
    ModelRunner,
    cka,
    derive_seed,
    draw,
    generator,
    preserved_state,
    within_memory,
)
from mdtree.metrics.base import Metric, MetricInput, MetricResult, Workload
from mdtree.models import Run
from mdtree.rows import Detail

__all__ = ["LAYERS"]

_ITEMS = 256
_MEMBERS = 2
_DIGITS = 6

_Kernels = dict[str, Kernel]  # of each layer, in the order of calls


def compute(metric_input: MetricInput) -> MetricResult:
    """Compare all layers; there are no quantities, only a plot."""
    count = len(metric_input.data.train)
    if count < MIN_ITEMS:
        return MetricResult({}, notes=(f"layers: needs {MIN_ITEMS} training items, found {count}",))
    runner, source = metric_input.runner, generator(metric_input.seed, "layers")
    sample = draw(runner, metric_input.data.train, _ITEMS, source)
    with preserved_state(runner, derive_seed(metric_input.seed, "layers")):
        used, kernels = within_memory(partial(_kernels, metric_input, sample), len(sample))
    less = f"layers: memory was only enough for {used} of {len(sample)} items"
    return MetricResult(
        {},
        details={"layers": _table(kernels[0], kernels[-1])},
        notes=(less,) if used < len(sample) else (),
    )


def cost(work: Workload) -> ComputeCost:
    """Estimate the cost: one forward pass for each of the two members."""
    return ComputeCost(forward=min(work.members, _MEMBERS) * min(work.train_items, _ITEMS))


def _kernels(metric_input: MetricInput, sample: Items, count: int) -> tuple[int, list[_Kernels]]:
    items, runner = sample.take(torch.arange(count)), metric_input.runner
    members = itertools.islice(metric_input.members.values(), _MEMBERS)
    return count, [
        runner.network.with_weights(weights, partial(_layer_kernels, runner, items))
        for weights in members
    ]


def _layer_kernels(runner: ModelRunner, items: Items, run: Run) -> _Kernels:
    """Run the network once, and compute the kernel of each layer when it is called."""
    kernels: _Kernels = {}
    batch = next(runner.batches(items, len(items)))

    def keep(name: str, _module: nn.Module, _inputs: Any, output: Any) -> None:
        features = _tensor(output)
        if features is not None and features.shape[:1] == (size(batch),) and features.numel():
            kernels[name] = Kernel.of(features)

    with contextlib.ExitStack() as hooks, _every_module_called(), torch.inference_mode():
        for name, module in _layers(runner.network.module):
            hooks.enter_context(module.register_forward_hook(partial(keep, name)))
        run(batch)
    runner.meter.add(ComputeCost(forward=len(items)))
    return kernels


def _layers(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    for name, module in network.named_modules():
        # attention uses the weights of its submodules without calling them
        if isinstance(module, nn.MultiheadAttention) or not any(module.children()):
            yield name or type(module).__name__, module


@contextlib.contextmanager
def _every_module_called() -> Iterator[None]:
    """Disable the fast path of transformers, which does not call their modules."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def _tensor(output: Any) -> Tensor | None:
    """Return the first tensor of a layer's output, if it has floats."""
    parts = output if isinstance(output, tuple | list) else [output]
    tensor = next((part for part in parts if isinstance(part, Tensor)), None)
    return tensor if tensor is not None and tensor.is_floating_point() else None


def _table(rows: _Kernels, columns: _Kernels) -> Detail:
    lines = [
        (row, column, _compared(first, second))
        for row, first in rows.items()
        for column, second in columns.items()
    ]
    return Detail(
        columns={
            "row": tuple(row for row, _, _ in lines),
            "column": tuple(column for _, column, _ in lines),
            "cka": tuple(value for _, _, value in lines),
        }
    )


def _compared(first: Kernel, second: Kernel) -> float | None:
    value = cka(first, second, debiased=True)
    return None if value is None else round(value, _DIGITS)


LAYERS = Metric(name="layers", quantities=(), compute=compute, cost=cost, on_request=True)

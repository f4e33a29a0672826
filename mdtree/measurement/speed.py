"""Speed: how long one item takes here, and how many threads a network can use.

Small networks are slower with several threads than with one.  Each layer ends with all threads
waiting for each other, which takes microseconds on idle cores, and a time slice of the scheduler
for each layer where something else runs too.  So several threads are used only where the layers
have work for them.  The work is counted, not timed, so that a measurement does not depend on how
busy the machine is.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from mdtree.batch import Batch, size
from mdtree.datasets import Items
from mdtree.landscape import (
    ComputeCost,
    Hessian,
    LossError,
    ModelRunner,
    NoSecondDerivativeError,
    double_backward,
    mean_loss,
    preserved_state,
)
from mdtree.models import Run
from mdtree.runtime.device import one_thread

__all__ = ["Speed", "layer_work", "measure_speed", "suited_threads"]

_RUNS = 2
_BATCH = 128  # items that are differentiated at a time
_LEAST = 1 << 19  # multiplications of a layer, about 50 microseconds on one core


@dataclass(frozen=True, kw_only=True)
class Speed:
    """Seconds for one item."""

    forward: float
    gradient: float
    product: float

    def seconds(self, cost: ComputeCost) -> float:
        """Tell how long work of this cost takes."""
        return (
            cost.forward * self.forward
            + cost.gradient * self.gradient
            + cost.product * self.product
        )


def measure_speed(runner: ModelRunner, items: Items) -> Speed:
    """Time a batch of each kind of work at the weights that the module has."""
    fastest = partial(_fastest, is_here=runner.device.type == "cpu")
    weights = runner.network.module.state_dict()
    batch = next(runner.batches(items))
    few = items.take(torch.arange(min(_BATCH, len(items))))
    with preserved_state(runner, seed=0):
        forward = fastest(lambda: _forward(runner, batch)) / size(batch)
        try:
            hessian = Hessian(runner, weights, few, len(few))
            vector = hessian.random(torch.Generator().manual_seed(0))
            alone = fastest(lambda: _gradient(runner, hessian)) / len(few)
            gradient = max(alone, forward)  # of which it has one, whatever a busy clock says
            both = fastest(lambda: double_backward(lambda: hessian.product(vector))) / len(few)
        except (LossError, NoSecondDerivativeError, StopIteration):
            return Speed(forward=forward, gradient=4 * forward, product=8 * forward)
    return Speed(forward=forward, gradient=gradient, product=max(both - gradient, gradient))


def _forward(runner: ModelRunner, batch: Batch) -> None:
    with torch.inference_mode():
        output = runner.network(runner.network.module.state_dict(), batch)
        output.sum().item()  # waits for the device


def _gradient(runner: ModelRunner, hessian: Hessian) -> None:
    (batch,) = runner.batches(hessian.items, hessian.batch_size)

    def work(run: Run) -> Tensor:
        loss = mean_loss(runner, run(batch), batch)
        torch.autograd.grad(loss, list(hessian.leaves.values()), allow_unused=True)
        return loss

    runner.network.with_weights(hessian.weights, work).item()  # waits for all that was begun before


def _fastest(work: Callable[[], object], *, is_here: bool) -> float:
    """Warm up once, then take the shortest of a few runs.

    `is_here`: all of it is done by this processor.  Then its own time counts where it is shorter:
    a machine with much other work takes a hundred times as long for one batch and not for the next.
    """
    times = []
    for _ in range(1 + _RUNS):
        started, of_processor = time.perf_counter(), time.process_time()
        work()
        seconds, own = time.perf_counter() - started, time.process_time() - of_processor
        times.append(min(seconds, own) if is_here and own > 0 else seconds)
    return min(times[1:])


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
    return min(len(items), _BATCH) * sum(counts) / len(counts) if counts else None


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

"""Speed: how long a forward pass, a gradient and a second derivative of one item take here."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

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

__all__ = ["Speed", "measure_speed"]

_RUNS = 2
_BATCH = 128  # of the kinds of work that differentiate


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

"""The Hessian of the published tables: PyHessian, with its faults contained.

PyHessian 0.1 adds its gradients to those of the module and leaves them there, leaves evaluation
mode on, fails on parameters that are not used or on which the loss depends linearly, accepts only
pairs (inputs, targets), and stops the trace at the second probe if it is negative.  So it gets a
private copy of the module that finds its batches by number and in which such parameters are frozen
(their rows of the Hessian are zero).  The trace is repeated if it stopped for the wrong reason, and
probes are drawn on the CPU, so that all devices and repetitions draw the same ones.

Yao, Gholami, Keutzer and Mahoney 2020, arXiv 1912.07145.
"""

from __future__ import annotations

import copy
import math
import statistics
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from pyhessian import hessian as PyHessian
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from mdtree.batch import Batch, size
from mdtree.items import Items
from mdtree.landscape.curvature.double_backward import check_double_backward
from mdtree.landscape.curvature.lanczos import check_finite
from mdtree.landscape.curvature.operator import LossError, mean_loss
from mdtree.landscape.oom import within_memory
from mdtree.landscape.runner import ComputeCost, ModelRunner
from mdtree.network import Network, Weights

__all__ = ["PyHessianResult", "published_hessian"]

_TOLERANCE = 1e-3
_NEVER = -1e30  # a tolerance that no trace reaches


@dataclass(frozen=True, kw_only=True)
class PyHessianResult:
    """The numbers computed by PyHessian."""

    top: float
    top_iterations: int
    forms: tuple[float, ...]  # z H z of each probe z; the trace is their mean

    @property
    def trace(self) -> float:
        """Mean over the probes."""
        return statistics.fmean(self.forms)


def published_hessian(
    runner: ModelRunner, weights: Weights, items: Items, *, iterations: int = 100
) -> PyHessianResult:
    """Run power iteration, then Hutchinson's estimator, with PyHessian's limit and tolerances.

    All items form one batch, whose graph is kept, or several smaller ones if memory runs out.

    Args:
        runner: The network and its loss.
        weights: The point at which the Hessian is taken.
        items: The sample.

    Raises:
        LossError: The loss or its derivatives are not finite.
    """
    state = torch.random.get_rng_state()

    def work(batch_size: int) -> PyHessianResult:
        torch.random.set_rng_state(state)
        return _measured(runner, weights, list(runner.batches(items, batch_size)), iterations)

    return within_memory(work, len(items))


def _measured(
    runner: ModelRunner, weights: Weights, batches: Sequence[Batch], limit: int
) -> PyHessianResult:
    module = copy.deepcopy(runner.network.module)
    module.load_state_dict(weights)
    numbered = _Numbered(module.eval(), batches)
    _freeze_flat(runner, numbered)
    if not any(weight.requires_grad for weight in numbered.parameters()):
        return PyHessianResult(top=0.0, top_iterations=0, forms=(0.0,))
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Using backward.. with create_graph", UserWarning)
            estimator = _pyhessian(runner, numbered)
            (top,), _ = estimator.eigenvalues(maxIter=limit, tol=_TOLERANCE)
            iterations = numbered.products
            with _DrawnHere():
                forms = _forms(estimator, limit)
        products = numbered.products
    finally:
        numbered.zero_grad(set_to_none=True)  # the gradients hold graphs that hold the gradients
    if not all(math.isfinite(number) for number in (top, *forms)):
        raise LossError("the second derivatives of the loss are not finite")
    # it divides by a length, and by an infinite one nothing is left of the vector
    is_lost = top == 0 and any(forms)
    check_finite(math.inf if is_lost else top, dtype=next(iter(weights.values())).dtype)
    graphs = 1 + (1 if len(batches) == 1 else products)  # one to find the flat parameters
    count = sum(size(batch) for batch in batches)
    runner.meter.add(ComputeCost(gradient=count * graphs, product=count * products))
    return PyHessianResult(top=top, top_iterations=iterations, forms=forms)


class _Numbered(nn.Module):
    """A module that is called with the number of a batch, and counts calls of zero_grad."""

    def __init__(self, module: nn.Module, batches: Sequence[Batch]) -> None:
        super().__init__()
        self.module = module
        self.batches = batches
        self.cleared = 0

    def forward(self, number: Tensor) -> Tensor:
        return Network(self.module).trained(self.batches[int(number[0])])

    @property
    def products(self) -> int:
        """Number of products so far: PyHessian calls zero_grad before each, and twice per batch."""
        each = 1 if len(self.batches) == 1 else 1 + 2 * len(self.batches)
        return self.cleared // each

    def zero_grad(self, set_to_none: bool = True) -> None:  # noqa: FBT001, FBT002 - torch's
        self.cleared += 1
        super().zero_grad(set_to_none)


class _DrawnHere(TorchFunctionMode):
    """Draws the random numbers of PyHessian on the CPU, like all others here."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is not torch.randint_like:
            return func(*args, **(kwargs or {}))
        drawn = func(torch.empty_like(args[0], device="cpu"), **{**(kwargs or {}), "device": "cpu"})
        return drawn.to(args[0].device)


def _pyhessian(runner: ModelRunner, numbered: _Numbered) -> Any:
    batches = numbered.batches

    def criterion(output: Tensor, number: Tensor) -> Tensor:
        return runner.losses(output, batches[int(number[0])]).mean()

    pairs = [
        (torch.full((size(batch),), number), torch.full((size(batch),), number))
        for number, batch in enumerate(batches)
    ]
    data = {"data": pairs[0]} if len(pairs) == 1 else {"dataloader": pairs}
    estimator = PyHessian(numbered, criterion, cuda=False, **data)
    estimator.device = runner.device  # of its vectors; it only knows cpu and cuda itself
    return estimator


def _freeze_flat(runner: ModelRunner, numbered: _Numbered) -> None:
    """Freeze the parameters whose rows of the Hessian are zero for every batch."""
    weights = [weight for weight in numbered.parameters() if weight.requires_grad]
    curved = [False] * len(weights)
    for number, batch in enumerate(numbered.batches):
        loss = mean_loss(runner, numbered(torch.tensor([number])), batch)
        gradients = torch.autograd.grad(loss, weights, create_graph=True, allow_unused=True)
        check_double_backward([gradient for gradient in gradients if gradient is not None])
        for place, gradient in enumerate(gradients):
            curved[place] |= gradient is not None and gradient.requires_grad
    for weight, is_curved in zip(weights, curved, strict=True):
        weight.requires_grad_(is_curved)


def _forms(estimator: Any, limit: int) -> tuple[float, ...]:
    """Give the probes of the trace; a negative one is continued to where a positive one would be.

    PyHessian's stopping rule divides by the signed trace, so any negative trace fulfils it.
    """
    state = torch.random.get_rng_state()
    forms = estimator.trace(maxIter=limit, tol=_TOLERANCE)
    if statistics.fmean(forms[:-1] or forms) >= 0:
        return tuple(forms)
    torch.random.set_rng_state(state)
    forms = estimator.trace(maxIter=limit, tol=_NEVER)
    before = 0.0
    for number in range(1, len(forms) + 1):
        mean = statistics.fmean(forms[:number])
        if abs(mean - before) / (abs(before) + 1e-6) < _TOLERANCE:
            return tuple(forms[:number])
        before = mean
    return tuple(forms)

"""Training the control point of a curve, to minimise the loss along the whole path.

    minimise over b:   E_t E_batch [ L(w(t)) ] + (decay / 2) |w(t)|^2,      t uniform in (0, 1)

Each batch has one t.  By the chain rule the gradient for b is 2t(1-t) times that for w(t), so a
step costs as much as a plain SGD step plus a few passes over one vector.  As in training, BatchNorm
uses the statistics of the batch, and dropout is on; in checks dropout is off.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mdtree.batch import size
from mdtree.items import Items
from mdtree.landscape.curves.batchnorm import (
    batch_statistics,
    batches_with_variance,
    has_statistics,
)
from mdtree.landscape.curves.bezier import BezierCurve
from mdtree.landscape.oom import within_memory
from mdtree.landscape.runner import ComputeCost, ModelRunner
from mdtree.network import Run

__all__ = ["ConvergenceCheck", "CurveTraining", "TrainedCurve", "train_curve"]

_VALIDATED_AT = (0.25, 0.5, 0.75)


@dataclass(frozen=True, kw_only=True)
class ConvergenceCheck:
    """When the training of a control point stops early.

    If a check finds a loss above twice the initial loss, training returns to the best control point
    with a third of the learning rate: a rate that is too high for a network then costs time, not
    the result.  Otherwise checks do not change training.  After a fraction `until` of the steps no
    check stops it, because the learning rate is about to drop, and the loss with it.
    """

    items: Items
    every: int  # steps
    patience: int  # checks without improvement
    gain: float = 0.01  # least improvement, relative to the best loss
    until: float = 0.5  # fraction of the steps


@dataclass(frozen=True, kw_only=True)
class CurveTraining:
    """The settings of SGD with momentum for a control point."""

    steps: int
    batch_size: int
    learning_rate: float
    momentum: float = 0.9
    weight_decay: float = 5e-4
    rate: Callable[[float], float] = lambda _: 1.0  # learning rate schedule, by progress 0..1
    check: ConvergenceCheck | None = None
    asked_after: Sequence[int] = ()  # steps
    enough: Callable[[BezierCurve], bool] = lambda _: False  # asked whether a curve is good enough


@dataclass(frozen=True, kw_only=True)
class TrainedCurve:
    """A path with a trained control point."""

    path: BezierCurve
    steps: int
    converged: bool  # stopped because the loss no longer improved
    told: bool = False  # to stop


def train_curve(
    runner: ModelRunner,
    path: BezierCurve,
    items: Items,
    how: CurveTraining,
    source: torch.Generator,
) -> TrainedCurve:
    """Train the control point of a path from its current position.

    Args:
        runner: The network and its loss.
        path: The path.
        items: The training data.
        how: The settings, with a check for early stopping if there is one.
        source: The source of the order of items and of the positions t.
    """
    module = runner.network.module
    module.train()
    try:
        walk = _Walk(runner, path, how)
        return runner.network.with_weights(walk.weights, lambda run: walk.go(run, items, source))
    finally:
        module.eval()


class _Walk:
    """The state of the training: w(t), the control point, its velocity, each as one vector."""

    def __init__(self, runner: ModelRunner, path: BezierCurve, how: CurveTraining) -> None:
        self.runner = runner
        self.path = path
        self.how = how
        layout = path.layout
        self.start, self.end = layout.flatten(path.start), layout.flatten(path.end)
        self.control_point = path.control_point.detach().clone()
        self.velocity = torch.zeros_like(self.control_point)
        self.point = torch.zeros_like(self.control_point)
        self.gradient = torch.zeros_like(self.control_point)
        self.leaves: dict[str, Tensor] = layout.views(self.point)
        for leaf, gradient in zip(
            self.leaves.values(), layout.views(self.gradient).values(), strict=True
        ):
            leaf.requires_grad_()
            leaf.grad = gradient
        self.inputs = list(self.leaves.values())
        self.weights = path.at(0) | self.leaves
        # BatchNorm needs the statistics of the whole batch
        self.divisible = not has_statistics(runner.network.module)
        limited = self.divisible and runner.output_bytes > 0
        # items per pass; fewer if memory runs out
        self.together = min(how.batch_size, runner.batch_size) if limited else how.batch_size
        self.other = [  # tensors that are not trained and differ between the ends
            name
            for name, tensor in path.start.items()
            if name not in layout.shapes and not torch.equal(tensor, path.end[name])
        ]

    def go(self, run: Run, items: Items, source: torch.Generator) -> TrainedCurve:
        """Make all steps, or stop early when the loss no longer improves."""
        check = self.how.check
        best, first, without, brake = math.inf, math.inf, 0, 1.0
        best_control_point = self.control_point.clone()
        batches = _endless(items, self.how.batch_size, source)
        for step in range(self.how.steps):
            if step in self.how.asked_after and self._is_enough(step):
                ended = self._ended(self.control_point, step, converged=False)
                return replace(ended, told=True)
            if check is not None and step % check.every == 0:
                loss = self._validate(run, check.items)
                first = loss if step == 0 else first
                without = 0 if loss + check.gain * abs(loss) < best else without + 1
                if loss < best:
                    best, best_control_point = loss, self.control_point.clone()
                is_early = step <= check.until * self.how.steps
                if without > check.patience and is_early:
                    return self._ended(best_control_point, step, converged=math.isfinite(best))
                if not loss <= first + abs(first):
                    self.control_point.copy_(best_control_point)
                    self.velocity.zero_()
                    brake /= 3
            t = float(torch.rand((), generator=source, dtype=torch.float64))
            self._step(run, next(batches), t, brake * self.how.rate(step / self.how.steps))
        if check is not None and not self._validate(run, check.items) <= first:
            return self._ended(best_control_point, self.how.steps, converged=False)
        return self._ended(self.control_point, self.how.steps, converged=check is None)

    def _ended(self, control_point: Tensor, steps: int, *, converged: bool) -> TrainedCurve:
        path = replace(self.path, control_point=control_point.detach().clone())
        return TrainedCurve(path=path, steps=steps, converged=converged)

    def _is_enough(self, step: int) -> bool:
        """Ask about the curve as it is; the network is evaluated meanwhile."""
        module = self.runner.network.module
        module.eval()
        try:
            return self.how.enough(self._ended(self.control_point, step, converged=False).path)
        finally:
            module.train()

    def _move_to(self, t: float) -> None:
        with torch.no_grad():
            torch.mul(self.start, (1 - t) ** 2, out=self.point)
            self.point.add_(self.control_point, alpha=2 * t * (1 - t)).add_(self.end, alpha=t**2)
            nearer = self.path.nearer(t)
            for name in self.other:
                self.weights[name].copy_(nearer[name])

    def _step(self, run: Run, items: Items, t: float, rate: float) -> None:
        self._move_to(t)
        together = min(self.together, len(items))
        within_memory(
            lambda together: self._differentiate(run, items, together),
            together,
            least=1 if self.divisible else together,
            what="in the training of a path",
        )
        self.runner.meter.add(ComputeCost(gradient=len(items)))
        how = self.how
        with torch.no_grad():
            self.gradient.add_(self.point, alpha=how.weight_decay)
            self.velocity.mul_(how.momentum).add_(self.gradient, alpha=2 * t * (1 - t))
            self.control_point.sub_(self.velocity, alpha=how.learning_rate * rate)

    def _differentiate(self, run: Run, items: Items, together: int) -> None:
        self.gradient.zero_()
        self.together = together
        for batch in self.runner.batches(items, together):
            loss = self.runner.losses(run(batch), batch).mean()
            if together < len(items):  # of a small network, each operation counts
                loss = loss * (size(batch) / len(items))
            if loss.requires_grad:  # else it does not depend on any weight
                torch.autograd.backward(loss, inputs=self.inputs)

    def _validate(self, run: Run, items: Items) -> float:
        """Compute the mean loss at a few points; infinity if it is not finite."""
        total, count = 0.0, 0
        with torch.no_grad(), batch_statistics(self.runner.network.module):
            for t in _VALIDATED_AT:
                self._move_to(t)
                for batch in batches_with_variance(self.runner, items):
                    total += float(self.runner.losses(run(batch), batch).mean()) * size(batch)
                    count += size(batch)
        self.runner.meter.add(ComputeCost(forward=count))
        return total / count if math.isfinite(total) else math.inf


def _endless(items: Items, batch_size: int, source: torch.Generator) -> Iterator[Items]:
    """Yield mini-batches forever, reshuffled in each epoch; a short last one is left out."""
    while True:
        order = torch.randperm(len(items), generator=source)
        full_count = max(len(items) // batch_size, 1) * batch_size
        for start in range(0, min(full_count, len(items)), batch_size):
            yield items.take(order[start : start + batch_size])

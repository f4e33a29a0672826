"""The training loop: SGD with momentum or AdamW, a learning rate schedule, optional augmentation.

    constant   rate
    cosine     rate (1 + cos(pi t)) / 2                 t: fraction of the steps done
    steps      rate / 10 from t = 1/2, rate / 100 from t = 3/4

A warm-up raises the rate linearly from zero over the first fraction of the steps.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.optim.sgd import sgd

from mdtree.batch import Batch
from mdtree.items import Items
from mdtree.network import Loss, Network
from mdtree.training.augmentation import augmented

__all__ = ["SCHEDULES", "FusedSgd", "Training", "steps_in", "train"]

Watch = Callable[[int, float], None]

SCHEDULES: Mapping[str, Callable[[float], float]] = {
    "constant": lambda _: 1.0,
    "cosine": lambda t: 0.5 * (1 + math.cos(math.pi * t)),
    "steps": lambda t: 1.0 if t < 0.5 else (0.1 if t < 0.75 else 0.01),  # noqa: PLR2004
}


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a network is trained."""

    batch_size: int
    learning_rate: float
    epochs: int = 1
    steps: int | None = None  # at most; None: no limit besides the epochs
    optimizer: Literal["sgd", "adamw"] = "sgd"
    momentum: float = 0.9  # of SGD
    weight_decay: float = 5e-4
    schedule: Literal["constant", "cosine", "steps"] = "constant"
    warmup: float = 0.0  # fraction of the steps
    augmentation: Literal["none", "shift", "shift_flip"] = "none"
    seed: int = 0  # of the initial weights and of the order of the data


def train(
    model: nn.Module,
    items: Items,
    loss: Loss,
    how: Training,
    place: Callable[[Batch], Batch] = lambda batch: batch,
    *,
    watch: Watch | None = None,
    moved: Callable[[float], None] | None = None,
) -> dict[str, Tensor]:
    """Train a module from its current weights.

    The last, smaller mini-batch of an epoch is dropped unless it is the only one.  The caller's
    random state is not changed.

    Args:
        model: The module; it ends in evaluation mode.
        items: The training data.
        loss: The loss; its mean over a mini-batch is minimised.
        how: Optimizer, schedule and seed.
        place: Moves a mini-batch to the module's device.
        watch: Called with each epoch and its mean loss; an error that it raises ends training.
        moved: Called after each step with the share of the steps that are done.

    Returns:
        A copy of the trained weights by name.
    """
    devices = list({p.device for p in model.parameters() if p.device.type == "cuda"})
    with torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(how.seed)  # of dropout, say
        for device in devices:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(how.seed)
        _train(model, items, loss, how, place, watch=watch, moved=moved)
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def steps_in(how: Training, items: int) -> int:
    """Count the steps of training on this many items."""
    steps = how.epochs * max(items // how.batch_size, 1)
    return steps if how.steps is None else min(steps, how.steps)


def _train(
    model: nn.Module,
    items: Items,
    loss: Loss,
    how: Training,
    place: Callable[[Batch], Batch],
    *,
    watch: Watch | None,
    moved: Callable[[float], None] | None,
) -> None:
    generator = torch.Generator().manual_seed(how.seed)
    network = Network(model.train())
    optimizer = _optimizer(model, how)
    done, total = 0, steps_in(how, len(items))
    for epoch in range(how.epochs):
        losses: list[Tensor] = []
        for batch in itertools.islice(_batches(items, how, generator), total - done):
            here = place(batch)
            optimizer.zero_grad()
            mean = loss(network.trained(here), here).mean()
            torch.autograd.backward(mean)
            optimizer.step(how.learning_rate * _factor(how, done, total))
            losses.append(mean.detach())
            done += 1
            if moved is not None:
                moved(done / total)
        if watch is not None and losses:
            watch(epoch, float(torch.stack(losses).mean()))
    model.eval()


class FusedSgd:
    """SGD for floating-point parameters on a CPU or a GPU, by torch's own fused kernel.

        v <- momentum v + (g + decay w),   w <- w - rate v

    For a small network, what torch's class does around each step (hooks, profiling and checks)
    takes as long as the forward pass.  The numbers are the same to the last bit.

    Args:
        parameters: What is trained.
        momentum: The share of the last step that is kept.
        weight_decay: The pull towards zero.
    """

    def __init__(
        self, parameters: Sequence[Tensor], *, momentum: float, weight_decay: float
    ) -> None:
        self._parameters = list(parameters)
        self._momentum, self._weight_decay = momentum, weight_decay
        self._velocities: list[Tensor | None] = [None] * len(self._parameters)

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self._parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Make a step; a parameter without a gradient stays as it is."""
        used = [n for n, parameter in enumerate(self._parameters) if parameter.grad is not None]
        for started in (True, False):  # the kernel begins all velocities at once, or none
            part = [n for n in used if (self._velocities[n] is not None) is started]
            if part:
                self._move(part, rate)

    def _move(self, part: Sequence[int], rate: float) -> None:
        gradients = [self._parameters[n].grad for n in part]
        velocities = [self._velocities[n] for n in part]
        sgd(
            [self._parameters[n] for n in part],
            gradients,  # type: ignore[arg-type]  # none of them is None
            velocities,
            has_sparse_grad=any(g is not None and g.is_sparse for g in gradients),
            fused=True,
            weight_decay=self._weight_decay,
            momentum=self._momentum,
            lr=rate,
            dampening=0.0,
            nesterov=False,
            maximize=False,
        )
        for n, velocity in zip(part, velocities, strict=True):
            self._velocities[n] = velocity


class _OfTorch:
    """An optimizer of torch, stepped as ours is."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self._optimizer = optimizer

    def zero_grad(self) -> None:
        """Forget the gradients."""
        self._optimizer.zero_grad(set_to_none=True)

    def step(self, rate: float) -> None:
        """Make a step."""
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._optimizer.step()


def _optimizer(model: nn.Module, how: Training) -> FusedSgd | _OfTorch:
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    # One call for all parameters: the overhead of a call counts for small networks.
    fused = all(p.is_floating_point() and p.device.type in ("cpu", "cuda") for p in parameters)
    rate, decay = how.learning_rate, how.weight_decay
    if how.optimizer == "adamw":
        return _OfTorch(torch.optim.AdamW(parameters, lr=rate, weight_decay=decay, fused=fused))
    if fused and parameters:
        return FusedSgd(parameters, momentum=how.momentum, weight_decay=decay)
    return _OfTorch(torch.optim.SGD(parameters, lr=rate, momentum=how.momentum, weight_decay=decay))


def _factor(how: Training, done: int, total: int) -> float:
    warm = how.warmup * total
    begun = min(1.0, (done + 1) / warm) if warm > 0 else 1.0
    return begun * SCHEDULES[how.schedule](done / total)


def _batches(items: Items, how: Training, generator: torch.Generator) -> Iterator[Batch]:
    """Yield the mini-batches of one epoch."""
    shuffled = items.take(torch.randperm(len(items), generator=generator))
    for number, batch in enumerate(shuffled.batches(how.batch_size)):
        if number > 0 and (number + 1) * how.batch_size > len(items):
            break
        yield augmented(batch, how.augmentation, generator)

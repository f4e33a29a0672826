"""Training one member of a zoo: SGD with momentum, constant learning rate, no augmentation."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mdtree.batch import Batch
from mdtree.datasets import Items
from mdtree.losses import Loss
from mdtree.models import Network

__all__ = ["Training", "train"]


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a member is trained."""

    batch_size: int
    learning_rate: float
    epochs: int = 1
    steps: int | None = None  # at most; None: as many as the epochs have
    momentum: float = 0.9
    weight_decay: float = 5e-4
    seed: int = 0  # of the first weights and of the order of the data


def train(
    model: nn.Module,
    items: Items,
    loss: Loss,
    how: Training,
    place: Callable[[Batch], Batch] = lambda batch: batch,
) -> dict[str, Tensor]:
    """Train a module from the weights that it has, and give its weights by name.

    The last, smaller batch of an epoch is dropped unless it is the only one.  `place` brings a
    batch to where the module is.  The caller's random numbers are left alone.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(how.seed)  # of dropout, say
        _train(model, items, loss, how, place)
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def _train(
    model: nn.Module,
    items: Items,
    loss: Loss,
    how: Training,
    place: Callable[[Batch], Batch],
) -> None:
    generator = torch.Generator().manual_seed(how.seed)
    network = Network(model.train())
    optimizer = torch.optim.SGD(
        model.parameters(),
        lr=how.learning_rate,
        momentum=how.momentum,
        weight_decay=how.weight_decay,
    )
    for batch in itertools.islice(_batches(items, how, generator), how.steps):
        here = place(batch)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss(network.trained(here), here).mean())
        optimizer.step()
    model.eval()


def _batches(items: Items, how: Training, generator: torch.Generator) -> Iterator[Batch]:
    for _ in range(how.epochs):
        shuffled = items.take(torch.randperm(len(items), generator=generator))
        for number, batch in enumerate(shuffled.batches(how.batch_size)):
            if number > 0 and (number + 1) * how.batch_size > len(items):
                break
            yield batch

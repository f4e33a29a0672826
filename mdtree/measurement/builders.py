"""The parts of a task: network, data, loss and training, made from the words of its recipe."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from pathlib import Path

import torch

from mdtree.checkpoints import is_adapter, read_adapter_config, trained_labels
from mdtree.datasets import Data, clear_shared_data, shared_data
from mdtree.landscape import ModelRunner
from mdtree.losses import build_loss, head_of
from mdtree.measurement.fitting import Fitted, fitted
from mdtree.measurement.task import GroupTask, describing_folder
from mdtree.models import Head, Network, build_network
from mdtree.recipes import Keyed, ModelSpec, Trust, bind
from mdtree.rows import Fact
from mdtree.rows.training_words import is_adaptive
from mdtree.training.loop import Training

__all__ = [
    "clear_caches",
    "group_data",
    "group_fitted",
    "group_network",
    "group_runner",
    "group_training",
]

_TRAINING = ("batch_size", "learning_rate", "momentum", "weight_decay")


def group_network(task: GroupTask) -> Network:
    """Make the group's network."""
    spec = bind(task.recipe.model, task.facts)
    folder = describing_folder(task)
    return _network(Keyed.of(spec), task.trust, folder, _head(task), task.dtype)


def group_runner(task: GroupTask) -> ModelRunner:
    """Say how the group's network is run; the network is brought to the device."""
    network = group_network(task)
    device = torch.device(task.device)
    if any(p.device != device for p in (*network.module.parameters(), *network.module.buffers())):
        network.module.to(device)  # takes a moment even where there is nothing to move
    return ModelRunner(
        network=network,
        loss=build_loss(
            bind(task.recipe.loss, task.facts), task.trust, head=head_of(network.module)
        ),
        batch_size=task.recipe.batch_size,
        device=device,
        dtype=None if task.dtype is None else getattr(torch, task.dtype),
    )


def group_data(task: GroupTask) -> Data:
    """Read the group's data, once for all groups that share them."""
    spec = bind(task.recipe.data, task.facts)
    return shared_data(
        spec,
        task.folder,
        trust=task.trust,
        allow_download=task.allow_download,
        digest=task.data_digest,
    )


def group_fitted(task: GroupTask) -> Fitted:
    """Hold the group's data to its network."""
    return fitted(group_runner(task), group_data(task))


def group_training(task: GroupTask) -> Training | None:
    """Say how the group was trained: as the recipe says it, or else as facts say it in full."""
    if task.recipe.training is None:
        return _training_of(task.facts)
    spec = bind(task.recipe.training, task.facts)
    return Training(
        batch_size=int(spec.batch_size),
        learning_rate=float(spec.learning_rate),
        momentum=float(spec.momentum),
        weight_decay=float(spec.weight_decay),
    )


def _training_of(facts: Mapping[str, Fact]) -> Training | None:
    """Return the SGD that facts tell; nothing is guessed."""
    optimizer = facts.get("optimizer")
    if not isinstance(optimizer, str) or is_adaptive(optimizer) is not False:
        return None
    known = [facts.get(name) for name in _TRAINING]
    numbers = [value for value in known if isinstance(value, int | float) and value >= 0]
    if len(numbers) < len(_TRAINING) or not all(map(math.isfinite, numbers)) or numbers[0] < 1:
        return None
    batch, rate, momentum, decay = numbers
    return Training(
        batch_size=int(batch), learning_rate=rate, momentum=momentum, weight_decay=decay
    )


def clear_caches() -> None:
    """Drop the network and the data that are kept between groups."""
    _network.cache_clear()
    clear_shared_data()


def _head(task: GroupTask) -> Head | None:
    """Say what an adapter tells of the head that it was trained with."""
    first = task.files[0]
    if not is_adapter(first):
        return None
    config = read_adapter_config(first)
    return Head(task=config.task, architecture=config.architecture, labels=trained_labels(first))


@functools.lru_cache(maxsize=1)
def _network(
    spec: Keyed[ModelSpec],
    trust: Trust,
    folder: Path | None,
    head: Head | None,
    dtype: str | None,
) -> Network:
    """Build the network that groups of one architecture share: it is run at their own weights."""
    network = build_network(spec.part, trust=trust, folder=folder, head=head)
    if dtype is not None:
        network.module.to(getattr(torch, dtype))
    return network

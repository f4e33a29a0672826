"""What every metric gets and gives.

A metric is a function of a subject.  It touches no disk, no command line and no other metric.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from mdtree.datasets import Data
from mdtree.losses import Loss
from mdtree.measurements import Value
from mdtree.models import Network, Weights

__all__ = ["Metric", "Subject", "Workload"]


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A group, ready to be measured. The weights already lie on the device."""

    network: Network
    members: Mapping[str, Weights]  # name -> weights, in order of name
    data: Data
    loss: Loss
    batch_size: int  # items in one forward pass
    device: torch.device
    protocol: str
    seed: int


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What a metric will meet: enough to tell its cost beforehand."""

    members: int
    train_items: int
    test_items: int
    protocol: str


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One entry of the table of metrics."""

    name: str
    quantities: tuple[str, ...]  # names in the vocabulary
    compute: Callable[[Subject], Mapping[str, Value]]
    cost: Callable[[Workload], float]  # forward passes of one item

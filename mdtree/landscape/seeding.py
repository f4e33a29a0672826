"""Seeding: each purpose in a measurement has its own seed, so that purposes stay independent."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

from mdtree.items import Items, in_memory
from mdtree.landscape.runner import ModelRunner

__all__ = ["derive_seed", "draw", "generator"]


def derive_seed(seed: int, *words: object) -> int:
    """Derive a seed for one purpose: the same on every machine, and different for each purpose."""
    text = "\0".join(str(word) for word in (seed, *words))
    return int.from_bytes(hashlib.sha256(text.encode(errors="replace")).digest()[:7], "big")


def generator(seed: int, *words: object) -> torch.Generator:
    """Create a generator for one purpose, on the CPU, so that its numbers depend on no device."""
    return torch.Generator().manual_seed(derive_seed(seed, *words))


def draw(runner: ModelRunner, items: Items, count: int, source: torch.Generator) -> Items:
    """Draw `count` items without replacement, or all if there are fewer.

    They are decoded once, so that every pass over them sees the same items.

    Args:
        runner: Items in memory are moved to its device.
        items: The items to draw from.
        count: How many to draw.
        source: The source of random numbers.
    """
    chosen: Tensor = torch.randperm(len(items), generator=source)[:count]
    return runner.here(in_memory(items.take(chosen)))

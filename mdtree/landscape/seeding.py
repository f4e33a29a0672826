"""Seeding: every random number of a measurement has a seed of its own, and leaves others alone."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

from mdtree.items import Items, in_memory
from mdtree.landscape.runner import ModelRunner

__all__ = ["derive_seed", "draw", "generator"]


def derive_seed(seed: int, *words: object) -> int:
    """Make a seed for one purpose: the same on every machine, and unlike that of other purposes."""
    text = "\0".join(str(word) for word in (seed, *words))
    return int.from_bytes(hashlib.sha256(text.encode(errors="replace")).digest()[:7], "big")


def generator(seed: int, *words: object) -> torch.Generator:
    """Make a source of random numbers for one purpose, on the CPU: devices then draw alike."""
    return torch.Generator().manual_seed(derive_seed(seed, *words))


def draw(runner: ModelRunner, items: Items, count: int, source: torch.Generator) -> Items:
    """Choose `count` items without replacement, or all if there are no more.

    They are decoded once: what reads them many times sees the same items in every pass.
    """
    chosen: Tensor = torch.randperm(len(items), generator=source)[:count]
    return runner.here(in_memory(items.take(chosen)))

"""Reproducibility: a measurement gives the same numbers again, and leaves nothing changed.

Each purpose in a measurement has its own seed, so that purposes stay independent.  Modes, random
state and precision are restored afterwards; weights, gradients and buffers are safe anyway,
because networks run at copies of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from mdtree.items import Items, in_memory
from mdtree.landscape.runner import ModelRunner

__all__ = ["derive_seed", "draw", "generator", "preserved_state"]


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


@contextmanager
def preserved_state(runner: ModelRunner, seed: int) -> Iterator[None]:
    """Restore the module's mode and torch's global settings after the context.

    Inside, the module is in evaluation mode, random numbers (such as those of dropout) start at
    `seed`, matrix products are not rounded to TF32, and cuDNN uses deterministic kernels.
    """
    module, device = runner.network.module, runner.device
    modes = [(inner, inner.training) for inner in module.modules()]
    devices = [device] if device.type == "cuda" else []
    with (
        torch.random.fork_rng(devices=devices),
        _full_precision(),
        _same_kernels(),
        torch.enable_grad(),
    ):
        torch.default_generator.manual_seed(seed)
        if devices:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        try:
            if any(training for _, training in modes):
                module.eval()
            yield
        finally:
            _restore(modes)


def _restore(modes: list[tuple[nn.Module, bool]]) -> None:
    for inner, training in modes:
        if inner.training != training:
            inner.training = training


@contextmanager
def _same_kernels() -> Iterator[None]:
    cudnn: Any = torch.backends.cudnn
    before = cudnn.deterministic, cudnn.benchmark
    cudnn.deterministic, cudnn.benchmark = True, False
    try:
        yield
    finally:
        cudnn.deterministic, cudnn.benchmark = before


@contextmanager
def _full_precision() -> Iterator[None]:
    """Turn TF32 off with the switches already in use: torch has two sets that must not be mixed."""
    products: Any = torch.backends.cuda.matmul
    cudnn: Any = torch.backends.cudnn
    places = [products, cudnn]
    switch: tuple[str, object] = ("allow_tf32", False)
    try:
        before = [getattr(place, switch[0]) for place in places]
    except RuntimeError:  # the newer switches are in use
        places = [products, cudnn.conv, cudnn.rnn]
        switch = ("fp32_precision", "ieee")
        before = [getattr(place, switch[0]) for place in places]
    try:
        for place in places:
            setattr(place, *switch)
        yield
    finally:
        for place, value in zip(places, before, strict=True):
            setattr(place, switch[0], value)

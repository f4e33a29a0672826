"""Preserved state: modes, random numbers and precision are afterwards as they were before.

Weights, gradients and buffers need no care: networks are run at copies of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from mdtree.landscape.runner import ModelRunner

__all__ = ["preserved_state"]


@contextmanager
def preserved_state(runner: ModelRunner, seed: int) -> Iterator[None]:
    """Work with the runner's module and global settings, and leave them as they were before.

    Inside, the module is in evaluation mode, random numbers (of dropout, say) start at `seed`,
    matrix products are not rounded to TF32, and cuDNN takes the same kernels in every run, which
    add in the same order.
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
            module.eval()
            yield
        finally:
            _restore(modes)


def _restore(modes: list[tuple[nn.Module, bool]]) -> None:
    for inner, training in modes:
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
    """Turn TF32 off by the switches that the program uses: torch has two sets, not to be mixed."""
    products: Any = torch.backends.cuda.matmul
    cudnn: Any = torch.backends.cudnn
    places = [products, cudnn]
    switch: tuple[str, object] = ("allow_tf32", False)
    try:
        before = [getattr(place, switch[0]) for place in places]
    except RuntimeError:  # the newer ones have been used
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

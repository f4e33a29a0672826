"""Preserved state: modes, random state and precision are restored after a measurement.

Weights, gradients and buffers are safe anyway, because networks run at copies of them.
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

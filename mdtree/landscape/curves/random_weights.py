"""Random weights, with which the published curves start.

Convolutions and linear layers: U(-k, k) with k = 1 / sqrt(fan in), also for the bias;
normalisation: scale U(0, 1), shift 0.  They are drawn from the shapes of the tensors, so they work
for any module.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mdtree.landscape.parameters import ParameterLayout

__all__ = ["random_weights"]


def random_weights(layout: ParameterLayout, like: Tensor, source: torch.Generator) -> Tensor:
    """Draw a vector of weights.

    Args:
        layout: The names and shapes of the parameters.
        like: A tensor with the device and dtype of the result.
        source: The source of random numbers.
    """
    parts = [
        _drawn(name, shape, layout, source).reshape(-1) for name, shape in layout.shapes.items()
    ]
    return torch.cat(parts).to(like)


def _drawn(
    name: str, shape: torch.Size, layout: ParameterLayout, source: torch.Generator
) -> Tensor:
    if len(shape) > 1:
        return _uniform(shape, _bound(shape), source)
    home, _, last = name.rpartition(".")
    own = layout.shapes.get(f"{home}.weight" if home else "weight")
    if own is not None and len(own) > 1:  # the bias of a convolution or a linear layer
        return _uniform(shape, _bound(own), source)
    if "bias" in last:
        return torch.zeros(shape)
    return torch.rand(shape, generator=source)


def _bound(shape: torch.Size) -> float:
    return 1 / math.sqrt(max(math.prod(shape[1:]), 1))


def _uniform(shape: torch.Size, bound: float, source: torch.Generator) -> Tensor:
    return (2 * torch.rand(shape, generator=source) - 1) * bound

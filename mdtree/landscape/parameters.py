"""The trainable parameters, as one vector."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mdtree.network import Network, Weights

__all__ = ["ParameterLayout", "trainable_parameters"]


@dataclass(frozen=True)
class ParameterLayout:
    """The order and shapes of the tensors in the vector."""

    shapes: Mapping[str, torch.Size]

    @property
    def size(self) -> int:
        """Length of the vector."""
        return sum(math.prod(shape) for shape in self.shapes.values())

    def flatten(self, weights: Weights) -> Tensor:
        """Copy tensors into one vector."""
        return self.joined([weights[name] for name in self.shapes])

    def joined(self, tensors: Sequence[Tensor]) -> Tensor:
        """Copy tensors, in the order of the names, into one vector."""
        return torch.cat([tensor.detach().reshape(-1) for tensor in tensors])

    def views(self, vector: Tensor) -> dict[str, Tensor]:
        """Return the tensors as views of a vector."""
        parts = torch.split(vector, [math.prod(shape) for shape in self.shapes.values()])
        return {
            name: part.view(shape)
            for (name, shape), part in zip(self.shapes.items(), parts, strict=True)
        }


def trainable_parameters(network: Network) -> ParameterLayout:
    """Return the layout of the trainable parameters; a shared one is under its first name."""
    named = network.module.named_parameters()
    return ParameterLayout({name: weight.shape for name, weight in named if weight.requires_grad})

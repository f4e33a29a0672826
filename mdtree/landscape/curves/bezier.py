"""A path between two networks: a quadratic Bezier curve in weight space.

    w(t) = (1-t)^2 a + 2t(1-t) b + t^2 c,      0 <= t <= 1

with the ends a and c and one control point b; with b = (a + c) / 2 it is the straight line.  Frozen
parameters and buffers are those of the nearer end.

Garipov et al. 2018, arXiv 1802.10026.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from mdtree.exceptions import MismatchError
from mdtree.landscape.parameters import ParameterLayout
from mdtree.network import Weights

__all__ = ["BezierCurve", "random_weights", "straight_line"]


@dataclass(frozen=True, kw_only=True)
class BezierCurve:
    """Two ends, and the control point as a vector."""

    layout: ParameterLayout
    start: Weights
    end: Weights
    control_point: Tensor  # (n,)

    def __post_init__(self) -> None:
        """Refuse ends that belong to different networks."""
        start, end = (
            {(name, tensor.shape) for name, tensor in weights.items()}
            for weights in (self.start, self.end)
        )
        if start != end:
            names = sorted({name for name, _ in start ^ end})
            raise MismatchError(
                "both ends of a path must have the same tensors in the same shapes; "
                f"these differ: {', '.join(names)}"
            )

    def nearer(self, t: float) -> Weights:
        """Return the end that is nearer to t."""
        return self.start if t < 0.5 else self.end  # noqa: PLR2004 - the middle

    def at(self, t: float) -> dict[str, Tensor]:
        """Return a copy of the weights at t; at 0 and 1 they equal the ends bit for bit."""
        weights = {name: tensor.detach().clone() for name, tensor in self.nearer(t).items()}
        if 0 < t < 1:
            a, c = self.layout.flatten(self.start), self.layout.flatten(self.end)
            point = (1 - t) ** 2 * a + 2 * t * (1 - t) * self.control_point + t**2 * c
            weights |= self.layout.views(point)
        return weights


def straight_line(layout: ParameterLayout, start: Weights, end: Weights) -> BezierCurve:
    """Return the straight line between two networks.

    Raises:
        MismatchError: The networks have different tensors.
    """
    control_point = (layout.flatten(start) + layout.flatten(end)) / 2
    return BezierCurve(layout=layout, start=start, end=end, control_point=control_point)


def random_weights(layout: ParameterLayout, like: Tensor, source: torch.Generator) -> Tensor:
    """Draw random weights, which are the control points that the published curves start with.

    Convolutions and linear layers: U(-k, k) with k = 1 / sqrt(fan in), also for the bias;
    normalisation: scale U(0, 1), shift 0.  They are drawn from the shapes of the tensors, so they
    work for any module.

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

"""Written signs: each class is a pen stroke, bent, rotated and shifted at random for each item."""

from __future__ import annotations

import torch
from torch import Tensor

from mdtree.datasets.reference.halves import (
    Halves,
    even_labels,
    generator,
    halved,
    refuse_endless,
    refuse_less,
)

__all__ = ["strokes"]

_POINTS = 6  # that the pen goes through
_STEPS = 24  # points on a line
_BLOCK = 512  # images drawn at a time
_THICK = 0.14  # thickness of the pen; half an image is 1


def strokes(
    *,
    classes: int = 10,
    side: int = 12,
    bend: float = 0.15,
    noise: float = 0.1,
    train: int = 4096,
    test: int = 2500,
    seed: int = 0,
) -> Halves:
    """Draw grey images of signs; `bend` is how far the pen strays from the sign of its class.

    x(p) = exp(-(distance of p to the line)^2 / thickness^2) + noise e
    """
    refuse_less(1, classes=classes, side=side, train=train, test=test)
    refuse_endless(bend=bend, noise=noise)
    random = generator(seed)
    signs = 1.2 * torch.rand(classes, _POINTS, 2, generator=random) - 0.6
    y = even_labels(train, test, classes, random)
    points = signs[y] + bend * torch.randn(len(y), _POINTS, 2, generator=random)
    turn = 0.15 * torch.randn(len(y), generator=random)
    size = 1 + 0.1 * torch.randn(len(y), 1, 1, generator=random)
    moved = 0.08 * torch.randn(len(y), 1, 2, generator=random)
    turned = torch.stack([turn.cos(), -turn.sin(), turn.sin(), turn.cos()], 1).reshape(-1, 2, 2)
    lines = size * (points @ turned) + moved
    x = torch.cat([_drawn(block, side) for block in torch.split(lines, _BLOCK)])
    x += noise * torch.randn(x.shape, generator=random)
    return halved(x.unsqueeze(1), y, train)


def _drawn(points: Tensor, side: int) -> Tensor:
    """Draw a Bezier curve for each list of control points."""
    t = torch.linspace(0, 1, _STEPS)
    points = points.unsqueeze(1).expand(-1, _STEPS, -1, -1)
    while points.shape[2] > 1:  # de Casteljau
        points = torch.lerp(points[:, :, :-1], points[:, :, 1:], t.reshape(1, -1, 1, 1))
    line = points.squeeze(2)
    grid = torch.linspace(-1, 1, side)
    pixels = torch.stack(torch.meshgrid(grid, grid, indexing="ij"), -1).reshape(-1, 2)
    away = torch.cdist(pixels.expand(len(line), -1, -1), line).amin(2)
    return torch.exp(-((away / _THICK) ** 2)).reshape(-1, side, side)

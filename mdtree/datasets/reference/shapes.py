"""Nested shapes: one of three shapes with a hole of one of three shapes, rotated and shifted."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mdtree.datasets.reference.halves import Halves, even_labels, generator, halved

__all__ = ["shapes"]

_KINDS = 3  # disc, square, triangle


def shapes(
    *, side: int = 14, noise: float = 0.15, train: int = 4096, test: int = 2500, seed: int = 0
) -> Halves:
    """Draw grey images of nine classes, y = 3 (outer shape) + (shape of the hole).

    x = a (inside the outer shape, outside the hole) + b + noise e, with soft edges
    """
    random = generator(seed)
    y = even_labels(train, test, _KINDS**2, random)
    count = len(y)
    middle = _between(count, -0.2, 0.2, random), _between(count, -0.2, 0.2, random)
    radius = _between(count, 0.6, 0.8, random)
    outer = _filled(y // _KINDS, middle, radius, side, random)
    hole = _filled(y % _KINDS, middle, 0.5 * radius, side, random)
    bright, ground = _between(count, 0.5, 1.0, random), _between(count, 0.0, 0.4, random)
    x = bright * outer * (1 - hole) + ground
    x += noise * torch.randn(x.shape, generator=random)
    return halved(x.unsqueeze(1), y, train)


def _between(count: int, low: float, high: float, random: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(count, 1, 1, generator=random)


def _filled(
    kind: Tensor, middle: tuple[Tensor, Tensor], radius: Tensor, side: int, random: torch.Generator
) -> Tensor:
    """Return 1 inside a shape and 0 outside, with an edge of about a pixel.

    Distances to the edge: |p| - r (disc), max|p_i| - 0.85 r (square), max_k <p, n_k> - 0.6 r
    (triangle; its three normals n_k are 120 degrees apart).
    """
    line = torch.linspace(-1, 1, side)
    across, down = line.reshape(1, 1, -1) - middle[0], line.reshape(1, -1, 1) - middle[1]
    turn = _between(len(kind), 0, 2 * math.pi, random)
    u = across * turn.cos() + down * turn.sin()
    v = down * turn.cos() - across * turn.sin()
    normals = [2 * math.pi * k / 3 for k in range(3)]
    sides = torch.stack([u * math.cos(a) + v * math.sin(a) for a in normals])
    away = torch.stack(
        [
            (u**2 + v**2).sqrt() - radius,
            torch.maximum(u.abs(), v.abs()) - 0.85 * radius,
            sides.amax(0) - 0.6 * radius,
        ]
    )
    return torch.sigmoid(-side * away[kind, torch.arange(len(kind))])

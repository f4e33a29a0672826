"""Rendered images: grey letters, rotated, sheared, scaled and shifted, with noise."""

from __future__ import annotations

import torch

from mdtree.datasets.reference.halves import Halves, even_labels, generator, halved
from mdtree.datasets.reference.letters import drawn_letters, moved, random_moves

__all__ = ["glyphs"]


def glyphs(
    *,
    classes: int = 26,
    first: int = 0,
    side: int = 12,
    noise: float = 0.1,
    strength: float = 1.0,
    train: int = 4096,
    test: int = 2500,
    seed: int = 0,
) -> Halves:
    """Draw the letters from number `first` on; `strength` scales their transformations.

    x = a glyph(A p + b) + c + noise e;  A and b are random moves, a and c are contrast and
    background
    """
    drawn = drawn_letters(first, classes)
    random = generator(seed)
    y = even_labels(train, test, classes, random)
    font = torch.randint(len(drawn), y.shape, generator=random)
    x = moved(drawn[font, y], random_moves(len(y), strength, random), side)
    contrast = 0.5 + 0.5 * torch.rand(len(y), 1, 1, 1, generator=random)
    ground = 0.3 * torch.rand(len(y), 1, 1, 1, generator=random)
    x = contrast * x + ground + noise * torch.randn(x.shape, generator=random)
    return halved(x, y, train)

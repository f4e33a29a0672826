"""Scenes: a coloured letter before a coloured ground, with parts of other letters beside it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mdtree.datasets.reference.halves import (
    Halves,
    even_labels,
    generator,
    halved,
    refuse_endless,
    refuse_less,
)
from mdtree.datasets.reference.letters import drawn_letters, moved, random_moves

__all__ = ["scenes"]

_COLOURS = 3
_PATCHES = 3  # along each side of the ground
_LEAST, _MOST = 0.5, 1.0  # how far the colour of the letters is from that of the ground


def scenes(
    *,
    classes: int = 10,
    first: int = 0,
    side: int = 32,
    noise: float = 0.1,
    clutter: float = 0.3,
    strength: float = 1.0,
    train: int = 4096,
    test: int = 2500,
    seed: int = 0,
) -> Halves:
    """Draw images (3, side, side); the class is the letter in the middle.

    x = ground + (ink - ground) letters + noise e;  the ground goes smoothly from patch to patch,
    whose colours are `clutter` apart; a letter on either side, of any class, reaches into the image
    """
    refuse_less(1, classes=classes, side=side, train=train, test=test)
    refuse_endless(noise=noise, clutter=clutter, strength=strength)
    drawn = drawn_letters(first, classes)
    random = generator(seed)
    y = even_labels(train, test, classes, random)
    count = len(y)
    colour = torch.rand(count, _COLOURS, 1, 1, generator=random)
    patches = clutter * torch.randn(count, _COLOURS, _PATCHES, _PATCHES, generator=random)
    ground = F.interpolate(colour + patches, (side, side), mode="bilinear", align_corners=False)
    ink = colour + _contrast(count, random)
    font = torch.randint(len(drawn), y.shape, generator=random)
    letters = moved(drawn[font, y], random_moves(count, strength, random), side)
    for direction in (-1, 1):
        other = torch.randint(classes, y.shape, generator=random)
        moves = random_moves(count, strength, random)
        moves[:, 0, 2] += direction * (1.1 + 0.4 * torch.rand(count, generator=random))
        letters = torch.maximum(letters, moved(drawn[font, other], moves, side))
    x = ground + (ink - ground) * letters
    x += noise * torch.randn(x.shape, generator=random)
    return halved(x, y, train)


def _contrast(count: int, random: torch.Generator) -> Tensor:
    """Draw a difference of colours for each image."""
    direction = F.normalize(torch.randn(count, _COLOURS, 1, 1, generator=random), dim=1)
    return direction * (_LEAST + (_MOST - _LEAST) * torch.rand(count, 1, 1, 1, generator=random))

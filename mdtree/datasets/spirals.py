"""Spirals: points on spiral arms, the data of the demo; not used in the reference collection."""

from __future__ import annotations

import math

import torch

from mdtree.datasets.reference.halves import Halves, even_labels, generator, halved

__all__ = ["spirals"]


def spirals(
    *,
    arms: int = 4,
    turns: float = 0.75,
    noise: float = 0.05,
    distractors: int = 2,
    train: int = 4096,
    test: int = 4000,
    seed: int = 0,
) -> Halves:
    """Classify points by the arm of a spiral that they are on; further columns are distractors.

    x = (r cos a, r sin a) + noise e, then distractors;  a = 2 pi (y / arms + turns r),
    r = sqrt(uniform in 0.04..1): uniform on the disc;  e and the distractors are standard normal
    """
    random = generator(seed)
    y = even_labels(train, test, arms, random)
    radius = (0.04 + 0.96 * torch.rand(len(y), generator=random)).sqrt()
    angle = 2 * math.pi * (y / arms + turns * radius)
    arm = torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1)
    point = 2 * (arm + noise * torch.randn(len(y), 2, generator=random))
    beside = torch.randn(len(y), distractors, generator=random)
    return halved(torch.cat([point, beside], dim=1), y, train)

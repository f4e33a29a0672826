"""One-dimensional signals: a template for each class, at a random place, in noise."""

from __future__ import annotations

import torch
from torch import Tensor

from mdtree.datasets.reference.halves import Halves, even_labels, generator, halved

__all__ = ["signals"]

_SMOOTH = 5  # samples over which a template is a running mean
_SCALES = (0.6, 1.4)


def signals(
    *,
    classes: int = 10,
    length: int = 48,
    span: int = 24,
    noise: float = 0.6,
    train: int = 4096,
    test: int = 2500,
    seed: int = 0,
) -> Halves:
    """Classify signals by the smooth template hidden in noise.

    x(t) = a f_y(t - s) + noise e(t);  a from 0.6 to 1.4, s from 0 to length - span
    """
    random = generator(seed)
    templates = _templates(classes, span, random)
    y = even_labels(train, test, classes, random)
    scale = _SCALES[0] + (_SCALES[1] - _SCALES[0]) * torch.rand(len(y), 1, generator=random)
    start = torch.randint(length - span + 1, (len(y), 1), generator=random)
    x = noise * torch.randn(len(y), length, generator=random)
    x.scatter_add_(1, start + torch.arange(span), scale * templates[y])
    return halved(x, y, train)


def _templates(classes: int, span: int, random: torch.Generator) -> Tensor:
    """Draw running means of white noise, each with mean 0 and standard deviation 1."""
    white = torch.randn(classes, span + _SMOOTH - 1, generator=random)
    smooth = white.unfold(1, _SMOOTH, 1).mean(2)
    centred = smooth - smooth.mean(1, keepdim=True)
    return centred / centred.std(1, keepdim=True)

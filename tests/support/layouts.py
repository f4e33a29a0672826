"""Pictures with the channels last, and networks that look at how their inputs lie in memory."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mdtree.models import cnn

NEEDS_ONEDNN = pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(), reason="this torch has no oneDNN"
)


def lies_last(tensor):
    """Return whether the channels of an item are beside each other: strides alone can tell."""
    return tensor.stride(1) == 1 and tensor.stride(3) == tensor.shape[1]


def behind(*parts):
    """Put layers behind convolutions that are wide enough."""
    return nn.Sequential(nn.Conv2d(1, 16, 3), nn.ReLU(), *parts)


class Viewed(nn.Module):
    """A network that calls view on its maps: always, or in training only."""

    def __init__(self, *, classes=3, in_training_only=False):
        super().__init__()
        self.inner, self.last = nn.Conv2d(1, 16, 3), nn.Linear(576, classes)
        self.in_training_only = in_training_only

    def forward(self, x):
        maps = self.inner(x)
        if self.in_training_only and not self.training:
            return self.last(maps.flatten(1))
        return self.last(maps.view(len(x), -1))


class Identity(torch.autograd.Function):
    """The identity, to which others add a derivative of their own."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()


class ViewedInBackward(Identity):
    """Its derivative calls view."""

    @staticmethod
    def backward(ctx, gradient):
        return gradient.view(-1).view(gradient.shape)


class OfStrides(nn.Module):
    """A network whose output depends on how its input lies."""

    def __init__(self):
        super().__init__()
        self.inner = cnn(width=8, classes=3)

    def forward(self, x):
        return self.inner(x) * (1 + x.stride(1))


class GradientOfStrides(Identity):
    """Its derivative is twice as large for what lies otherwise."""

    @staticmethod
    def backward(ctx, gradient):
        return gradient if gradient.is_contiguous() else 2 * gradient


class Applied(nn.Module):
    """A function of autograd behind a convolution."""

    def __init__(self, function):
        super().__init__()
        self.inner, self.function = nn.Conv2d(1, 16, 3), function
        self.last = nn.Sequential(nn.Conv2d(16, 4, 3), nn.Flatten(), nn.Linear(64, 3))

    def forward(self, x):
        return self.last(self.function.apply(self.inner(x)))


LOOKING = {
    "view": Viewed,
    "view in training": lambda: Viewed(in_training_only=True),
    "view in the derivative": lambda: Applied(ViewedInBackward),
    "strides": OfStrides,
    "strides in the derivative": lambda: Applied(GradientOfStrides),
    "memory order": lambda: behind(Noisy(), nn.Flatten(), nn.Linear(576, 3)),
}


class Noisy(nn.Module):
    """Adds numbers that are drawn in the order of memory, in evaluation as well."""

    def forward(self, x):
        return x + torch.randn_like(x)

"""Two small networks, for first steps and tests."""

from __future__ import annotations

from torch import nn

__all__ = ["cnn", "mlp"]


def cnn(width: int = 8, classes: int = 10, channels: int = 1) -> nn.Module:
    """Build two convolutions with batch normalisation, average pooling and a linear layer.

    Args:
        width: The channels of the first convolution; the second has twice as many.
        classes: The number of outputs.
        channels: The channels of the images.
    """
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(width, 2 * width, 3, padding=1),
        nn.BatchNorm2d(2 * width),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(8 * width, classes),
    )


def mlp(inputs: int = 64, width: int = 32, depth: int = 1, classes: int = 10) -> nn.Module:
    """Build a multilayer perceptron on flattened inputs.

    Args:
        inputs: The numbers of one item.
        width: The units of a hidden layer.
        depth: The number of hidden layers.
        classes: The number of outputs.
    """
    layers: list[nn.Module] = [nn.Flatten()]
    features = inputs
    for _ in range(depth):
        layers += [nn.Linear(features, width), nn.ReLU()]
        features = width
    return nn.Sequential(*layers, nn.Linear(features, classes))

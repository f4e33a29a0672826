"""The architectures that mdtree builds itself: ResNet-18 at any width, and two small networks.

ResNet-18 is that of the CIFAR family: a 3x3 stem with k channels, four stages of two basic blocks
with k, 2k, 4k and 8k channels at strides 1, 2, 2 and 2, global average pooling, and one linear
layer.  Width k = 64 is the usual network; the zoo of the MD tree paper has k = 2 ... 128.

He et al.: "Deep Residual Learning for Image Recognition", arXiv 1512.03385.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["ResNet", "cnn", "mlp", "resnet18"]


class BasicBlock(nn.Module):
    """y = relu(BN(conv(relu(BN(conv(x))))) + shortcut(x))."""

    def __init__(self, channels_in: int, channels: int, *, stride: int) -> None:
        super().__init__()
        self.conv1: nn.Conv2d = nn.Conv2d(
            channels_in, channels, 3, stride=stride, padding=1, bias=False
        )
        self.norm1: nn.BatchNorm2d = nn.BatchNorm2d(channels)
        self.conv2: nn.Conv2d = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2: nn.BatchNorm2d = nn.BatchNorm2d(channels)
        self.shortcut: nn.Sequential = nn.Sequential()
        if stride != 1 or channels_in != channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, channels, 1, stride=stride, bias=False),
                nn.BatchNorm2d(channels),
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map a batch of feature maps."""
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


class ResNet(nn.Module):
    """Stem, stages of basic blocks, average pooling, linear layer."""

    def __init__(self, *, width: int, classes: int, channels: int, blocks: tuple[int, ...]) -> None:
        super().__init__()
        self.stem: nn.Conv2d = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        self.norm: nn.BatchNorm2d = nn.BatchNorm2d(width)
        layers: list[nn.Module] = []
        channels_in = width
        for stage, count in enumerate(blocks):
            channels_out = width * 2**stage
            for number in range(count):
                stride = 2 if stage > 0 and number == 0 else 1
                layers.append(BasicBlock(channels_in, channels_out, stride=stride))
                channels_in = channels_out
        self.blocks: nn.Sequential = nn.Sequential(*layers)
        self.head: nn.Linear = nn.Linear(channels_in, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (batch, channels, height, width) to logits (batch, classes)."""
        y = self.blocks(F.relu(self.norm(self.stem(x))))
        logits: Tensor = self.head(y.mean((2, 3)))
        return logits


def resnet18(width: int = 64, classes: int = 10, channels: int = 3) -> nn.Module:
    """Build the ResNet-18 of the published zoo.

    Args:
        width: The channels of the first stage.
        classes: The number of outputs.
        channels: The channels of the images.

    >>> sum(p.numel() for p in resnet18(width=2).parameters())
    11420
    """
    return ResNet(width=width, classes=classes, channels=channels, blocks=(2, 2, 2, 2))


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

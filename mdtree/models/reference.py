"""The networks of the reference collection: one factory per family, each with a `width`.

They use plain operations that can be differentiated twice on every device: attention is two
products and a softmax, a recurrent network is a loop over short sequences.  For token ids (int64),
the embedding is part of the network.
"""

from __future__ import annotations

import abc

import torch
from torch import Tensor, nn

from mdtree.models.architectures import ResNet

__all__ = [
    "conv1d",
    "embedded_mlp",
    "gru",
    "lstm",
    "mixer",
    "plain_cnn",
    "resnet8",
    "transformer",
    "vit",
]

_SMALL = 0.02  # standard deviation of the initial position embeddings, as is usual


def plain_cnn(width: int = 8, classes: int = 10, channels: int = 1) -> nn.Module:
    """Build two convolutions without batch normalisation, average pooling and a linear layer."""
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(width, 2 * width, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(3),
        nn.Flatten(),
        nn.Linear(18 * width, classes),
    )


def resnet8(width: int = 8, classes: int = 10, channels: int = 1) -> nn.Module:
    """Build a residual network of three blocks, with `width`, 2 and 4 times as many channels."""
    return ResNet(width=width, classes=classes, channels=channels, blocks=(1, 1, 1))


def conv1d(width: int = 8, classes: int = 10) -> nn.Module:
    """Build two convolutions along a signal (batch, length), average pooling and a linear layer."""
    return nn.Sequential(
        nn.Unflatten(1, (1, -1)),
        nn.Conv1d(1, width, 7, padding=3),
        nn.ReLU(),
        nn.MaxPool1d(2),
        nn.Conv1d(width, 2 * width, 7, padding=3),
        nn.ReLU(),
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
        nn.Linear(2 * width, classes),
    )


def embedded_mlp(
    width: int = 32, classes: int = 10, vocabulary: int = 10, length: int = 2
) -> nn.Module:
    """Build an embedding of each token, and two layers on all embeddings together."""
    return nn.Sequential(
        nn.Embedding(vocabulary, width),
        nn.Flatten(),
        nn.Linear(length * width, 2 * width),
        nn.ReLU(),
        nn.Linear(2 * width, classes),
    )


class Recurrent(nn.Module, abc.ABC):
    """An embedding of token ids, a recurrent layer and a linear layer on its last state."""

    def __init__(self, *, width: int, classes: int, vocabulary: int, gates: int) -> None:
        super().__init__()
        self.embedding: nn.Embedding = nn.Embedding(vocabulary, width)
        self.inward: nn.Linear = nn.Linear(width, gates * width)
        self.onward: nn.Linear = nn.Linear(width, gates * width)
        self.head: nn.Linear = nn.Linear(width, classes)

    def forward(self, ids: Tensor) -> Tensor:
        """Map ids (batch, length) to logits (batch, classes)."""
        inputs = self.inward(self.embedding(ids))
        state = inputs.new_zeros(len(ids), self.embedding.embedding_dim)
        logits: Tensor = self.head(self.last(inputs, state))
        return logits

    @abc.abstractmethod
    def last(self, inputs: Tensor, state: Tensor) -> Tensor:
        """Process all inputs from the initial state `state`, and return the last state."""


class GRU(Recurrent):
    """h <- (1 - z) n + z h;  z, r = sigmoid(Wx + Uh),  n = tanh(Wx + r Uh).

    Cho et al.: "Learning Phrase Representations using RNN Encoder-Decoder", arXiv 1406.1078.
    """

    def last(self, inputs: Tensor, state: Tensor) -> Tensor:
        """Process all inputs, and return the last state."""
        for now in inputs.unbind(1):
            of_input, of_state = now.chunk(3, dim=1), self.onward(state).chunk(3, dim=1)
            reset = torch.sigmoid(of_input[0] + of_state[0])
            keep = torch.sigmoid(of_input[1] + of_state[1])
            new = torch.tanh(of_input[2] + reset * of_state[2])
            state = new + keep * (state - new)
        return state


class LSTM(Recurrent):
    """c <- f c + i g,  h <- o tanh(c);  i, f, o = sigmoid(Wx + Uh),  g = tanh(Wx + Uh).

    Hochreiter and Schmidhuber: "Long Short-Term Memory", 1997.
    """

    def last(self, inputs: Tensor, state: Tensor) -> Tensor:
        """Process all inputs, and return the last state."""
        cell = state
        for now in inputs.unbind(1):
            admit, forget, show, new = (now + self.onward(state)).chunk(4, dim=1)
            cell = torch.sigmoid(forget) * cell + torch.sigmoid(admit) * torch.tanh(new)
            state = torch.sigmoid(show) * torch.tanh(cell)
        return state


def gru(width: int = 16, classes: int = 5, vocabulary: int = 27) -> nn.Module:
    """Build a gated recurrent unit (GRU) on token ids."""
    return GRU(width=width, classes=classes, vocabulary=vocabulary, gates=3)


def lstm(width: int = 16, classes: int = 5, vocabulary: int = 27) -> nn.Module:
    """Build a long short-term memory (LSTM) on token ids."""
    return LSTM(width=width, classes=classes, vocabulary=vocabulary, gates=4)


class Attention(nn.Module):
    """Multi-head attention: softmax(Q K' / sqrt(d)) V for each head, and a linear layer."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.inward: nn.Linear = nn.Linear(width, 3 * width)
        self.outward: nn.Linear = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens (batch, length, width)."""
        batch, length, width = x.shape
        parts = self.inward(x).reshape(batch, length, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        scores = query @ key.transpose(2, 3) * (width // self.heads) ** -0.5
        mixed = (scores.softmax(3) @ value).transpose(1, 2).reshape(batch, length, width)
        result: Tensor = self.outward(mixed)
        return result


class EncoderBlock(nn.Module):
    """x <- x + attention(norm(x));  x <- x + mlp(norm(x))."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1: nn.LayerNorm = nn.LayerNorm(width)
        self.norm2: nn.LayerNorm = nn.LayerNorm(width)
        self.attention: Attention = Attention(width, heads)
        self.mlp: nn.Module = _two_layers(width)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens (batch, length, width)."""
        x = x + self.attention(self.norm1(x))
        result: Tensor = x + self.mlp(self.norm2(x))
        return result


class MixerBlock(nn.Module):
    """x <- x + mlp over the tokens (norm(x));  x <- x + mlp over the channels (norm(x)).

    Tolstikhin et al.: "MLP-Mixer: An all-MLP Architecture for Vision", arXiv 2105.01601.
    """

    def __init__(self, width: int, length: int) -> None:
        super().__init__()
        self.norm1: nn.LayerNorm = nn.LayerNorm(width)
        self.norm2: nn.LayerNorm = nn.LayerNorm(width)
        self.tokens: nn.Module = _two_layers(length)
        self.channels: nn.Module = _two_layers(width)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens (batch, length, width)."""
        x = x + self.tokens(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        result: Tensor = x + self.channels(self.norm2(x))
        return result


class Patches(nn.Module):
    """Square patches of images: (batch, patches, numbers in a patch)."""

    def __init__(self, patch: int) -> None:
        super().__init__()
        self.patch = patch

    def forward(self, x: Tensor) -> Tensor:
        """Cut images (batch, channels, height, width) into patches."""
        pieces = x.unfold(2, self.patch, self.patch).unfold(3, self.patch, self.patch)
        return pieces.permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2)


class Tokens(nn.Module):
    """Tokens with position embeddings, blocks, a norm, the mean over tokens and a linear layer."""

    def __init__(
        self, entry: nn.Module, blocks: list[nn.Module], *, width: int, length: int, classes: int
    ) -> None:
        super().__init__()
        self.entry = entry
        self.places: nn.Parameter = nn.Parameter(_SMALL * torch.randn(length, width))
        self.blocks: nn.Sequential = nn.Sequential(*blocks)
        self.norm: nn.LayerNorm = nn.LayerNorm(width)
        self.head: nn.Linear = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map token ids or images to logits (batch, classes)."""
        tokens = self.norm(self.blocks(self.entry(x) + self.places))
        logits: Tensor = self.head(tokens.mean(1))
        return logits


def transformer(
    width: int = 16,
    classes: int = 5,
    *,
    vocabulary: int = 27,
    length: int = 16,
    depth: int = 1,
    heads: int = 2,
) -> nn.Module:
    """Build a transformer encoder on token ids; `width` must be a multiple of `heads`."""
    blocks: list[nn.Module] = [EncoderBlock(width, heads) for _ in range(depth)]
    entry = nn.Embedding(vocabulary, width)
    return Tokens(entry, blocks, width=width, length=length, classes=classes)


def vit(
    width: int = 16,
    classes: int = 10,
    *,
    channels: int = 1,
    side: int = 16,
    patch: int = 4,
    depth: int = 2,
    heads: int = 2,
) -> nn.Module:
    """Build a vision transformer: an encoder on the patches of an image."""
    length = (side // patch) ** 2
    blocks: list[nn.Module] = [EncoderBlock(width, heads) for _ in range(depth)]
    entry = _patch_entry(patch, channels, width)
    return Tokens(entry, blocks, width=width, length=length, classes=classes)


def mixer(
    width: int = 16,
    classes: int = 10,
    *,
    channels: int = 1,
    side: int = 16,
    patch: int = 4,
    depth: int = 2,
) -> nn.Module:
    """Build an MLP-Mixer on the patches of an image."""
    length = (side // patch) ** 2
    blocks: list[nn.Module] = [MixerBlock(width, length) for _ in range(depth)]
    entry = _patch_entry(patch, channels, width)
    return Tokens(entry, blocks, width=width, length=length, classes=classes)


def _two_layers(size: int) -> nn.Module:
    return nn.Sequential(nn.Linear(size, 2 * size), nn.GELU(), nn.Linear(2 * size, size))


def _patch_entry(patch: int, channels: int, width: int) -> nn.Module:
    return nn.Sequential(Patches(patch), nn.Linear(channels * patch * patch, width))

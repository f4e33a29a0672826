"""Random features: what a network with random weights makes of its inputs, without any training.

    vectors    relu(W x + b)                        x standardised; W, b normal
    pictures   responses to patches of the training pictures, averaged in 3 x 3 fields
    tokens     relu of random convolutions, their largest value and their mean over the sequence

A linear classifier of these is a simple baseline that is not linear in the inputs.

Rahimi, Recht: "Random Features for Large-Scale Kernel Machines", NIPS 2007.
Coates, Ng, Lee: "An Analysis of Single-Layer Networks in Unsupervised Feature Learning", AISTATS
2011.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from mdtree.baselines.inputs import Inputs, Pictures, Tokens, Vectors

__all__ = ["random_features"]

_COUNT = 1_024  # features
_PATCH = 5  # pixels
_FIELDS = 3  # in which responses are averaged, along each side
_RESPONDS = 0.25  # standard deviations above the mean
_WIDTHS = (2, 4, 64)  # of convolutions, in tokens; the last stands for the whole sequence
_EMBEDDED = 64  # numbers that stand for a token of a larger vocabulary
_CHUNK = 256  # items at a time
_WINDOWS = (
    4_096  # tokens in all windows of an item; of longer sequences, only some windows are seen
)

Features = Callable[[Inputs], Tensor]


def random_features(train: Inputs, source: torch.Generator) -> Features:
    """Draw random features for inputs like these.

    Args:
        train: The training items; means, scales and patches are taken from them.
        source: The source of random numbers.
    """
    if isinstance(train, Tokens):
        return _of_tokens(train, source)
    if isinstance(train, Pictures):
        return _of_pictures(train.values, source)
    return _of_vectors(train.values, source)


def _of_vectors(train: Tensor, source: torch.Generator) -> Features:
    mean, scale = train.mean(0), train.std(0, correction=0)
    scale = torch.where(scale > 0, scale, torch.inf)
    size = train.shape[1]
    weights = 2 * torch.randn(size, _COUNT, generator=source, dtype=torch.float32) / size**0.5
    bias = torch.randn(_COUNT, generator=source, dtype=torch.float32)

    def features(inputs: Inputs) -> Tensor:
        assert isinstance(inputs, Vectors)
        return torch.relu((inputs.values - mean) / scale @ weights + bias)

    return features


def _of_pictures(train: Tensor, source: torch.Generator) -> Features:
    rows, columns = (min(_PATCH, side) for side in train.shape[2:])
    height, width = train.shape[2] - rows + 1, train.shape[3] - columns + 1
    fields = torch.kron(_fields(height), _fields(width))  # (places, fields)
    patches = _patches(train, (rows, columns), _COUNT // fields.shape[1], source)
    weights = patches.flatten(1).T

    def responses(pictures: Tensor) -> Tensor:
        """Return (items, places, patches)."""
        return functional.unfold(pictures, (rows, columns)).transpose(1, 2) @ weights

    seen = responses(train[:_CHUNK])
    mean, scale = seen.mean((0, 1)), seen.std((0, 1), correction=0)
    scale = torch.where(scale > 0, scale, torch.inf)

    def features(inputs: Inputs) -> Tensor:
        parts = [
            torch.relu((responses(part) - mean) / scale - _RESPONDS).transpose(1, 2) @ fields
            for part in inputs.values.split(_CHUNK)  # type: ignore[no-untyped-call]
        ]
        return torch.cat(parts).flatten(1)

    return features


def _fields(places: int) -> Tensor:
    """Return the weights of places in a row, in the mean of each field: (places, fields)."""
    fields = min(_FIELDS, places)
    return functional.adaptive_avg_pool1d(torch.eye(places, dtype=torch.float32), fields)


def _patches(train: Tensor, size: tuple[int, int], count: int, source: torch.Generator) -> Tensor:
    """Cut patches out of the pictures, and bring them to mean 0 and norm 1."""
    rows, columns = size
    items = torch.randint(len(train), (count,), generator=source)
    tops = torch.randint(train.shape[2] - rows + 1, (count,), generator=source)
    lefts = torch.randint(train.shape[3] - columns + 1, (count,), generator=source)
    patches = torch.stack(
        [
            train[item, :, top : top + rows, left : left + columns]
            for item, top, left in zip(items, tops, lefts, strict=True)
        ]
    )
    patches = patches - patches.mean((1, 2, 3), keepdim=True)
    norms = patches.flatten(1).norm(dim=1).clamp_min(1e-3)
    return patches / norms[:, None, None, None]  # type: ignore[no-any-return]


def _of_tokens(train: Tokens, source: torch.Generator) -> Features:
    length, size = train.values.shape[1], train.vocabulary
    embedding = (
        torch.eye(size, dtype=torch.float32)
        if size <= _EMBEDDED
        else torch.randn(size, _EMBEDDED, generator=source, dtype=torch.float32) / _EMBEDDED**0.5
    )
    count = _COUNT // (2 * len(_WIDTHS))
    filters = []
    for width in (min(width, length) for width in _WIDTHS):
        weights = (
            torch.randn(count, embedding.shape[1], width, generator=source, dtype=torch.float32)
            / width**0.5
        )
        filters.append((weights, torch.randn(count, generator=source, dtype=torch.float32) / 2))

    def features(inputs: Inputs) -> Tensor:
        return torch.cat(
            [_pooled(embedding[part], filters) for part in inputs.values.split(_CHUNK)]  # type: ignore[no-untyped-call]
        )

    return features


def _pooled(embedded: Tensor, filters: list[tuple[Tensor, Tensor]]) -> Tensor:
    """Return the largest and the mean response of each filter; one, if there is only one."""
    pooled = []
    for weights, bias in filters:
        width = weights.shape[2]
        step = -(-(embedded.shape[1] - width + 1) * width // _WINDOWS)
        windows = embedded.unfold(1, width, step).flatten(2)  # (items, places, numbers x width)
        responses = torch.relu(windows @ weights.flatten(1).T + bias)
        pooled.append(responses.amax(1))
        if responses.shape[1] > 1:
            pooled.append(responses.mean(1))
    return torch.cat(pooled, 1)

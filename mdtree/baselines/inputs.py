"""What goes into a network, as a simple classifier sees it: vectors, pictures or tokens."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mdtree.batch import IDS, MASK, Batch, inputs, targets
from mdtree.items import Items

__all__ = ["Inputs", "Pictures", "Tokens", "Vectors", "as_inputs", "read_items"]

_BATCH = 256  # items that are read at once; large pictures are made smaller before the next
_SIDE = 28  # pixels; larger pictures are averaged down
_LONG = _SIDE * _SIDE  # samples of a signal
_CHANNELS = 4  # of a signal, at most; more are the rows of a grey picture
_VOCABULARY = 1 << 18  # whole numbers above are no tokens
_LENGTH = 512  # tokens of a sequence that are read
_DIMENSIONS = 3_072  # of what is given to a linear classifier
_BUCKETS = 1_024  # in which tokens of a large vocabulary are counted, or dimensions to project to
_DENSE = 16_384  # numbers; longer vectors are not multiplied by a matrix, which takes too long
_LARGEST = 1e15  # whose squares are far from the largest float32
_TOKENS = (torch.int32, torch.int64)  # what an embedding takes; smaller types are numbers


@dataclass(frozen=True, eq=False)
class Vectors:
    """Numbers without an order: (items, numbers)."""

    values: Tensor

    def plain(self) -> Tensor:
        """Return the numbers."""
        return self.values


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures, or signals as pictures of one row: (items, channels, rows, columns)."""

    values: Tensor

    def plain(self) -> Tensor:
        """Return the pixels."""
        return self.values.flatten(1)


@dataclass(frozen=True, eq=False)
class Tokens:
    """Token ids: (items, tokens)."""

    values: Tensor
    vocabulary: int

    def plain(self) -> Tensor:
        """Return which token stands where, if that is not too much, and how often each occurs."""
        buckets = self.values % _BUCKETS
        counts = torch.zeros(len(self.values), min(self.vocabulary, _BUCKETS), dtype=torch.float32)
        counts.scatter_add_(1, buckets, torch.ones_like(buckets, dtype=counts.dtype))
        if self.values.shape[1] * self.vocabulary > _DIMENSIONS:
            return counts
        places = torch.nn.functional.one_hot(self.values, self.vocabulary).flatten(1)
        return torch.cat([places.to(counts.dtype), counts], 1)


Inputs = Vectors | Pictures | Tokens


def read_items(items: Items) -> tuple[Tensor, Tensor] | str:
    """Return the inputs, made small, and the targets; or why a simple classifier cannot see them.

    Sequences of tokens are padded with 0 to the longest.
    """
    values, labels = [], []
    for batch in items.batches(_BATCH):
        tensor = _tensor(batch)
        if isinstance(tensor, str):
            return tensor
        if tensor.numel() == 0:
            return "inputs are empty"
        values.append(_small(tensor.detach().cpu()))
        labels.append(targets(batch).detach().cpu())
        if labels[-1].dim() != 1:  # batches may differ in shape
            return "the targets are not class numbers"
    if not values:
        return "there are no items"
    if _is_tokens(values[0]):
        values = _padded(values)
    if len({part.shape[1:] for part in values}) > 1:
        return "inputs differ in shape"
    return torch.cat(values), torch.cat(labels)


def as_inputs(train: Tensor, test: Tensor) -> tuple[Inputs, Inputs] | str:
    """Return vectors, pictures or tokens; or why they are none.

    Args:
        train: Inputs of the training items, as `read_items` returns them.
        test: Those of the test items.
    """
    if _is_tokens(train) and _is_tokens(test):
        pair = _padded((train, test))
        size = 1 + max(int(ids.max()) for ids in pair)
        if min(int(ids.min()) for ids in pair) >= 0 and size <= _VOCABULARY:
            return Tokens(pair[0], size), Tokens(pair[1], size)
        train, test = pair
    train, test = train.float(), test.float()
    if train.shape[1:] != test.shape[1:]:
        return "training and test inputs differ in shape"
    largest = [float(values.abs().max()) for values in (train, test)]
    if not all(map(math.isfinite, largest)):
        return "inputs are not all finite"
    if max(largest) > _LARGEST:  # what overflows gives classes as well, and wrong ones
        return f"inputs reach {max(largest):.2g}, too large for sums of their squares"
    if train.dim() == 4:  # noqa: PLR2004 - (items, channels, rows, columns)
        return Pictures(train), Pictures(test)
    return Vectors(train), Vectors(test)


def _padded(sequences: Sequence[Tensor]) -> list[Tensor]:
    """Pad batches of sequences with 0 to the longest."""
    longest = max(part.shape[1] for part in sequences)
    return [torch.nn.functional.pad(part, (0, longest - part.shape[1])) for part in sequences]


def _is_tokens(values: Tensor) -> bool:
    return not values.is_floating_point()  # `_small` leaves whole numbers to sequences


def _tensor(batch: Batch) -> Tensor | str:
    """Return the one tensor of inputs, or why there is none."""
    positional, named = inputs(batch)
    if positional:
        return positional[0]
    if IDS in named:
        ids, mask = named[IDS].long(), named.get(MASK)
        return ids if mask is None or mask.shape != ids.shape else ids.masked_fill(mask == 0, 0)
    tensors = {key: value for key, value in named.items() if key != MASK}
    if len(tensors) == 1:
        return next(iter(tensors.values()))
    return f"inputs are several tensors ({', '.join(sorted(tensors))})"


def _small(values: Tensor) -> Tensor:
    """Return whole numbers (items, tokens), pictures or vectors, none of them too large."""
    if values.dtype in _TOKENS and values.dim() <= 2:  # noqa: PLR2004 - (items,), (items, tokens)
        return values.reshape(len(values), -1)[:, :_LENGTH].long()
    if values.is_complex():
        return _small(torch.view_as_real(values.resolve_conj()).flatten(1))
    if values.dim() in {3, 4}:
        return _small_pictures(values.float())
    return _projected(values.reshape(len(values), -1).float())


def _small_pictures(values: Tensor) -> Tensor:
    """Return pictures of at most so many pixels on a side; a signal is a picture of one row."""
    if values.dim() == 3:  # noqa: PLR2004 - (items, channels, samples) or (items, rows, columns)
        values = values[:, None] if values.shape[1] > _CHANNELS else values[:, :, None]
    rows, columns = values.shape[2:]
    sides = (min(rows, _SIDE), min(columns, _LONG if rows == 1 else _SIDE))
    if sides == (rows, columns):
        return values
    return torch.nn.functional.adaptive_avg_pool2d(values, sides)


def _projected(values: Tensor) -> Tensor:
    """Return vectors that are not too long: projected at random, the same way each time."""
    if values.shape[1] <= _DIMENSIONS:
        return values
    if values.shape[1] <= _DENSE:
        return values @ _directions(values.shape[1]) / values.shape[1] ** 0.5  # type: ignore[no-any-return]
    source = torch.Generator().manual_seed(0)
    buckets = torch.randint(_BUCKETS, (values.shape[1],), generator=source)
    signs = 2.0 * torch.randint(2, (values.shape[1],), generator=source) - 1
    sums = torch.zeros(len(values), _BUCKETS, dtype=values.dtype)
    return sums.index_add_(1, buckets, values * signs.to(values.dtype))


@functools.lru_cache(maxsize=1)
def _directions(size: int) -> Tensor:
    """Draw the matrix once for all batches."""
    source = torch.Generator().manual_seed(0)
    return torch.randn(size, _BUCKETS, generator=source, dtype=torch.float32)

"""Items: one half of a data set (training or test), of known length, read in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from mdtree.batch import IDS, IGNORED, LABELS, MASK, Batch, as_batch, size, targets
from mdtree.exceptions import DataError

__all__ = ["DatasetItems", "Items", "TensorItems", "aligned", "in_memory"]

_MEMORY = 2 << 30  # bytes; a data set up to this size is decoded once and kept
_FEW = 16  # items that are read at once if only labels are needed; items may be large
_ALIGNMENT = 64  # bytes; torch's allocations start at multiples of it


class Items(Protocol):
    """The interface of data for metrics and training."""

    def __len__(self) -> int:
        """Count the items."""

    def batches(self, batch_size: int) -> Iterator[Batch]:
        """Yield all items in order; the last batch may be smaller."""

    def take(self, indices: Tensor) -> Items:
        """Select items, in the order of `indices`."""

    def labels(self) -> Tensor:
        """Return the targets of all items."""

    def relabelled(self, labels: Tensor) -> Items:
        """Replace the targets of all items."""


@dataclass(frozen=True)
class TensorItems:
    """Items in memory, as tensors."""

    all: Batch

    def __len__(self) -> int:
        return size(self.all)

    def batches(self, batch_size: int) -> Iterator[Batch]:
        """Yield views, or copies where a view is not aligned like a new tensor.

        Matrix kernels may sum in a different order depending on alignment; so a batch gives the
        same bits whether it is a part of something larger or was decoded by itself.
        """
        for start in range(0, len(self), batch_size):
            batch = self._at(slice(start, start + batch_size))
            if isinstance(batch, tuple):
                yield aligned(batch[0]), aligned(batch[1])
            else:
                yield {key: aligned(tensor) for key, tensor in batch.items()}

    def take(self, indices: Tensor) -> TensorItems:
        """Copy the selected items."""
        return TensorItems(self._at(indices))

    def labels(self) -> Tensor:
        """Return the targets of all items."""
        return targets(self.all)

    def relabelled(self, labels: Tensor) -> TensorItems:
        """Replace the targets; the inputs are shared."""
        if isinstance(self.all, tuple):
            return TensorItems((self.all[0], labels))
        name = next(name for name in LABELS if name in self.all)
        return TensorItems({**self.all, name: labels})

    def _at(self, where: slice | Tensor) -> Batch:
        if isinstance(self.all, tuple):
            return self.all[0][where], self.all[1][where]
        return {key: tensor[where] for key, tensor in self.all.items()}


@dataclass(frozen=True)
class DatasetItems:
    """Items of a torch Dataset, decoded each time they are read."""

    dataset: Dataset[Any]
    indices: Tensor
    replaced: Tensor | None = None  # targets that replace those of the data set
    collate: Callable[[list[Any]], Any] = default_collate

    def __len__(self) -> int:
        return len(self.indices)

    def batches(self, batch_size: int) -> Iterator[Batch]:
        """Decode one batch at a time, in this process."""
        loader: DataLoader[Any] = DataLoader(
            self.dataset,
            batch_size=batch_size,
            sampler=self.indices.tolist(),
            collate_fn=self.collate,
            generator=torch.Generator(),  # otherwise each pass draws from the global random state
        )
        done = 0
        try:
            for raw in loader:
                batch = as_batch(raw)
                if self.replaced is not None:
                    labels = self.replaced[done : done + size(batch)]
                    batch = TensorItems(batch).relabelled(labels).all
                done += size(batch)
                yield batch
        except DataError:
            raise
        except Exception as error:  # a user's data set can raise anything
            hint = "; images of different sizes need one size: transform.size in a recipe"
            raise DataError(
                f"the data cannot be read after item {done}: {type(error).__name__}: {error}"
                + (hint if "equal size" in str(error) else "")
            ) from error

    def take(self, indices: Tensor) -> DatasetItems:
        """Select items without decoding any."""
        replaced = None if self.replaced is None else self.replaced[indices]
        return DatasetItems(self.dataset, self.indices[indices], replaced, self.collate)

    def labels(self) -> Tensor:
        """Return the targets, from the data set's own list if it has one."""
        if self.replaced is not None:
            return self.replaced
        known = getattr(self.dataset, "targets", None)
        if known is not None:
            return torch.as_tensor(known)[self.indices]
        return torch.cat([targets(batch) for batch in self.batches(_FEW)])

    def relabelled(self, labels: Tensor) -> DatasetItems:
        """Replace the targets of all items."""
        return DatasetItems(self.dataset, self.indices, labels, self.collate)


def in_memory(items: Items) -> Items:
    """Decode a data set once, if it fits into memory: it is read several times per checkpoint."""
    if isinstance(items, TensorItems) or len(items) == 0:
        return items
    first = _bytes(next(items.batches(1)))
    if len(items) * first > _MEMORY:
        return items
    batches, total = [], 0
    for batch in items.batches(256):
        batches.append(batch)
        total += _bytes(batch)
        if total > _MEMORY:
            return items  # the first item was small
    try:
        return TensorItems(_joined(batches))
    except RuntimeError:
        return items  # batches of different shapes stay as they are


def _bytes(batch: Batch) -> int:
    tensors = batch if isinstance(batch, tuple) else tuple(batch.values())
    return sum(tensor.element_size() * tensor.numel() for tensor in tensors)


def aligned(tensor: Tensor) -> Tensor:
    """Return a tensor that begins where torch's own do: itself, or else a copy."""
    return tensor.clone() if tensor.data_ptr() % _ALIGNMENT else tensor


def _joined(batches: list[Batch]) -> Batch:
    pairs = [batch for batch in batches if isinstance(batch, tuple)]
    if pairs:
        return torch.cat([x for x, _ in pairs]), torch.cat([y for _, y in pairs])
    named = _of_one_length([batch for batch in batches if isinstance(batch, Mapping)])
    return {key: torch.cat([batch[key] for batch in named]) for key in named[0]}


def _of_one_length(batches: list[Mapping[str, Tensor]]) -> list[Mapping[str, Tensor]]:
    """Pad batches of sequences, each of which was padded by itself, where a mask hides padding."""
    if not all(IDS in batch and MASK in batch for batch in batches):
        return batches
    longest = max(batch[IDS].shape[-1] for batch in batches)
    return [
        {key: _padded(key, tensor, batch[IDS].shape, longest) for key, tensor in batch.items()}
        for batch in batches
    ]


def _padded(key: str, tensor: Tensor, shape: torch.Size, longest: int) -> Tensor:
    """Pad a tensor that has one number for each token."""
    missing = longest - shape[-1]
    if tensor.shape != shape or missing == 0:
        return tensor
    return torch.nn.functional.pad(tensor, (0, missing), value=IGNORED if key in LABELS else 0)

"""A sample of the data that a network is trained on, read without touching its loader.

No iterator of a loader is used, and no sampler is asked: a copy of the data set behind the loader
is read, in this process, at places that a generator of its own draws.
"""

from __future__ import annotations

import inspect
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, default_collate

from mdtree.batch import LABELS, Batch, as_batch, describe, size
from mdtree.datasets import DatasetItems, Items, TensorItems, as_items, in_memory
from mdtree.exceptions import DataError
from mdtree.integrations.undisturbed import copied, copied_collate, fresh

__all__ = ["Sample", "Source", "accepted_names", "own_source_of", "source_of", "without_extra_keys"]

Collate = Callable[[list[Any]], Any]
_READ = 0.2  # of the budget, for one half of the data


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Items that were read, and how many there are."""

    items: Items
    # of items in the data; None: a part was read, and nothing tells how many there are
    amount: int | None


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where a half of the data comes from, and how its items become batches."""

    data: Any  # a map-style or iterable data set, or anything that `mdtree.measure` takes
    collate: Collate | None = default_collate  # None: what is read are batches already
    is_whole: bool = False  # tensors, or items as mdtree knows them
    is_own: bool = False  # given to the callback: what cannot be copied is read as it is

    def sample(self, items: int, seconds: float, convert: Callable[[Any], Any]) -> Sample:
        """Read some items: drawn at random from a map-style data set, else the first ones.

        Args:
            items: At most this many.
            seconds: The budget: after a fifth of it, what was read is enough.
            convert: Makes (x, y) or a dictionary of tensors of a collated batch.

        Raises:
            DataError: The data cannot be read without changing the training, or not as batches.

        """
        if self.is_whole:
            whole = as_items(self.data, "data")
            order = torch.tensor(_drawn(len(whole), items), dtype=torch.int64)
            return Sample(items=whole.take(order), amount=len(whole))
        elements = self._elements(items)  # the copy takes its own time
        until = time.perf_counter() + _READ * seconds
        if self.collate is None:
            return _of_batches(elements, items, until, convert)
        read = list(_until(islice(elements, items), until))
        if not read:
            raise DataError(f"{type(self.data).__name__} has no items")
        amount = _length(self.data)
        if amount is None:
            amount = len(read) if _has_ended(elements, until) else _told_length(self.data)
        collate = copied_collate(self.collate)
        kept = DatasetItems(
            _Kept(read), torch.arange(len(read)), collate=lambda part: convert(collate(part))
        )
        return Sample(items=in_memory(kept), amount=amount)

    def _elements(self, items: int) -> Iterator[Any]:
        length = _length(self.data)
        if length is None:
            return fresh(self.data)
        data = self._copy()
        return (data[place] for place in _drawn(length, items))

    def _copy(self) -> Any:
        try:
            return copied(self.data)
        except DataError:
            if self.is_own:
                return self.data
            raise


class _Kept(torch.utils.data.Dataset[Any]):
    """Items that were read once."""

    def __init__(self, read: list[Any]) -> None:
        self.read = read

    def __len__(self) -> int:
        return len(self.read)

    def __getitem__(self, place: int) -> Any:
        return self.read[place]


def source_of(loader: Any) -> Source:
    """Look behind a loader; tensors and data sets stand for themselves.

    Raises:
        DataError: It is not something that data come from.

    """
    if isinstance(loader, DataLoader):
        is_batched = loader.batch_sampler is not None or loader.batch_size is not None
        return Source(data=loader.dataset, collate=loader.collate_fn if is_batched else None)
    if isinstance(loader, TensorItems | DatasetItems) or _is_tensors(loader):
        return Source(data=loader, is_whole=True)
    if _length(loader) is not None or isinstance(loader, IterableDataset):
        return Source(data=loader)
    if isinstance(loader, Iterable) and not isinstance(loader, str | Tensor | Mapping):
        return Source(data=loader, collate=None)  # a loader of another library yields batches
    raise DataError(
        f"data must be a DataLoader, a Dataset, or tensors (x, y), got {describe(loader)}"
    )


def own_source_of(data: Any) -> Source:
    """Look behind data that the user gives to the callback alone.

    Raises:
        DataError: It is not something that data come from.

    """
    return replace(source_of(data), is_own=True)


def accepted_names(module: nn.Module) -> set[str] | None:
    """Return the names of the inputs of a module; None: it takes whatever it is given."""
    parameters = inspect.signature(module.forward).parameters.values()
    any_name = any(each.kind is each.VAR_KEYWORD for each in parameters)
    named = {
        each.name for each in parameters if each.kind not in (each.VAR_KEYWORD, each.VAR_POSITIONAL)
    }
    return None if any_name and not named else named


def without_extra_keys(batch: Any, names: set[str] | None) -> Any:
    """Drop from a dictionary what the network does not take, such as the numbers of items."""
    if not isinstance(batch, Mapping):
        return batch
    return {
        key: value
        for key, value in batch.items()
        if key in LABELS or (isinstance(value, Tensor) if names is None else key in names)
    }


def _of_batches(
    batches: Iterator[Any], items: int, until: float, convert: Callable[[Any], Any]
) -> Sample:
    read: list[Batch] = []
    found = 0
    for raw in _until(batches, until):
        batch = as_batch(convert(raw))
        read.append(TensorItems(batch).take(torch.arange(min(size(batch), items - found))).all)
        found += size(batch)
        if found >= items:
            break
    if not found:
        raise DataError("the data have no batches")
    amount = found if _has_ended(batches, until) else None
    try:
        return Sample(items=TensorItems(_joined(read)), amount=amount)
    except RuntimeError as error:
        raise DataError(
            f"the batches differ in more than their number of items: {error}"
        ) from error


def _until(elements: Iterator[Any], until: float) -> Iterator[Any]:
    """Yield elements as far as the time allows, and one at least."""
    for element in elements:
        yield element
        if time.perf_counter() > until:
            return


def _has_ended(elements: Iterator[Any], until: float) -> bool:
    """Return whether nothing is left, which takes one more element if something is."""
    nothing = object()
    return time.perf_counter() <= until and next(elements, nothing) is nothing


def _joined(batches: list[Batch]) -> Batch:
    """Join batches along their items."""
    pairs = [batch for batch in batches if isinstance(batch, tuple)]
    if pairs:
        return torch.cat([x for x, _ in pairs]), torch.cat([y for _, y in pairs])
    named = [batch for batch in batches if isinstance(batch, Mapping)]
    return {key: torch.cat([batch[key] for batch in named]) for key in named[0]}


def _length(data: Any) -> int | None:
    """Return the number of items of a map-style data set, else None."""
    if isinstance(data, IterableDataset) or not hasattr(data, "__getitem__"):
        return None
    return _told_length(data)


def _told_length(data: Any) -> int | None:
    try:
        return len(data)
    except (TypeError, NotImplementedError):
        return None


def _drawn(count: int, items: int) -> list[int]:
    """Draw places with a generator of their own; of few items, all in order."""
    if count <= items:
        return list(range(count))
    return random.Random(0).sample(range(count), items)  # noqa: S311 - not a secret


def _is_tensors(data: Any) -> bool:
    values = data.values() if isinstance(data, Mapping) else data
    return isinstance(data, tuple | list | Mapping) and all(
        isinstance(value, Tensor) for value in values
    )

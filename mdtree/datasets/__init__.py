"""Data: from the description in a recipe to a training set and a test set."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, default_collate

from mdtree.batch import Batch, as_batch, describe
from mdtree.datasets.animals import animal_files, animals
from mdtree.datasets.arrow import arrow_files, split_folder
from mdtree.datasets.digits import digits
from mdtree.datasets.files import from_file
from mdtree.datasets.pictures import from_folders, from_torchvision
from mdtree.datasets.sample import with_label_noise, with_subset
from mdtree.datasets.tokens import is_sequence, padded
from mdtree.exceptions import DataError
from mdtree.factory import call, find
from mdtree.items import DatasetItems, Items, TensorItems, in_memory
from mdtree.messages import plural
from mdtree.recipes import (
    Animals,
    DataSpec,
    Digits,
    FactoryData,
    Images,
    Keyed,
    Tensors,
    TorchvisionData,
    Transform,
    Trust,
)
from mdtree.regular_file import open_regular

__all__ = [
    "Data",
    "DatasetItems",
    "Items",
    "TensorItems",
    "as_items",
    "clear_shared_data",
    "data_digest",
    "in_memory",
    "load_data",
    "shared_data",
]


@dataclass(frozen=True)
class Data:
    """The data that a group is measured on."""

    train: Items
    test: Items | None
    available: int | None = None  # training items before the subset was drawn; None: no subset
    without_test: str = "the recipe has no test data"  # why there are none, where there are none

    @property
    def full(self) -> int:
        """Number of available training items, used or not."""
        return self.available or len(self.train)


def load_data(spec: DataSpec, folder: Path, *, trust: Trust, allow_download: bool = False) -> Data:
    """Read the data of a recipe.

    Args:
        spec: The data of the recipe.
        folder: The folder that relative paths start from.
        trust: Which factories the recipe may use.
        allow_download: Let torchvision fetch its data sets.

    Raises:
        DataError: The data cannot be read, or are not what the recipe says.
        RecipeError: A factory is unknown, or failed.
        UntrustedError: The recipe may not use a factory or a data set.
    """
    data = _read(spec, folder, trust, allow_download)
    for name, items in (("training", data.train), ("test", data.test)):
        if items is not None and len(items) == 0:
            raise DataError(f"there are no {name} items: check the data of the recipe")
    train = data.train
    if spec.label_noise:
        train = with_label_noise(train, float(spec.label_noise), seed=spec.seed)
    if spec.amount is not None:
        train = with_subset(train, int(spec.amount), order=spec.subset, seed=spec.seed)
    test = None if data.test is None else in_memory(data.test)
    return Data(in_memory(train), test, available=len(data.train))


def shared_data(
    spec: DataSpec,
    folder: Path,
    *,
    trust: Trust,
    allow_download: bool = False,
    digest: str | None = None,  # of the files: where it differs, they are read anew
) -> Data:
    """Read the data of a recipe once for all groups or members that ask for the same."""
    return _shared(Keyed.of(spec), folder, trust, allow_download, digest)


def clear_shared_data() -> None:
    """Drop the data that are kept."""
    _shared.cache_clear()


@functools.lru_cache(maxsize=2)
def _shared(
    spec: Keyed[DataSpec],
    folder: Path,
    trust: Trust,
    allow_download: bool,  # noqa: FBT001 - the cache needs positional arguments
    _digest: str | None,
) -> Data:
    return load_data(spec.part, folder, trust=trust, allow_download=allow_download)


def data_digest(spec: DataSpec, folder: Path) -> str | None:
    """Hash the data files, or the listing of a data folder (names and sizes), to detect changes."""
    if isinstance(spec, Tensors):
        halves = [half for half in _halves(spec, folder) if half is not None]
        files = (arrow_files(half) if half.is_dir() else [half] for half in halves)
        contents = [_file_digest(file) for each in files for file in each]
    elif isinstance(spec, Animals):
        contents = [_file_digest(file) for file in animal_files(spec, folder)]
    elif isinstance(spec, Images | TorchvisionData):
        root = folder / spec.root
        paths = (Path(where, name) for where, _, names in os.walk(root) for name in names)
        contents = sorted(
            f"{path.relative_to(root)} {path.stat().st_size}"
            for path in paths
            if os.path.isfile(path)  # noqa: PTH113 - Path.is_file fails where it may not look
        )
    else:
        return None
    return hashlib.sha256("\n".join(contents).encode(errors="replace")).hexdigest()


def _read(spec: DataSpec, folder: Path, trust: Trust, allow_download: bool) -> Data:  # noqa: FBT001 - private
    if isinstance(spec, TorchvisionData):
        halves = from_torchvision(spec, folder, trust=trust, allow_download=allow_download)
        return Data(*halves)
    if isinstance(spec, Images):
        return Data(*from_folders(spec, folder, trust=trust))
    if isinstance(spec, Digits | Animals):
        both = digits() if isinstance(spec, Digits) else animals(spec, folder)
        train, test = (_transformed(items, spec.transform, trust) for items in both)
        return Data(train, test)
    if isinstance(spec, Tensors):
        files = _halves(spec, folder)
        train = _transformed(from_file(files[0]), spec.transform, trust)
        if files[1] is None:
            return Data(train, None)
        return Data(train, _transformed(from_file(files[1]), spec.transform, trust))
    return _from_factory(spec, trust)


def _halves(spec: Tensors, folder: Path) -> tuple[Path, Path | None]:
    """Return where the training and the test data are: files, or folders of splits."""
    train = folder / spec.train
    test = split_folder(folder / (spec.test or spec.train), "test", "validation")
    if spec.test is None and test == train:
        test = None  # a file, or one split
    return split_folder(train, "train") or train, test


def _from_factory(spec: FactoryData, trust: Trust) -> Data:
    if spec.transform != Transform():
        raise DataError(f"{spec.source}: a data factory does its own transform; remove the key")
    pair = call(find(spec.source, trust), spec.kwargs, spec.source)
    if not (isinstance(pair, tuple | list) and len(pair) == 2):  # noqa: PLR2004 - (train, test)
        raise DataError(f"{spec.source} must return (train, test), got {describe(pair)}")
    train, test = pair
    return Data(as_items(train, spec.source), None if test is None else as_items(test, spec.source))


def as_items(data: Any, source: str) -> Items:
    """Convert tensors, a dictionary of tensors, a Dataset or a DataLoader to items."""
    if isinstance(data, TensorItems | DatasetItems):
        return data
    if isinstance(data, list) and data and all(is_sequence(example) for example in data):
        return TensorItems(as_batch(padded(data, source)))
    if isinstance(data, tuple | list | Mapping):
        return TensorItems(_of_one_length(as_batch(data), source))
    collate: Callable[[list[Any]], Any] = _collated
    if isinstance(data, DataLoader):
        data, collate = data.dataset, data.collate_fn
    sized = hasattr(data, "__len__") and hasattr(data, "__getitem__")
    if not sized or isinstance(data, Tensor | str | IterableDataset):
        raise DataError(
            f"{source} must give tensors (x, y), a dictionary of tensors, a Dataset with a "
            f"length and numbered items, or a DataLoader of one; got {describe(data)}"
        )
    return DatasetItems(data, torch.arange(len(data)), collate=collate)


def _collated(examples: list[Any]) -> Any:
    """Join the items of a batch; sequences of ids are padded."""
    return padded(examples) if is_sequence(examples[0]) else default_collate(examples)


def _of_one_length(batch: Batch, source: str) -> Batch:
    """Refuse named tensors of different numbers of items."""
    if isinstance(batch, Mapping):
        lengths = {key: len(tensor) if tensor.dim() else None for key, tensor in batch.items()}
        if len(set(lengths.values())) > 1:
            raise DataError(f"{source}: entries must have the same length, got {lengths}")
    return batch


def _transformed(items: TensorItems, spec: Transform, trust: Trust) -> TensorItems:
    if spec == Transform():
        return items
    if not isinstance(items.all, tuple):
        raise DataError(
            "data.transform applies to x, but these data have named inputs: remove the key"
        )
    x, y = items.all
    if spec.factory is not None:
        x = call(find(spec.factory, trust), spec.kwargs, spec.factory)(x)
    if spec.size is not None:
        raise DataError("transform.size applies to image files, not to arrays: remove the key")
    if spec.mean or spec.std:
        mean, std = (
            _per_channel(values, x) for values in (spec.mean or (0.0,), spec.std or (1.0,))
        )
        x = (x - mean) / std
    return TensorItems(as_batch((x, y)))


def _per_channel(values: tuple[float, ...], x: Tensor) -> Tensor:
    channels = x.shape[1] if x.dim() > 1 else 1
    if len(values) not in (1, channels):
        raise DataError(f"transform has {len(values)} values for {plural(channels, 'channel')}")
    return torch.tensor(values).reshape(-1, *[1] * (x.dim() - 2))


def _file_digest(path: Path) -> str:
    try:
        with open_regular(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"data file {path} cannot be read: {error.strerror or error}") from error

"""Helpers for the data sets of the collection: seeds, balanced classes, two halves."""

from __future__ import annotations

import torch
from torch import Tensor

from mdtree.exceptions import DataError
from mdtree.items import TensorItems

__all__ = [
    "Halves",
    "even_labels",
    "evenly_split",
    "generator",
    "halved",
    "normalised",
    "refuse_endless",
    "refuse_less",
]

_ENDLESS = 1e6  # larger parameters do not give useful data
Halves = tuple[TensorItems, TensorItems]  # for training, for testing


def refuse_less(least: int, **numbers: int) -> None:
    """Check that parameters of a data set are whole numbers of at least `least`."""
    for name, number in numbers.items():
        if not isinstance(number, int) or number < least:
            raise DataError(
                f"{name} must be a whole number of at least {least}, got {number!r:.40}"
            )


def refuse_endless(**numbers: float) -> None:
    """Check that parameters of a data set are at least 0 and not too large."""
    for name, number in numbers.items():
        if not 0 <= number < _ENDLESS:
            raise DataError(f"{name} must be from 0 to below {_ENDLESS:,.0f}, got {number!r:.40}")


def generator(seed: int) -> torch.Generator:
    """Create a separate random generator with this seed."""
    return torch.Generator().manual_seed(seed)


def even_labels(train: int, test: int, classes: int, random: torch.Generator) -> Tensor:
    """Draw labels in random order, with balanced classes (+-1) in both halves."""
    parts = [torch.arange(n)[torch.randperm(n, generator=random)] % classes for n in (train, test)]
    return torch.cat(parts)


def halved(x: Tensor, y: Tensor, train: int) -> Halves:
    """Split into the first `train` items and the others."""
    return TensorItems((x[:train], y[:train])), TensorItems((x[train:], y[train:]))


def evenly_split(x: Tensor, y: Tensor, train: int, test: int, random: torch.Generator) -> Halves:
    """Shuffle, and split into two halves with balanced classes (+-1)."""
    classes = int(y.max()) + 1
    order = torch.randperm(len(y), generator=random)
    chosen: list[Tensor] = []
    taken = [0] * classes
    by_class = [order[y[order] == label] for label in range(classes)]
    for half in (train, test):
        for label in range(classes):
            count = half // classes + (label < half % classes)
            part = by_class[label][taken[label] : taken[label] + count]
            if len(part) < count:
                raise DataError(
                    f"class {label} has {len(by_class[label])} items, but "
                    f"{taken[label] + count} are needed: lower train or test"
                )
            taken[label] += count
            chosen.append(part)
    places = torch.cat(chosen)
    mixed = torch.cat(
        [
            torch.randperm(train, generator=random),
            train + torch.randperm(test, generator=random),
        ]
    )
    return halved(x[places[mixed]], y[places[mixed]], train)


def normalised(halves: Halves) -> Halves:
    """Standardise the columns with the mean and standard deviation of the training half."""
    (x, y), (x_test, y_test) = (_pair(items) for items in halves)
    mean, deviation = x.mean(0), x.std(0).clamp_min(1e-6)
    return (
        TensorItems(((x - mean) / deviation, y)),
        TensorItems(((x_test - mean) / deviation, y_test)),
    )


def _pair(items: TensorItems) -> tuple[Tensor, Tensor]:
    assert isinstance(items.all, tuple)
    return items.all

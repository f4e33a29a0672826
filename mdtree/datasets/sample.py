"""Subsets and label noise: both seeded, both facts of the group."""

from __future__ import annotations

from typing import Literal

import torch

from mdtree.exceptions import DataError
from mdtree.items import Items

__all__ = ["with_label_noise", "with_subset"]


def with_subset(
    items: Items, amount: int, *, order: Literal["random", "first"], seed: int
) -> Items:
    """Select `amount` items.

    Args:
        items: All items.
        amount: How many to keep.
        order: "random", or "first" for the start of the data set, as in the published zoo.
        seed: The seed of a random subset; subsets of one seed are nested.

    Raises:
        DataError: There are fewer items.
    """
    if amount > len(items):
        raise DataError(f"amount must be at most the {len(items)} training items, got {amount}")
    if order == "first":
        return items.take(torch.arange(amount))
    chosen = torch.randperm(len(items), generator=torch.Generator().manual_seed(seed))
    return items.take(chosen[:amount])


def with_label_noise(items: Items, share: float, *, seed: int) -> Items:
    """Replace the labels of round(share * n) items by other classes, drawn uniformly.

    The noise is applied to the whole training set, before a subset is drawn, so that subsets of one
    seed agree on the labels of the items that they share.

    Raises:
        DataError: The targets are not class numbers, or there is only one class.
    """
    labels = items.labels()
    if labels.is_floating_point() or labels.dim() != 1:
        raise DataError("label noise needs one class number per item")
    classes = int(labels.max()) + 1
    if classes == 1:
        raise DataError("label noise needs at least two classes, but the training data have one")
    count = round(share * len(labels))
    generator = torch.Generator().manual_seed(seed)
    # in this order: the first permutation of a seed is that of `with_subset`, and a small subset
    # would then have only wrong labels
    shift = torch.randint(1, classes, (count,), generator=generator)
    wrong = torch.randperm(len(labels), generator=generator)[:count]
    noisy = labels.clone()
    noisy[wrong] = (noisy[wrong] + shift) % classes
    return items.relabelled(noisy)

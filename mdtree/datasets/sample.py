"""Less data, and wrong labels, on purpose: both seeded, both facts of the group."""

from __future__ import annotations

from typing import Literal

import torch

from mdtree.exceptions import DataError
from mdtree.items import Items

__all__ = ["with_label_noise", "with_subset"]


def with_subset(
    items: Items, amount: int, *, order: Literal["random", "first"], seed: int
) -> Items:
    """Keep `amount` items.

    Random subsets of one seed are nested: the smaller one lies inside the larger.  `first` takes
    the beginning of the data set, as the published zoo did.
    """
    if amount > len(items):
        raise DataError(f"amount {amount} is more than the {len(items)} training items there are")
    if order == "first":
        return items.take(torch.arange(amount))
    chosen = torch.randperm(len(items), generator=torch.Generator().manual_seed(seed))
    return items.take(chosen[:amount])


def with_label_noise(items: Items, share: float, *, seed: int) -> Items:
    """Give round(share * n) items a wrong label, drawn evenly from the other classes.

    The noise falls on the whole training set, before a subset is taken, so that subsets of one
    seed agree on the labels of the items that they share.
    """
    labels = items.labels()
    if labels.is_floating_point() or labels.dim() != 1:
        raise DataError("label noise needs one class number for each item")
    classes = int(labels.max()) + 1
    if classes == 1:
        raise DataError("label noise needs at least two classes, the training data have one")
    count = round(share * len(labels))
    generator = torch.Generator().manual_seed(seed)
    # in this order: the first permutation of a seed is that of `with_subset`, whose small parts
    # would be the wrong labels alone
    shift = torch.randint(1, classes, (count,), generator=generator)
    wrong = torch.randperm(len(labels), generator=generator)[:count]
    noisy = labels.clone()
    noisy[wrong] = (noisy[wrong] + shift) % classes
    return items.relabelled(noisy)

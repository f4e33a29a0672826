"""What a network reaches without looking at the inputs, from the labels of the test items alone.

    chance_error      100 * (1 - share of the most frequent class)
    chance_loss       -sum_c p_c ln p_c                  p_c: share of class c

Where tokens are predicted, classes are tokens, and p_c are the shares of all counted test tokens,
each sequence with the same weight.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mdtree.rows import Measured, Missing, Value

__all__ = ["CHANCE", "chance"]

CHANCE = ("chance_error", "chance_loss")


def chance(labels: Tensor | None, numbers: Tensor | None = None) -> dict[str, Value]:
    """Compute both quantities.

    Args:
        labels: The labels (m,), item after item; None: the targets are not class numbers.
        numbers: How many of them each item has (n,); None: one.
    """
    if labels is None:
        missing = Missing(missing="needs test items whose targets are class numbers")
        return dict.fromkeys(CHANCE, missing)
    if numbers is None:
        numbers = torch.ones(len(labels), dtype=torch.int64)
    usual = len(labels) / len(numbers)
    weights = (usual / numbers.double()).repeat_interleave(numbers)
    shares = torch.bincount(labels, weights=weights) / len(labels)
    return {
        "chance_error": Measured(value=100 * (1 - float(shares.max()))),
        "chance_loss": Measured(value=float(torch.special.entr(shares).sum())),
    }

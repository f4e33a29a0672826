"""The digits of scikit-learn: 1,797 images of 8x8 pixels in ten classes, inside the package.

Alpaydin and Kaynak: "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository.
"""

from __future__ import annotations

import torch

from mdtree.items import TensorItems

__all__ = ["digits"]

_TRAIN = 1200
_BRIGHTEST = 16.0


def digits() -> tuple[TensorItems, TensorItems]:
    """Read 1,200 training and 597 test items in a fixed random order (writers are mixed)."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    x = torch.from_numpy(bunch.images).float().unsqueeze(1) / _BRIGHTEST
    y = torch.from_numpy(bunch.target).long()
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))
    train, test = order[:_TRAIN], order[_TRAIN:]
    return TensorItems((x[train], y[train])), TensorItems((x[test], y[test]))

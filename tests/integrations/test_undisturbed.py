"""Copies of data that a training goes on with."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import torch
from torch.utils.data import Subset

from mdtree.integrations.undisturbed import copied


def test_a_copy_shares_large_arrays_and_has_a_state_of_its_own():
    inner = SimpleNamespace(
        x=torch.zeros(300_000),
        y=[np.zeros(2_000_000, dtype=np.uint8)],
        count=torch.zeros(1),
        source=torch.Generator().manual_seed(0),
    )
    inner.itself = inner
    copy = copied(Subset(inner, [1, 2])).dataset
    assert copy.itself is copy
    assert copy.x is inner.x
    assert copy.y[0] is inner.y[0]
    assert copy.count is not inner.count
    before = inner.source.get_state()
    torch.rand(1, generator=copy.source)
    assert torch.equal(inner.source.get_state(), before)


def test_views_of_a_large_tensor_do_not_copy_all_of_it():
    parts = list(torch.zeros(600, 1000).unbind())
    assert all(one is other for one, other in zip(copied(parts), parts, strict=True))

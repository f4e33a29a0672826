from __future__ import annotations

import pytest
import torch
from torch import nn

import mdtree
from mdtree.exceptions import MdtreeError


def test_quantities_are_refused_for_models_in_memory():
    data = torch.ones(4, 2), torch.zeros(4, dtype=torch.long)
    with pytest.raises(MdtreeError, match="name metrics for models"):
        mdtree.measure(models=[nn.Linear(2, 2)], train=data, quantities=["hessian_top"])

"""One group measured on any device, and a device that is none.

Without a GPU, `PretendedDevice` stands in for its memory: tensors there hold numbers, and any
operation that takes tensors of both places fails, as it would on a GPU.
"""

from __future__ import annotations

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map

from mdtree.measurement import Request, clear_caches, find_groups
from mdtree.measurement.group import measure_or_fail
from mdtree.metrics import METRICS
from mdtree.recipes import Trust, recipe_from_words
from mdtree.rows import Measured

ALL_METRICS = tuple(METRICS)
EACH_METRIC = pytest.mark.parametrize("metric", ALL_METRICS)


def request(root, device, *, metrics=ALL_METRICS, protocol="standard-1", dtype=None, **recipe):
    content = {
        "model": {"factory": "cnn", "kwargs": {"width": 2}},
        "data": {"source": "digits", "amount": 50},
        "training": {"batch_size": 16, "learning_rate": 0.05},
        **recipe,
    }
    return Request(
        root=root,
        recipe=recipe_from_words(content),
        folder=root,
        trust=Trust(),
        protocol=protocol,
        metrics=metrics,
        seed=0,
        device=device,
        allow_download=False,
        dtype=dtype,
    )


def measured(root, device, **kwargs):
    """Measure the group `hot`; what is kept between groups is built anew."""
    clear_caches()
    task = next(t for t in find_groups(request(root, device, **kwargs)) if t.group == "hot")
    outcome = measure_or_fail(task)
    assert outcome.row.failure is None, outcome.trace
    return outcome


def all_numbers(row):
    """Give all numbers of a row, those for its pictures too."""
    values = {
        name: (value.value, value.stderr) if isinstance(value, Measured) else value
        for name, value in row.quantities.items()
    }
    return values, {name: detail.columns for name, detail in (row.details or {}).items()}


def rows_agree(row, other, *, rel):
    """Say that rows agree; what is no number agrees entirely."""
    here, there = (tree_leaves(all_numbers(side)) for side in (row, other))
    assert len(here) == len(there)
    for a, b in zip(here, there, strict=True):
        assert a == (pytest.approx(b, rel=rel, abs=1e-9) if isinstance(b, float) else b)
    return True


class PretendedDevice(TorchDispatchMode):
    """Lets the device `meta` be one that computes."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return computed(func, args, kwargs or {})


class PretendedTensor(torch.Tensor):
    """A tensor on that device."""

    @staticmethod
    def __new__(cls, tensor):
        made = torch.Tensor._make_wrapper_subclass(
            cls, tensor.size(), strides=tensor.stride(), storage_offset=tensor.storage_offset(),
            dtype=tensor.dtype, device="meta",
        )  # fmt: skip
        made.on_cpu = tensor
        return made

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return computed(func, args, kwargs or {})


def may_mix(func, args):
    """Allow copies, and indices on the CPU."""
    is_index = func.name() == "aten::index.Tensor" and isinstance(args[0], PretendedTensor)
    return is_index or func.name() == "aten::copy_"


def computed(func, args, kwargs):
    """Compute on the CPU; the result is where the arguments are, or where it is asked for."""
    leaves = tree_leaves((args, kwargs))
    there = [leaf for leaf in leaves if isinstance(leaf, PretendedTensor)]
    here = [x for x in leaves if isinstance(x, torch.Tensor) and not isinstance(x, PretendedTensor)]
    if there and any(x.dim() for x in here) and not may_mix(func, args):
        raise RuntimeError(f"{func.name()}: expected all tensors to be on the same device")
    if func.name() == "aten::_local_scalar_dense":
        return func(args[0].on_cpu if there else args[0])
    target = next((leaf for leaf in leaves if isinstance(leaf, torch.device)), None)
    cpu = torch.device("cpu")
    inner = tree_map(
        lambda x: (
            x.on_cpu
            if isinstance(x, PretendedTensor)
            else cpu
            if isinstance(x, torch.device)
            else x
        ),
        (args, kwargs),
    )
    out = func(*inner[0], **inner[1])
    if target == cpu or (target is None and not there):
        return tree_map(lambda x: x.clone() if isinstance(x, torch.Tensor) and there else x, out)
    result = tree_map(lambda x: PretendedTensor(x) if isinstance(x, torch.Tensor) else x, out)
    return result if target else return_and_correct_aliasing(func, args, kwargs, result)

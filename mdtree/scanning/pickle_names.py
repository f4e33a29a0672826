"""The names that plain checkpoints hold: classes, constants, storages, and what they call."""

from __future__ import annotations

import functools
import inspect
import pickle
import re
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections.abc import Collection
from typing import Any

from mdtree.scanning.archive_scan import FaultError
from mdtree.scanning.pickle_notes import Name

__all__ = ["CALLS", "CLASSES", "is_known", "named", "settable", "width_of", "width_of_storage"]

_STORAGE = re.compile(r"torch\.(?:cuda\.)?(\w+)Storage")
_SIZES = {
    **dict.fromkeys(("Char", "Byte", "Bool", "QInt8", "QUInt8", "QUInt4x2", "QUInt2x4"), 1),
    **dict.fromkeys(("Half", "BFloat16", "Short"), 2),
    **dict.fromkeys(("Float", "Int", "QInt32"), 4),
    **dict.fromkeys(("Double", "Long", "ComplexFloat"), 8),
    "ComplexDouble": 16,
}  # of storages: bytes of a number
_UNTYPED = "torch.storage.UntypedStorage"
_OLDEST = re.compile(r"torch\.(cuda\.)?(sparse\.|storage\.)?\w+(Tensor|Storage)")
CLASSES = ("torch.Tensor", "torch.nn.parameter.Parameter")
_CONSTANT = re.compile(
    r"torch\.((q?u?int|b?float|complex|bits)\d\w*|bool|per_(tensor|channel)_\w+)"
)

# functions that plain checkpoints call -> the method that checks the call
CALLS = {
    "collections.OrderedDict": "_ordered",
    "collections.Counter": "_counter",
    "builtins.set": "_set",
    "builtins.bytearray": "_bytearray",
    "builtins.complex": "_complex",
    "_codecs.encode": "_encode",
    "torch.Size": "_size",
    "torch.device": "_constant",
    "torch.serialization._get_layout": "_constant",
    "torch._utils._rebuild_tensor": "_rebuilt",
    "torch._utils._rebuild_tensor_v2": "_rebuilt",
    "torch._utils._rebuild_tensor_v3": "_rebuilt_typed",
    "torch._utils._rebuild_qtensor": "_quantized",
    "torch._utils._rebuild_meta_tensor_no_storage": "_meta",
    "torch._utils._rebuild_parameter": "_parameter",
    "torch._utils._rebuild_parameter_with_state": "_parameter",
    "torch._tensor._rebuild_from_type_v2": "_of_a_class",
}

# objects that torch.save also writes, but that cannot be weights
_OTHERS = {
    "torch._utils._rebuild_sparse_tensor": "a sparse tensor, whose indices may lead anywhere",
    "torch._utils._rebuild_nested_tensor": "a nested tensor",
    "torch.nested._internal.nested_tensor._rebuild_njt": "a nested tensor",
    "torch._utils._rebuild_wrapper_subclass": "a tensor that stands for others",
    "torch._utils._rebuild_device_tensor_from_numpy": "a tensor of another device",
    "torch._utils._rebuild_device_tensor_from_cpu_tensor": "a tensor of another device",
}


def named(argument: str, passed_over: Collection[str]) -> Name:
    """Look a name up; what plain checkpoints do not hold is refused, unless it is passed over."""
    module, name = argument.split(" ")
    path = f"{module}.{name}"
    module, name = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))
    newer = f"{module}.{name}"  # that of Python 3
    if is_known(newer):
        return Name(newer)
    if newer in _OTHERS:
        raise FaultError(f"it contains {_OTHERS[newer]}: save plain tensors on the CPU")
    if _OLDEST.fullmatch(newer):
        raise FaultError(f"it names {newer:.100}, like the oldest files")
    if not {path, newer} & {*passed_over}:
        raise pickle.UnpicklingError(f"Weights only: GLOBAL {newer} was not an allowed global")
    return Name(newer)


def is_known(path: str) -> bool:
    """Say whether plain checkpoints hold such a name."""
    return bool(
        path in CALLS
        or path in CLASSES
        or path == _UNTYPED
        or _CONSTANT.fullmatch(path)
        or width_of_storage(path)
    )


def width_of_storage(path: str) -> int:
    """Return the bytes of one number in a kind of storage; 0 for what is not one."""
    named = _STORAGE.fullmatch(path)
    return 1 if path == _UNTYPED else _SIZES.get(named[1], 0) if named else 0


def width_of(dtype: Any) -> int:
    """Return the bytes per number."""
    import torch

    name = dtype.path.removeprefix("torch.") if isinstance(dtype, Name) else ""
    torch_dtype = getattr(torch, name, None)
    return torch_dtype.itemsize if isinstance(torch_dtype, torch.dtype) else 0


@functools.cache
def settable() -> frozenset[str]:
    """Return the attributes of tensors that have a setter."""
    import torch

    return frozenset(
        name
        for name in dir(torch.nn.Parameter)
        if hasattr(type(inspect.getattr_static(torch.nn.Parameter, name, None)), "__set__")
    )

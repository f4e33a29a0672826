"""Stored tensors: what a file holds, with names, sizes and types first, and numbers on demand.

A safetensors file, also in parts, is read tensor by tensor: one that is larger than memory can be
walked through.  What torch.save wrote is in memory from the start.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from mdtree.checkpoints.detect import Kind, kind_of
from mdtree.checkpoints.safe_reading import is_text, joined, parts_of, read
from mdtree.checkpoints.state_dict import find_weights, unwrapped
from mdtree.exceptions import UnreadableError

__all__ = ["LazyTensor", "TensorListing", "in_memory_tensors", "list_tensors"]

_STEMS = frozenset({"stem", "embed", "embedding", "embeddings", "wte", "wpe"})
_HEADS = frozenset({"head", "fc", "classifier", "score", "logits"})
_TYPES: Mapping[str, torch.dtype] = {
    "BOOL": torch.bool, "U8": torch.uint8, "I8": torch.int8, "I16": torch.int16,
    "U16": torch.uint16, "I32": torch.int32, "U32": torch.uint32, "I64": torch.int64,
    "U64": torch.uint64, "F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32,
    "F64": torch.float64, "C64": torch.complex64, "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2, "F8_E4M3FNUZ": torch.float8_e4m3fnuz,
    "F8_E5M2FNUZ": torch.float8_e5m2fnuz,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class LazyTensor:
    """A tensor that is known, and read when its numbers are needed."""

    name: str
    sizes: tuple[int, ...]
    dtype: torch.dtype
    load: Callable[[], Tensor]
    same_as: str | None = None  # the first name of a tensor that is stored under several
    fault: str | None = None  # what keeps it from being plain numbers


@dataclass(frozen=True, kw_only=True)
class TensorListing:
    """All tensors of one checkpoint, in order of depth as far as names tell; what was decided."""

    tensors: tuple[LazyTensor, ...]
    notes: tuple[str, ...] = ()


def list_tensors(path: Path, *, trust: Iterable[str] = (), key: str | None = None) -> TensorListing:
    """List the weights of a file or of one in parts; `key` asks for one entry of several."""
    kind = kind_of(path)
    is_sharded = kind is Kind.SHARDED
    parts = parts_of(path)[1:] if is_sharded else [path]
    is_safe = all(kind_of(part) is Kind.SAFETENSORS for part in parts)
    if is_safe and is_text(path) and key is None:
        content = joined(path, _safetensors) if is_sharded else _safetensors(path)
        ordered = sorted(content.values(), key=lambda stored: _depth(stored.name))
        if not ordered:
            raise UnreadableError(f"{path} holds no tensor at all")
        named = unwrapped({stored.name: stored for stored in ordered})
        return TensorListing(
            tensors=tuple(replace(stored, name=name) for name, stored in named.items())
        )
    weights = find_weights(read(path, trust=trust), key=key, name=str(path))
    return TensorListing(tensors=in_memory_tensors(weights.tensors), notes=weights.notes)


def in_memory_tensors(tensors: Mapping[str, Tensor]) -> tuple[LazyTensor, ...]:
    """List tensors that are in memory; one under several names is known by the first."""
    first: dict[tuple[int, tuple[int, ...], tuple[int, ...]], str] = {}
    lazy_tensors = []
    for name, tensor in tensors.items():
        same, fault = None, _fault(tensor)
        if fault is None and tensor.numel():
            place = (tensor.data_ptr(), tuple(tensor.shape), tensor.stride())
            same = first.setdefault(place, name)
        lazy_tensors.append(
            LazyTensor(
                name=name,
                sizes=tuple(tensor.shape),
                dtype=tensor.dtype,
                load=tensor.detach,
                same_as=same if same != name else None,
                fault=fault,
            )
        )
    return tuple(lazy_tensors)


def _fault(tensor: Tensor) -> str | None:
    if tensor.is_meta:
        return "on the meta device, without numbers"
    return None if tensor.layout is torch.strided else "sparse"


def _safetensors(path: Path) -> dict[str, LazyTensor]:
    """Read the header, after safetensors has compared it with the size of the file."""
    try:
        with safe_open(path, framework="np"), path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header: dict[str, Any] = json.loads(file.read(length))
            state = _state(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise UnreadableError(f"{path} is a damaged safetensors file: {error}") from error
    header.pop("__metadata__", None)
    lazy_tensors = {}
    for name, entry in header.items():
        code, sizes, (start, end) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
        dtype = _TYPES.get(code, torch.uint8)
        place = {"start": 8 + length + start, "count": end - start}
        load = partial(_mapped, path, state, sizes=sizes, dtype=dtype, **place)
        fault = None if code in _TYPES else f"{code}: packed or scaled"
        lazy_tensors[name] = LazyTensor(name=name, sizes=sizes, dtype=dtype, load=load, fault=fault)
    return lazy_tensors


def _mapped(
    path: Path,
    state: tuple[int, ...],
    *,
    sizes: tuple[int, ...],
    dtype: torch.dtype,
    start: int,
    count: int,
) -> Tensor:
    """Map one tensor into memory: what is not looked at is not read, and all goes with it."""
    try:
        if _state(path) != state:
            raise UnreadableError(f"{path} was changed while it was read: start again")
        content = np.memmap(path, np.uint8, "c", start, count) if count else np.empty(0, np.uint8)
    except OSError as error:
        raise UnreadableError(f"{path} cannot be read: {error.strerror or error}") from error
    return torch.from_numpy(content).view(dtype).reshape(sizes)


def _state(path: Path) -> tuple[int, ...]:
    """Give what changes with a file."""
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def _depth(name: str) -> tuple[int, list[tuple[int, str]]]:
    """Order names as layers follow each other: safetensors keeps no order of its own.

    Numbers count as numbers (layers.2 before layers.10), stems come first, and heads last.
    """
    words = re.split(r"[._/]", re.split(r"[._/]\d", name)[0])  # not those of layers: h.0.mlp.c_fc
    parts = re.findall(r"[0-9]+|[^0-9]+", name)
    place = (not _HEADS.isdisjoint(words)) - (not _STEMS.isdisjoint(words))
    return place, [_in_order(part) for part in parts]


def _in_order(part: str) -> tuple[int, str]:
    """Compare numbers by their lengths and digits: Python does not convert thousands of digits."""
    digits = part.lstrip("0")
    return (len(digits), digits) if part[0] in "0123456789" else (-1, part)

"""Stored tensors: their names, shapes and types at once, their numbers on demand.

A safetensors file, sharded or not, is read tensor by tensor, so it may be larger than memory.  A
torch.save file is in memory from the start.
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
from mdtree.checkpoints.names import natural
from mdtree.checkpoints.parts import joined, parts_of
from mdtree.checkpoints.safe_reading import is_text, read
from mdtree.checkpoints.state_dict import FoundWeights, find_weights, unwrapped
from mdtree.exceptions import UnreadableError

__all__ = [
    "LazyTensor",
    "TensorListing",
    "in_memory_tensors",
    "load_weights",
    "stored_tensors",
]

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
    """A tensor whose numbers are read only when they are needed."""

    name: str
    sizes: tuple[int, ...]
    dtype: torch.dtype
    load: Callable[[], Tensor]
    same_as: str | None = None  # the first name of a tensor that is stored under several names
    fault: str | None = None  # why it is not an array of plain numbers


@dataclass(frozen=True, kw_only=True)
class TensorListing:
    """All tensors of a checkpoint, in order of depth as far as names tell, with notes."""

    tensors: tuple[LazyTensor, ...]
    notes: tuple[str, ...] = ()


def stored_tensors(
    path: Path, *, trust: Iterable[str] = (), key: str | None = None
) -> TensorListing:
    """List the tensors of a file, which may be the index of a sharded checkpoint.

    Args:
        path: A weights file, or the index of a sharded checkpoint.
        trust: Names of classes that may be replaced by placeholders.
        key: The entry with the weights, in files with several.

    Raises:
        CheckpointError: The file cannot be read, or holds no weights.
    """
    kind = kind_of(path)
    is_sharded = kind is Kind.SHARDED
    parts = parts_of(path)[1:] if is_sharded else [path]
    is_safe = all(kind_of(part) is Kind.SAFETENSORS for part in parts)
    if is_safe and is_text(path) and key is None:
        content = joined(path, _safetensors) if is_sharded else _safetensors(path)
        ordered = sorted(content.values(), key=lambda stored: _depth(stored.name))
        if not ordered:
            raise UnreadableError(f"{path} contains no tensors")
        named = unwrapped({stored.name: stored for stored in ordered})
        return TensorListing(
            tensors=tuple(replace(stored, name=name) for name, stored in named.items())
        )
    weights = load_weights(path, trust=trust, key=key)
    return TensorListing(tensors=in_memory_tensors(weights.tensors), notes=weights.notes)


def load_weights(path: Path, *, trust: Iterable[str] = (), key: str | None = None) -> FoundWeights:
    """Read the weights of any file, without a model.

    Args:
        path: A weights file, or the index of a sharded checkpoint.
        trust: Names of classes that may be replaced by placeholders.
        key: The entry with the weights, in files with several.

    Raises:
        CheckpointError: The file cannot be read, or holds no weights.
    """
    return find_weights(read(path, trust=trust), key=key, name=str(path))


def in_memory_tensors(tensors: Mapping[str, Tensor]) -> tuple[LazyTensor, ...]:
    """List tensors that are in memory; `same_as` marks shared ones with their first name."""
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
        return "on the meta device, without values"
    return None if tensor.layout is torch.strided else "sparse"


def _safetensors(path: Path) -> dict[str, LazyTensor]:
    """Read the header, after safetensors has checked it against the size of the file."""
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
    """Map one tensor into memory: pages are read when they are used, and freed with the tensor."""
    try:
        if _state(path) != state:
            raise UnreadableError(f"{path} was changed while it was being read: start again")
        content = np.memmap(path, np.uint8, "c", start, count) if count else np.empty(0, np.uint8)
    except OSError as error:
        raise UnreadableError(f"{path} cannot be read: {error.strerror or error}") from error
    return torch.from_numpy(content).view(dtype).reshape(sizes)


def _state(path: Path) -> tuple[int, ...]:
    """Return what identifies this version of a file."""
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def _depth(name: str) -> tuple[int, list[tuple[int, str]]]:
    """Return a key that sorts names by depth: safetensors does not store the order of layers.

    Numbers count as numbers (layers.2 before layers.10), stems come first, and heads last.
    """
    words = re.split(r"[._/]", re.split(r"[._/]\d", name)[0])  # not those of layers: h.0.mlp.c_fc
    place = (not _HEADS.isdisjoint(words)) - (not _STEMS.isdisjoint(words))
    return place, natural(name)

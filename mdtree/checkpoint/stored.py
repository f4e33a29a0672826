"""Stored tensors: what a file holds, with names, sizes and types first, and numbers on demand.

A safetensors file, also in parts, is read tensor by tensor: one that is larger than memory can be
walked through.  What torch.save wrote is mapped into memory where its format allows that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from mdtree.checkpoint.kind import Kind, kind_of
from mdtree.checkpoint.reading import parts_of, read
from mdtree.checkpoint.weights import find_weights, wrapping
from mdtree.exceptions import UnreadableError

__all__ = ["Listing", "Stored", "list_stored", "listed"]

_HEADS = frozenset({"head", "fc", "classifier", "score", "logits"})
_TYPES: Mapping[str, torch.dtype] = {
    "BOOL": torch.bool, "U8": torch.uint8, "I8": torch.int8, "I16": torch.int16,
    "U16": torch.uint16, "I32": torch.int32, "U32": torch.uint32, "I64": torch.int64,
    "U64": torch.uint64, "F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32,
    "F64": torch.float64, "C64": torch.complex64, "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A tensor that is known, and read when its numbers are needed."""

    name: str
    sizes: tuple[int, ...]
    dtype: torch.dtype
    load: Callable[[], Tensor]
    same_as: str | None = None  # the first name of a tensor that is stored under several


@dataclass(frozen=True, kw_only=True)
class Listing:
    """All tensors of one checkpoint, in order of depth as far as names tell; what was decided."""

    tensors: tuple[Stored, ...]
    notes: tuple[str, ...] = ()


def list_stored(path: Path, *, trust: Iterable[str] = (), key: str | None = None) -> Listing:
    """List the weights of a file or of one in parts; `key` asks for one entry of several."""
    kind = kind_of(path)
    parts = parts_of(path)[1:] if kind is Kind.SHARDED else [path]
    is_safe = all(kind_of(part) is Kind.SAFETENSORS for part in parts)
    if is_safe and key is None:
        found = sorted(
            (stored for part in parts for stored in _safetensors(part)),
            key=lambda s: _depth(s.name),
        )
        if not found:
            raise UnreadableError(f"{path} holds no tensor at all")
        prefix = wrapping([stored.name for stored in found])
        return Listing(tensors=tuple(_renamed(stored, prefix) for stored in found))
    weights = find_weights(read(path, trust=trust), key=key, name=str(path))
    return Listing(tensors=listed(weights.tensors), notes=weights.notes)


def listed(tensors: Mapping[str, Tensor]) -> tuple[Stored, ...]:
    """List tensors that are in memory; one under several names is known by the first."""
    first: dict[tuple[int, tuple[int, ...], tuple[int, ...]], str] = {}
    found = []
    for name, tensor in tensors.items():
        same = None
        if tensor.layout is torch.strided and tensor.numel():
            place = (tensor.data_ptr(), tuple(tensor.shape), tensor.stride())
            same = first.setdefault(place, name)
        found.append(
            Stored(
                name=name,
                sizes=tuple(tensor.shape),
                dtype=tensor.dtype,
                load=partial(_given, tensor),
                same_as=same if same != name else None,
            )
        )
    return tuple(found)


def _given(tensor: Tensor) -> Tensor:
    return tensor


def _safetensors(path: Path) -> list[Stored]:
    try:
        with safe_open(path, framework="pt") as file:
            return [
                Stored(
                    name=name,
                    sizes=tuple(file.get_slice(name).get_shape()),
                    dtype=_TYPES.get(file.get_slice(name).get_dtype(), torch.uint8),
                    load=partial(_read, path, name),
                )
                for name in file.keys()  # noqa: SIM118 - the file is no dictionary
            ]
    except (SafetensorError, OSError, ValueError) as error:
        raise UnreadableError(f"{path} is a damaged safetensors file: {error}") from error


def _read(path: Path, name: str) -> Tensor:
    """Open the file for this tensor alone, so that the memory is given back with it."""
    try:
        with safe_open(path, framework="pt") as file:
            tensor: Tensor = file.get_tensor(name)
            return tensor
    except (SafetensorError, OSError, ValueError) as error:
        raise UnreadableError(f"{path}: {name} cannot be read: {error}") from error


def _depth(name: str) -> tuple[bool, list[tuple[int, str]]]:
    """Order names as layers follow each other: safetensors keeps no order of its own.

    Numbers count as numbers (layers.2 before layers.10), and heads come last.
    """
    words = re.split(r"[._/]", name)
    parts = re.findall(r"\d+|\D+", name)
    return not _HEADS.isdisjoint(words), [
        (int(part), "") if part.isdigit() else (-1, part) for part in parts
    ]


def _renamed(stored: Stored, prefix: str) -> Stored:
    return Stored(
        name=stored.name.removeprefix(prefix),
        sizes=stored.sizes,
        dtype=stored.dtype,
        load=stored.load,
    )

"""Matrices: what a stored tensor is, told from its name and its stored, and how it is taken apart.

    linear, embedding      (out, in) as it is
    convolution            (out, in, kernel...): one slice (out, in) for each place of the kernel
    depthwise convolution  (channels, 1, kernel...): flattened to (channels, places); its slices
                           are vectors
    gates, q | k | v       parts of one tensor that do other things: cut along the stacked axis
    experts                (experts, in, out): one matrix each

A state dict names no layers, so a name is a hint: what is taken for what is told with the numbers.
Transposing changes no eigenvalue, so transposed convolutions need no rule of their own.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from mdtree.checkpoint import Stored

__all__ = ["CONVENTIONS", "Convention", "Matrix", "Skipped", "find_matrices"]

Convention = Literal["pooled", "slices", "flatten"]
CONVENTIONS: dict[Convention, str] = {
    "pooled": "the eigenvalues of all slices of a convolution together",
    "slices": "each slice of a convolution by itself, then their mean",
    "flatten": "a convolution as one matrix, (out, in x kernel)",
}

_WORDS = re.compile(r"[._/]")
_EMBEDDING = re.compile(r"emb(ed|edding|eddings|s)?\d*$|^(wte|wpe|pos_embed|tok_embeddings)$")
_RECURRENT = re.compile(r"(.*?)weight_(ih|hh)(_l\d+(?:_reverse)?)?$")
_GATES = {1: ("",), 3: ("r", "z", "n"), 4: ("i", "f", "g", "o")}
_ADAPTER = re.compile(r"(^|[._])(lora_[AB]|lora_(down|up)|lora_embedding_[AB]|hada_w\d|lokr_w\d)\b")
_PARTS_OF_WEIGHTS: Mapping[str, str] = {
    "weight_v": "the direction of a weight norm: remove it before saving",
    "weight_orig": "weights before a mask or a norm is applied: remove it before saving",
    "original0": "a part of a parametrized weight: remove it before saving",
    "original1": "a part of a parametrized weight: remove it before saving",
    "weight_mask": "the mask of pruned weights",
}
_NO_WEIGHTS = ("mask", "attn_mask", "bias")
_WIDEST_KERNEL = 64
_PACKED = "stored packed or scaled: the weights are not known without their scales"


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """One matrix to be analysed: where it is, what it is, and how to cut it out."""

    name: str
    tensor: Stored  # which it is a part of
    kind: (
        str  # linear | embedding | conv1d | conv2d | conv3d | depthwise | gate | attention | expert
    )
    sizes: tuple[int, int]  # of each slice
    slices: int  # matrices of this size; only convolutions have several
    cut: Callable[[Tensor], Tensor]  # the tensor -> (slices, rows, columns)


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """A tensor that is not analysed."""

    name: str
    sizes: tuple[int, ...]
    dtype: str
    reason: str


def find_matrices(
    tensors: Iterable[Stored], *, convention: Convention = "pooled"
) -> tuple[list[Matrix], list[Skipped]]:
    """Take every tensor for one or more matrices, or say why not."""
    known = {stored.name: stored for stored in tensors}
    found: list[Matrix] = []
    skipped: list[Skipped] = []
    for stored in known.values():
        reason = _reason(stored)
        if reason is None:
            parts = list(_matrices(stored, known, convention))
            found += parts
            reason = None if parts else _no_layer(stored.sizes)
        if reason is not None:
            dtype = _short(stored.dtype)
            skipped.append(
                Skipped(name=stored.name, sizes=stored.sizes, dtype=dtype, reason=reason)
            )
    return found, skipped


def _reason(stored: Stored) -> str | None:
    """Say why a tensor holds no weights of a layer."""
    name, axes, dtype = stored.name, len(stored.sizes), stored.dtype
    last = _WORDS.split(name)[-1]
    faults = {
        f"the same numbers as {stored.same_as}": stored.same_as is not None,
        "a number": axes == 0,
        "a vector (bias, norm, statistics)": axes == 1,
        "empty": 0 in stored.sizes,
        "half of an adapter (LoRA): merge it into the weights first": _ADAPTER.search(name),
        _PARTS_OF_WEIGHTS.get(last, ""): last in _PARTS_OF_WEIGHTS,
        "a mask or a bias, not weights": last in _NO_WEIGHTS and axes > 2,  # noqa: PLR2004
        "complex numbers": dtype.is_complex,
        f"{_short(dtype)}: {_PACKED}": not dtype.is_floating_point or dtype.itemsize == 1,
    }
    return next((reason for reason, holds in faults.items() if holds), None)


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _no_layer(sizes: tuple[int, ...]) -> str:
    return f"{len(sizes)} axes {sizes}: no layer that is known has them"


def _matrices(
    stored: Stored, known: Mapping[str, Stored], convention: Convention
) -> Iterator[Matrix]:
    sizes = tuple(size for size in stored.sizes if size != 1)
    if len(stored.sizes) == 2:  # noqa: PLR2004 - (out, in)
        yield from _flat(stored, known)
    elif _is_embedding(stored.name) and len(sizes) == 2:  # noqa: PLR2004 - (1, places, width)
        yield _whole(stored, "embedding", (sizes[0], sizes[1]))
    elif "expert" in stored.name and len(stored.sizes) == 3:  # noqa: PLR2004
        for number in range(stored.sizes[0]):
            yield Matrix(
                name=f"{stored.name}[{number}]", tensor=stored, kind="expert",
                sizes=(stored.sizes[1], stored.sizes[2]), slices=1,
                cut=lambda tensor, number=number: tensor[number : number + 1],  # type: ignore[misc]
            )  # fmt: skip
    elif len(stored.sizes) <= 5 and max(stored.sizes[2:]) <= _WIDEST_KERNEL:  # noqa: PLR2004
        yield _convolution(stored, convention)


def _flat(stored: Stored, known: Mapping[str, Stored]) -> Iterator[Matrix]:
    rows, columns = stored.sizes
    name, last = stored.name, _WORDS.split(stored.name)[-1]
    words = _WORDS.split(name)
    if recurrent := _RECURRENT.match(name):
        prefix, _, layer = recurrent.groups()
        inner = known.get(f"{prefix}weight_hh{layer or ''}")
        if inner is not None and len(inner.sizes) == 2 and inner.sizes[0] == rows:  # noqa: PLR2004
            gates = _GATES.get(rows // max(inner.sizes[1], 1), ())
            hidden = rows // max(len(gates), 1)
            yield from _cut_up(stored, gates, "gate", axis=0, each=hidden)
            return
    if rows == 3 * columns and (last == "in_proj_weight" or "qkv" in words):
        yield from _cut_up(stored, ("q", "k", "v"), "attention", axis=0, each=columns)
    elif columns == 3 * rows and "c_attn" in words:
        yield from _cut_up(stored, ("q", "k", "v"), "attention", axis=1, each=rows)
    else:
        yield _whole(stored, "embedding" if _is_embedding(name) else "linear", (rows, columns))


def _cut_up(
    stored: Stored, parts: tuple[str, ...], kind: str, *, axis: int, each: int
) -> Iterator[Matrix]:
    sizes = (each, stored.sizes[1]) if axis == 0 else (stored.sizes[0], each)
    for number, part in enumerate(parts):

        def cut(tensor: Tensor, start: int = number * each) -> Tensor:
            return tensor.narrow(axis, start, each).unsqueeze(0)

        name = f"{stored.name}[{part}]" if part else stored.name
        yield Matrix(name=name, tensor=stored, kind=kind, sizes=sizes, slices=1, cut=cut)


def _whole(stored: Stored, kind: str, sizes: tuple[int, int]) -> Matrix:
    return Matrix(
        name=stored.name, tensor=stored, kind=kind, sizes=sizes, slices=1,
        cut=lambda tensor: tensor.reshape(1, *sizes),
    )  # fmt: skip


def _convolution(stored: Stored, convention: Convention) -> Matrix:
    rows, columns, *kernel = stored.sizes
    places = math.prod(kernel)
    is_depthwise = columns == 1 and rows > 1 and places > 1
    kind = "depthwise" if is_depthwise else f"conv{len(kernel)}d"
    if is_depthwise or convention == "flatten":
        return _whole(stored, kind, (rows, columns * places))
    return Matrix(
        name=stored.name, tensor=stored, kind=kind, sizes=(rows, columns), slices=places,
        cut=lambda tensor: tensor.reshape(rows, columns, places).permute(2, 0, 1),
    )  # fmt: skip


def _is_embedding(name: str) -> bool:
    return any(_EMBEDDING.search(word) for word in _WORDS.split(name.lower()))

"""Matrices: the kind of a stored tensor, by its name and sizes, and how it is split.

    linear, embedding      (out, in) unchanged
    convolution            (out, in, kernel...): one slice (out, in) per kernel position
    depthwise convolution  (channels, 1, kernel...): flattened to (channels, positions), because its
                           slices are vectors; also convolutions from or to a single channel
    gates, q | k | v       stacked matrices with different roles: split along the stacked axis
    experts                (experts, in, out): one matrix per expert

A state dict does not name the types of layers, so a tensor's name is only a hint: the assumed kind
is reported with the figures, and a tensor whose kind neither name nor sizes reveal is skipped.
Transposing does not change eigenvalues, so transposed convolutions need no rule.  The groups of a
grouped convolution cannot be recognised: the groups of a slice (out, in / groups) are stacked in
one matrix.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from mdtree.checkpoints import LazyTensor

__all__ = ["CONVENTIONS", "Convention", "Matrix", "Skipped", "find_matrices"]

Convention = Literal["pooled", "slices", "flatten"]
CONVENTIONS: dict[Convention, str] = {
    "pooled": "the eigenvalues of all slices of a convolution together",
    "slices": "each slice of a convolution by itself, then their mean",
    "flatten": "a convolution as one matrix, (out, in x kernel)",
}

_EMBEDDING = re.compile(
    r"(?i)(?<!un)embed(?!.*(_out|proj))|(?<!un)emb(s|\d*)(_|$)|^(wte|wpe)$|^pe(_|$)|tokens?$"
    r"|attention_bias$"  # of T5: buckets of distances
)
_POSITIONS = re.compile(r"(?i)(^|_)pos(ition(al)?)?(_|$)")
_RECURRENT = re.compile(r"(.*)weight_[ih]h(_l\d+(?:_reverse)?)?$")
_FUSED = re.compile(r"(?i)(^|[._/])(w?qkv|c_attn|in_proj_weight)([._/]|$)")
_EXPERTS = re.compile(r"(?i)experts?(?![a-z]|[._/]\d)")  # all in one tensor; experts.0 is one only
_ADAPTER = re.compile(r"(?i)(^|[._/])(lora|hada|lokr)([._/]|$)")
_NO_WEIGHTS = re.compile(r"(?i)(^|_)(bias(es)?|mask|tril|triu|scales?|a_log)(_inv|_table|_[kuv])?$")
_PARTNERS: Mapping[str, tuple[str, ...]] = {  # of weight norm, spectral norm and pruning
    "g": ("v",),
    "v": ("g",),
    "orig": ("u", "mask"),
    "mask": ("orig",),
}
_WIDEST_KERNEL = 32  # if the name does not say that it is a convolution
_PLAIN = "float16, bfloat16, float32 and float64"


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """A matrix to be analysed: its tensor, its kind, and how to cut it out.

    Kinds: linear, embedding, conv1d, conv2d, conv3d, depthwise, gate, attention, expert.
    """

    name: str
    tensor: LazyTensor  # that contains it
    kind: str
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
    tensors: Iterable[LazyTensor], *, convention: Convention = "pooled"
) -> tuple[list[Matrix], list[Skipped]]:
    """Split tensors into matrices, and list the skipped tensors with reasons.

    >>> stored = LazyTensor(
    ...     name="conv.weight", sizes=(8, 3, 5, 5), dtype=torch.float32, load=lambda: None
    ... )
    >>> [matrix], skipped = find_matrices([stored])
    >>> matrix.kind, matrix.sizes, matrix.slices
    ('conv2d', (8, 3), 25)
    """
    known = {stored.name: stored for stored in tensors}
    matrices: list[Matrix] = []
    skipped: list[Skipped] = []
    for stored in known.values():
        reason = _reason(stored, known)
        if reason is None:
            parts = list(_matrices(stored, known, convention))
            matrices += parts
            reason = None if parts else _no_layer(stored.sizes)
        if reason is not None:
            dtype = _short(stored.dtype)
            skipped.append(
                Skipped(name=stored.name, sizes=stored.sizes, dtype=dtype, reason=reason)
            )
    return matrices, skipped


def _reason(stored: LazyTensor, known: Mapping[str, LazyTensor]) -> str | None:
    """Return why a tensor is not the weights of a layer, or None."""
    name, sizes, dtype = stored.name, stored.sizes, stored.dtype
    _, own = _place(name)
    is_matrix = sum(size > 1 for size in sizes) > 1 or (len(sizes) == 2 and "weight" in own)  # noqa: PLR2004
    faults = {
        f"the same numbers as {stored.same_as}": stored.same_as is not None,
        stored.fault or "": stored.fault is not None,
        "a number": not sizes,
        "empty": 0 in sizes,
        "a vector (bias, norm, statistics)": not is_matrix,
        "half of an adapter (LoRA): merge it into the weights first": _ADAPTER.search(name),
        "a part of a weight (its norm, its mask): remove the parametrization before saving": (
            _is_part(name, known)
        ),
        "a bias, a mask or a scale, not weights": _NO_WEIGHTS.search(own),
        f"{_short(dtype)}: only {_PLAIN} are plain weights": (
            not dtype.is_floating_point or dtype.itemsize == 1
        ),
    }
    return next((reason for reason, holds in faults.items() if holds), None)


def _is_part(name: str, known: Mapping[str, LazyTensor]) -> bool:
    start, _, part = name.rpartition("_")
    partners = _PARTNERS.get(part, ())
    return "parametrizations" in name.split(".") or any(f"{start}_{p}" in known for p in partners)


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _no_layer(sizes: tuple[int, ...]) -> str:
    return f"{len(sizes)} axes {sizes}: neither sizes nor name are those of a known layer"


def _place(name: str) -> tuple[str, str]:
    """Return the module of a tensor, without its number in a list, and the tensor's own name.

    >>> _place("blocks.3.conv.0.weight")
    ('conv', 'weight')
    """
    *modules, own = re.split(r"[./]", name)
    named = (m for m in reversed(modules) if not m.isdecimal() and m != "base_layer")  # of LoRA
    return next(named, ""), own


def _bias(stored: LazyTensor, known: Mapping[str, LazyTensor]) -> LazyTensor | None:
    start = stored.name.removesuffix("weight")
    return known.get(f"{start}bias") if start != stored.name else None


def _matrices(
    stored: LazyTensor, known: Mapping[str, LazyTensor], convention: Convention
) -> Iterator[Matrix]:
    sizes = tuple(size for size in stored.sizes if size > 1)
    axes = len(stored.sizes)
    if axes == 2:  # noqa: PLR2004 - (out, in)
        yield from _flat(stored, known)
    elif len(sizes) == 2 and _is_embedding(stored, known):  # noqa: PLR2004 - (1, places, width)
        yield _as_one_matrix(stored, "embedding", (sizes[0], sizes[1]))
    elif axes == 3 and _EXPERTS.search(stored.name):  # noqa: PLR2004
        for number in range(stored.sizes[0]):
            yield Matrix(
                name=f"{stored.name}[{number}]", tensor=stored, kind="expert",
                sizes=(stored.sizes[1], stored.sizes[2]), slices=1,
                cut=partial(torch.narrow, dim=0, start=number, length=1),
            )  # fmt: skip
    elif _is_convolution(stored, known):
        yield _convolution(stored, convention)


def _flat(stored: LazyTensor, known: Mapping[str, LazyTensor]) -> Iterator[Matrix]:
    rows, columns = stored.sizes
    gates, hidden = _gates(stored, known)
    if gates:
        yield from _cut_up(stored, gates, "gate", axis=0, each=hidden)
    elif rows == 3 * columns and _FUSED.search(stored.name):
        yield from _cut_up(stored, "qkv", "attention", axis=0, each=columns)
    elif columns == 3 * rows and _FUSED.search(stored.name):
        yield from _cut_up(stored, "qkv", "attention", axis=1, each=rows)
    else:
        kind = "embedding" if _is_embedding(stored, known) else "linear"
        yield _as_one_matrix(stored, kind, (rows, columns))


def _gates(stored: LazyTensor, known: Mapping[str, LazyTensor]) -> tuple[str, int]:
    """Return the stacked gates in a tensor of a GRU or LSTM, and the rows of each gate."""
    if not (match := _RECURRENT.match(stored.name)):
        return "", 0
    prefix, layer = match[1], match[2] or ""
    # (gates x hidden, hidden), or with a projection (projected, hidden)
    square, projection = (known.get(f"{prefix}weight_{part}{layer}") for part in ("hh", "hr"))
    inner = projection or square
    hidden = inner.sizes[-1] if inner is not None and inner.sizes else 0
    return {3 * hidden: "rzn", 4 * hidden: "ifgo"}.get(stored.sizes[0], ""), hidden


def _cut_up(stored: LazyTensor, parts: str, kind: str, *, axis: int, each: int) -> Iterator[Matrix]:
    sizes = (each, stored.sizes[1]) if axis == 0 else (stored.sizes[0], each)
    for number, part in enumerate(parts):

        def cut(tensor: Tensor, start: int = number * each) -> Tensor:
            return tensor.narrow(axis, start, each).unsqueeze(0)

        name = f"{stored.name}[{part}]"
        yield Matrix(name=name, tensor=stored, kind=kind, sizes=sizes, slices=1, cut=cut)


def _as_one_matrix(stored: LazyTensor, kind: str, sizes: tuple[int, int]) -> Matrix:
    return Matrix(
        name=stored.name, tensor=stored, kind=kind, sizes=sizes, slices=1,
        cut=lambda tensor: tensor.reshape(1, *sizes),
    )  # fmt: skip


def _convolution(stored: LazyTensor, convention: Convention) -> Matrix:
    rows, columns, *kernel = stored.sizes
    places = math.prod(kernel)
    is_depthwise = columns == 1 and rows > 1 and places > 1
    kind = "depthwise" if is_depthwise else f"conv{len(kernel)}d"
    if 1 in (rows, columns) and places > 1:
        return _as_one_matrix(stored, kind, (rows * columns, places))
    if convention == "flatten":
        return _as_one_matrix(stored, kind, (rows, columns * places))
    return Matrix(
        name=stored.name, tensor=stored, kind=kind, sizes=(rows, columns), slices=places,
        cut=lambda tensor: tensor.reshape(rows, columns, places).permute(2, 0, 1),
    )  # fmt: skip


def _is_convolution(stored: LazyTensor, known: Mapping[str, LazyTensor]) -> bool:
    """Return whether a tensor of 3 to 5 axes is a convolution, by its name or its sizes."""
    owner, own = _place(stored.name.lower())
    bias = _bias(stored, known)
    if len(stored.sizes) > 5 or (bias is not None and len(bias.sizes) > 1):  # noqa: PLR2004
        return False  # stacked linear layers have a bias of two axes
    has_name = "weight" in own and "bilinear" not in owner
    is_narrow = stored.sizes[1] == 1 or max(stored.sizes[2:]) <= _WIDEST_KERNEL
    return "conv" in owner + own or (has_name and is_narrow)


def _is_embedding(stored: LazyTensor, known: Mapping[str, LazyTensor]) -> bool:
    """Return whether a tensor is an embedding table: by its name, without a bias."""
    owner, own = _place(stored.name)
    if _bias(stored, known) is not None or ("weight" in own and len(stored.sizes) > 2):  # noqa: PLR2004
        return False
    is_shared = re.search(r"(^|\.)shared\.weight$", stored.name)  # T5, BART
    words = (_EMBEDDING.search(owner), _EMBEDDING.search(own), _POSITIONS.search(own), is_shared)
    return any(words)

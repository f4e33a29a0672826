"""Merging: the weights of a base model with a LoRA adapter added, tensor by tensor, on demand.

    W' = W + s B A        s = alpha / r, or alpha / sqrt(r) where the rank is stabilised

Hu et al. 2021, arXiv 2106.09685; Kalajdzievski 2023, arXiv 2312.03732.  B A is transposed where a
layer stores (in, out), and always for embeddings.  A convolution has a kernel in A and 1 x 1 in B.
Sums are in single precision at least, as in training, where a base in half precision is not rounded
again.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from mdtree.checkpoints.adapters import MERGE_IT, AdapterConfig, read_adapter_config
from mdtree.checkpoints.lazy import LazyTensor
from mdtree.exceptions import MismatchError, UnreadableError

__all__ = ["changed_names", "merged", "renamed_base"]

_PREFIX = "base_model.model."
_HALF = re.compile(r"(?P<layer>.+)\.lora_(?P<kind>embedding_)?(?P<side>[AB])(\.weight)?")
_WRAPPER = re.compile(r"\.(base_layer|modules_to_save(\.default)?)(?=\.)")
_UNUSED = ".original_module."  # as it was before, beside what was trained as a whole
_OUTER = 3  # modules around a model without its head
_SHOWN = 3  # names in a message
_MATRIX = 2  # axes


@dataclass(frozen=True, kw_only=True)
class _Update:
    """The two halves of what is added to a layer, and their scale."""

    layer: str
    down: LazyTensor  # A
    up: LazyTensor  # B
    scale: float
    is_embedding: bool

    @property
    def sizes(self) -> tuple[int, int]:
        """The sizes of B A."""
        return self.up.sizes[0], math.prod(self.down.sizes[1:])

    def fits(self, sizes: Sequence[int]) -> bool:
        """Return whether B A has the sizes of a weight, as it is."""
        return len(sizes) > 1 and (sizes[0], math.prod(sizes[1:])) == self.sizes

    def fits_transposed(self, sizes: Sequence[int]) -> bool:
        """Return whether B A has the sizes of a matrix when it is transposed."""
        return tuple(sizes) == self.sizes[::-1]


@dataclass(frozen=True, kw_only=True)
class _Adapter:
    """The tensors of an adapter, by what is done with them."""

    updates: dict[str, _Update]  # name of a weight -> what is added to it
    replaced: dict[str, LazyTensor]  # name -> what stands instead, or is new


def merged(
    base: Iterable[LazyTensor], adapter: Iterable[LazyTensor], path: Path
) -> tuple[LazyTensor, ...]:
    """Return the weights of the base with an adapter added.

    Args:
        base: The weights of the base model.
        adapter: The tensors of the adapter.
        path: The file of the adapter; its config is read.

    Raises:
        UnreadableError: The adapter does what is not known here.
        MismatchError: It was trained on another base.
    """
    config = read_adapter_config(path)
    parts = _parts(adapter, config, path)
    known = _renamed({stored.name: stored for stored in base}, list(parts.updates))
    _check(parts, known, config, path)
    transposed = _transposed(parts.updates, known, config, path)
    tensors = []
    for name, stored in known.items():
        start = parts.replaced.get(name, stored)
        key = name if name in parts.updates or stored.same_as is None else stored.same_as
        update = parts.updates.get(key)
        if update is not None:
            start = replace(
                start,
                dtype=_dtype(start, update),
                load=partial(_sum, start, update, is_transposed=transposed[key]),
            )
        tensors.append(replace(start, name=name, same_as=stored.same_as))
    new = [name for name in parts.replaced if name not in known]
    return (*tensors, *(replace(parts.replaced[n], name=n, same_as=None) for n in new))


def renamed_base(
    base: Iterable[LazyTensor], adapter: Iterable[LazyTensor], path: Path
) -> tuple[LazyTensor, ...]:
    """Return the weights of the base under the names that they have in `merged`."""
    parts = _parts(adapter, read_adapter_config(path), path)
    known = _renamed({stored.name: stored for stored in base}, list(parts.updates))
    return tuple(replace(stored, name=name) for name, stored in known.items())


def changed_names(adapter: Iterable[LazyTensor], path: Path) -> frozenset[str]:
    """Return the names of the weights to which an adapter adds something."""
    return frozenset(_parts(adapter, read_adapter_config(path), path).updates)


def _parts(adapter: Iterable[LazyTensor], config: AdapterConfig, path: Path) -> _Adapter:
    """Sort the tensors of an adapter: halves of updates, and what was trained as a whole."""
    halves: dict[tuple[str, bool], dict[str, LazyTensor]] = {}
    replaced: dict[str, LazyTensor] = {}
    for stored in adapter:
        name = stored.name.removeprefix(_PREFIX)
        if _UNUSED in name:
            continue
        half = _HALF.fullmatch(name)
        if not stored.dtype.is_floating_point or stored.fault or name == stored.name:
            raise _unknown(stored, path)
        if half is not None:
            layer = halves.setdefault((half["layer"], half["kind"] is not None), {})
            layer[half["side"]] = stored
        elif "lora_" in name or "trainable_tokens" in name or name in replaced:
            raise _unknown(stored, path)
        else:
            replaced[_WRAPPER.sub("", name)] = stored
    config.check_effort((layer for layer, _ in halves), path)
    updates = {
        f"{layer}.weight": _update(layer, sides, config, path, is_embedding=is_embedding)
        for (layer, is_embedding), sides in halves.items()
    }
    return _Adapter(updates=updates, replaced=replaced)


def _update(
    layer: str,
    sides: Mapping[str, LazyTensor],
    config: AdapterConfig,
    path: Path,
    *,
    is_embedding: bool,
) -> _Update:
    if len(sides) < 2:  # noqa: PLR2004 - A and B
        raise UnreadableError(f"{path} has only one half of the update of {layer:.200}")
    down, up = sides["A"], sides["B"]
    rank = down.sizes[0] if down.sizes else 0
    is_product = min(len(down.sizes), len(up.sizes)) >= _MATRIX and math.prod(up.sizes[1:]) == rank
    if not is_product or 0 in (*down.sizes, *up.sizes):
        raise UnreadableError(
            f"{path}: the halves of {layer:.200}, {down.sizes} and {up.sizes}, cannot be "
            "multiplied: was the adapter saved from a part of a model that is split over GPUs?"
        )
    if rank not in config.ranks:
        raise UnreadableError(
            f"{path} has rank {rank} in {layer:.200}, but its config says "
            f"{', '.join(map(str, sorted(config.ranks)[:_SHOWN]))}: is it the right config?"
        )
    return _Update(
        layer=layer, down=down, up=up, scale=config.scale(layer, rank), is_embedding=is_embedding
    )


def _unknown(stored: LazyTensor, path: Path) -> UnreadableError:
    return UnreadableError(f"{path} contains {stored.name:.200}, which is not read: {MERGE_IT}")


def _renamed(base: dict[str, LazyTensor], targets: Sequence[str]) -> dict[str, LazyTensor]:
    """Name the weights of the base as in the model that the adapter was trained on.

    That model may have a head which the saved base lacks (transformer.h.0 instead of h.0), or the
    other way round.
    """
    if not targets or targets[0] in base:
        return base
    words = targets[0].split(".")
    for count in range(1, min(len(words) - 1, _OUTER + 1)):
        if ".".join(words[count:]) in base:
            start = ".".join(words[:count]) + "."
            return {start + name: _named(stored, start) for name, stored in base.items()}
    longer = [name for name in base if name.endswith(f".{targets[0]}")]
    if len(longer) != 1:
        return base
    start = longer[0].removesuffix(targets[0])
    return {name.removeprefix(start): _named(stored, "", start) for name, stored in base.items()}


def _named(stored: LazyTensor, added: str, removed: str = "") -> LazyTensor:
    same = stored.same_as
    return stored if same is None else replace(stored, same_as=added + same.removeprefix(removed))


def _check(
    parts: _Adapter, known: Mapping[str, LazyTensor], config: AdapterConfig, path: Path
) -> None:
    """Refuse an adapter whose layers are not in the base, or are of other sizes."""
    missing = [name for name in parts.updates if name not in known]
    other = []
    for name, update in parts.updates.items():
        stored = parts.replaced.get(name, known.get(name))
        if stored is None:
            continue
        fits = not update.is_embedding and update.fits(stored.sizes)
        if not fits and not update.fits_transposed(stored.sizes):
            other.append(f"{name:.200} is {stored.sizes} in the base and {update.sizes} here")
        elif stored.fault or not stored.dtype.is_floating_point or stored.dtype.itemsize == 1:
            what = stored.fault or str(stored.dtype).removeprefix("torch.")
            raise UnreadableError(f"{path} changes {name:.200}, which is {what}: {MERGE_IT}")
    for name, stored in parts.replaced.items():
        is_other = name in known and known[name].sizes != stored.sizes
        if is_other and not config.replaces(name):
            other.append(f"{name:.200} is {known[name].sizes} in the base and {stored.sizes} here")
    if not missing and not other:
        return
    faults = [f"the base has no {', '.join(f'{name:.200}' for name in missing[:_SHOWN])}"]
    faults = [*(faults if missing else []), *other[:_SHOWN]]
    raise MismatchError(
        f"{path} is an adapter for another base ({len(missing) + len(other)} of "
        f"{len(parts.updates) + len(parts.replaced)} tensors do not fit): {'; '.join(faults)}"
    )


def _transposed(
    updates: Mapping[str, _Update],
    known: Mapping[str, LazyTensor],
    config: AdapterConfig,
    path: Path,
) -> dict[str, bool]:
    """Return for each weight whether B A is transposed.

    Sizes tell it, except where a matrix is square.  The config tells that only if all layers are of
    one kind: else, layers of the same name do.
    """
    certain: dict[str, bool] = {}
    for name, update in updates.items():
        sizes = known[name].sizes
        if update.is_embedding:
            certain[name] = True
        elif update.fits(sizes) != update.fits_transposed(sizes):
            certain[name] = update.fits_transposed(sizes)
    layers = {name: value for name, value in certain.items() if not updates[name].is_embedding}
    by_word = {_word(name): value for name, value in layers.items()}
    is_mixed = any(value != config.transposed for value in layers.values())
    for name in updates.keys() - certain.keys():
        value = by_word.get(_word(name), None if is_mixed else config.transposed)
        if value is None:
            raise UnreadableError(
                f"{path}: some layers store (in, out) and others (out, in), and {name:.200} is "
                f"square, so nothing tells how it is stored: {MERGE_IT}"
            )
        certain[name] = value
    return certain


def _word(name: str) -> str:
    return name.split(".")[-2]


def _dtype(start: LazyTensor, update: _Update) -> torch.dtype:
    dtype = torch.promote_types(start.dtype, torch.float32)
    return torch.promote_types(dtype, torch.promote_types(update.up.dtype, update.down.dtype))


def _sum(start: LazyTensor, update: _Update, *, is_transposed: bool) -> Tensor:
    """Compute W + s B A."""
    dtype = _dtype(start, update)
    up, down = (half.load().to(dtype).flatten(1) for half in (update.up, update.down))
    added = (up @ down).mul_(update.scale)
    weight = start.load().to(dtype)
    return (added.T if is_transposed else added).reshape(weight.shape).add_(weight)

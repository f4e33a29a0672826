"""Copies: files that hold the same, like `best.pt` and `last.pt` where the last was the best."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from mdtree.checkpoints.lazy import LazyTensor, list_tensors
from mdtree.checkpoints.safe_reading import file_digest
from mdtree.exceptions import CheckpointError
from mdtree.regular_file import open_regular

__all__ = ["equal_files", "equal_tensors", "equal_weights"]

_END = 1 << 16  # bytes; weights or, in an archive, the checksums of them


def equal_files(members: Mapping[str, Path]) -> dict[str, str]:
    """Find files that are equal to an earlier one: name -> that one's name.

    Only those that are equal in size and in their last bytes are read as a whole.
    """
    alike: dict[tuple[int, bytes], list[str]] = {}
    for name, path in members.items():
        try:
            with open_regular(path) as file:
                size = file.seek(0, 2)
                file.seek(max(0, size - _END))
                alike.setdefault((size, file.read(_END)), []).append(name)
        except OSError:
            continue  # an error when it is measured
    first: dict[str, str] = {}
    equal: dict[str, str] = {}
    for names in alike.values():
        for name in names if len(names) > 1 else ():
            try:
                other = first.setdefault(file_digest(members[name]), name)
            except CheckpointError:
                continue
            if other != name:
                equal[name] = other
    return equal


def equal_weights(
    first: Path, second: Path, *, trust: Iterable[str] = (), key: str | None = None
) -> bool:
    """Say whether two files hold equal tensors of equal names, without a model.

    Of safetensors no more is read than it takes to find a difference.  What cannot be read is not
    known to be equal.
    """
    try:
        some, others = (_by_name(path, trust, key) for path in (first, second))
        return some.keys() == others.keys() and all(
            _equal(stored.load(), others[name].load()) for name, stored in some.items()
        )
    except CheckpointError:
        return False


def equal_tensors(
    some: Mapping[str, Tensor], others: Mapping[str, Tensor], names: Iterable[str]
) -> bool:
    """Say whether two networks have equal tensors of these names, of which there are any."""
    # from the end: networks that begin alike, because layers were frozen, differ in the head
    wanted = list(names)[::-1]
    return bool(wanted) and all(_equal(some[name], others[name]) for name in wanted)


def _by_name(path: Path, trust: Iterable[str], key: str | None) -> dict[str, LazyTensor]:
    return {stored.name: stored for stored in list_tensors(path, trust=trust, key=key).tensors}


def _equal(first: Tensor, second: Tensor) -> bool:
    kinds = [(t.dtype, t.shape, t.layout, t.is_meta, t.is_quantized) for t in (first, second)]
    plain = first.layout is torch.strided and not first.is_meta and not first.is_quantized
    return plain and kinds[0] == kinds[1] and torch.equal(first, second)

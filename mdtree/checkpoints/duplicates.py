"""Duplicates: files with the same content, like `best.pt` and `last.pt` if the last was best."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from mdtree.checkpoints.adapters import is_adapter, read_adapter_config
from mdtree.checkpoints.lazy import LazyTensor, stored_tensors
from mdtree.checkpoints.parts import file_digest
from mdtree.exceptions import CheckpointError
from mdtree.regular_file import open_regular

__all__ = ["equal_files", "equal_tensors", "equal_weights"]

_END = 1 << 16  # bytes: weights or, in an archive, their checksums


def equal_files(members: Mapping[str, Path]) -> dict[str, str]:
    """Find files that equal an earlier one: name -> name of the earlier one.

    Only files of the same size and with the same last bytes are read completely.
    """
    alike: dict[tuple[int, bytes], list[str]] = {}
    for name, path in members.items():
        try:
            with open_regular(path) as file:
                size = file.seek(0, 2)
                file.seek(max(0, size - _END))
                alike.setdefault((size, file.read(_END)), []).append(name)
        except OSError:
            continue  # reported when it is measured
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
    """Return whether two files contain equal tensors under equal names, without a model.

    Safetensors files are read only until the first difference.  A file that cannot be read is not
    equal to any other.

    Args:
        first: A weights file.
        second: Another one.
        trust: Names of classes that may be replaced by placeholders.
        key: The entry with the weights, in files with several.
    """
    try:
        settings = [read_adapter_config(p) if is_adapter(p) else None for p in (first, second)]
        some, others = (_by_name(path, trust, key) for path in (first, second))
        return (
            settings[0] == settings[1]
            and some.keys() == others.keys()
            and all(_equal(stored.load(), others[name].load()) for name, stored in some.items())
        )
    except CheckpointError:
        return False


def equal_tensors(
    some: Mapping[str, Tensor], others: Mapping[str, Tensor], names: Iterable[str]
) -> bool:
    """Return whether two networks have equal tensors under these names.

    Args:
        some: The weights of one network.
        others: The weights of the other.
        names: The names to compare; without any, the networks do not count as equal.
    """
    # from the end: networks with the same frozen first layers differ in the head
    reverse = list(names)[::-1]
    return bool(reverse) and all(_equal(some[name], others[name]) for name in reverse)


def _by_name(path: Path, trust: Iterable[str], key: str | None) -> dict[str, LazyTensor]:
    return {stored.name: stored for stored in stored_tensors(path, trust=trust, key=key).tensors}


def _equal(first: Tensor, second: Tensor) -> bool:
    kinds = [(t.dtype, t.shape, t.layout, t.is_meta, t.is_quantized) for t in (first, second)]
    plain = first.layout is torch.strided and not first.is_meta and not first.is_quantized
    return plain and kinds[0] == kinds[1] and torch.equal(first, second)

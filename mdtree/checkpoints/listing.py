"""The tensors of a checkpoint: those of its file, or those of a base with an adapter added."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from mdtree.checkpoints.adapters import is_adapter, missing_base, read_adapter_config
from mdtree.checkpoints.lazy import TensorListing, stored_tensors
from mdtree.checkpoints.merging import merged, renamed_base

__all__ = ["list_base", "list_tensors", "trained_labels"]

_CLASSIFYING = ("SEQ_CLS", "TOKEN_CLS")
_MATRIX = 2  # axes


def list_tensors(
    path: Path, *, trust: Iterable[str] = (), key: str | None = None, base: Path | None = None
) -> TensorListing:
    """List the weights of a checkpoint.

    Args:
        path: A weights file, or the index of a sharded checkpoint.
        trust: Names of classes that may be replaced by placeholders.
        key: The entry with the weights, in files with several.
        base: The weights file that an adapter changes; not used for other checkpoints.

    Raises:
        CheckpointError: The file cannot be read, or holds no weights; or it is an adapter, and its
            base is not given, or another one.
    """
    if not is_adapter(path):
        return stored_tensors(path, trust=trust, key=key)
    if base is None:
        raise missing_base(path)
    whole = stored_tensors(base, trust=trust, key=key)
    tensors = merged(whole.tensors, stored_tensors(path, trust=trust).tensors, path)
    note = f"the adapter is merged into {base}"
    return replace(whole, tensors=tensors, notes=(*whole.notes, note))


def list_base(
    path: Path, base: Path, *, trust: Iterable[str] = (), key: str | None = None
) -> TensorListing:
    """List the weights of the base of an adapter, under the names of `list_tensors`.

    Raises:
        CheckpointError: A file cannot be read.
    """
    whole = stored_tensors(base, trust=trust, key=key)
    tensors = renamed_base(whole.tensors, stored_tensors(path, trust=trust).tensors, path)
    return replace(whole, tensors=tensors)


def trained_labels(path: Path) -> int | None:
    """Return the number of classes of the head that was trained with an adapter, if there is one.

    Raises:
        CheckpointError: The adapter cannot be read.
    """
    config = read_adapter_config(path)
    if config.task not in _CLASSIFYING:
        return None
    heads = [
        stored.sizes[0]
        for stored in stored_tensors(path).tensors
        if len(stored.sizes) == _MATRIX and config.replaces(stored.name)
    ]
    return heads[-1] if heads else None

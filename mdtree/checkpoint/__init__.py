"""Checkpoints: from a path to the weights of a model. Nothing in a file is ever run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from mdtree.checkpoint.listing import Folder, checkpoint_files, find_folders, named_files
from mdtree.checkpoint.matching import matched
from mdtree.checkpoint.reading import file_digest, parts_of, read
from mdtree.checkpoint.stored import Listing, Stored, list_stored, listed
from mdtree.checkpoint.weights import Found, find_weights

__all__ = [
    "Checkpoint",
    "Folder",
    "Listing",
    "Stored",
    "checkpoint_files",
    "file_digest",
    "find_folders",
    "find_weights",
    "list_stored",
    "listed",
    "load_checkpoint",
    "load_weights",
    "named_files",
    "parts_of",
]


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """One member of a group: weights that fit the group's model."""

    name: str
    weights: dict[str, Tensor]
    sha256: str
    notes: tuple[str, ...]


def load_weights(path: Path, *, trust: Iterable[str] = (), key: str | None = None) -> Found:
    """Read the weights of any file, without a model."""
    return find_weights(read(path, trust=trust), key=key, name=str(path))


def load_checkpoint(
    path: Path,
    model: nn.Module,
    *,
    name: str,
    trust: Iterable[str] = (),
    key: str | None = None,
) -> Checkpoint:
    """Read a file and hold it to the model: every name, every shape, every number finite."""
    sha256 = file_digest(path)
    found = load_weights(path, trust=trust, key=key)
    return Checkpoint(
        name=name,
        weights=matched(found.tensors, model, name=str(path)),
        sha256=sha256,
        notes=found.notes,
    )

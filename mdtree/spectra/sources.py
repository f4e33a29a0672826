"""Sources of weights: files, folders, adapters, modules and state dicts, by name."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from torch import nn

from mdtree.checkpoints import (
    base_of,
    check_within,
    find_folders,
    in_natural_order,
    is_adapter,
    read_adapter_config,
)
from mdtree.exceptions import MdtreeError, UnsafeError

__all__ = ["IN_MEMORY", "Source", "adapts", "all_sources", "named", "only_source", "own_bases"]

Source: TypeAlias = "str | Path | nn.Module | Mapping[str, Any]"
IN_MEMORY = "in memory"


def all_sources(source: Source) -> dict[str, Source]:
    """List checkpoints by name: the one that is given, or those of a directory by their paths.

    Raises:
        MdtreeError: There are none.
    """
    if not isinstance(source, str | Path):
        return {IN_MEMORY: source}
    path = Path(source)
    if not os.path.exists(path):  # noqa: PTH110 - Path.exists fails for names that are too long
        raise MdtreeError(f"{path} does not exist")
    if not path.is_dir():
        return {path.name: path}
    files = {
        str(file.relative_to(path)): file for folder in find_folders(path) for file in folder.files
    }
    if not files:
        raise MdtreeError(
            f"{path} holds no weights files (looked for .safetensors, .pt, .pth, .ckpt, ... and "
            "folders with config.json)"
        )
    return {name: files[name] for name in in_natural_order(files)}


def only_source(source: Source) -> Source:
    """Return the checkpoint that is given, or the only one of a directory.

    Raises:
        MdtreeError: There are several, or none.
    """
    sources = all_sources(source)
    *others, last = sources.values()
    if others:
        raise MdtreeError(
            f"{source} holds {len(sources)} checkpoints: name one of them, such as {last}"
        )
    return last


def adapts(source: Source) -> bool:
    """Return whether a source is an adapter."""
    return isinstance(source, Path) and is_adapter(source)


def own_bases(one: Source, other: Source) -> tuple[Path, Path]:
    """Find the bases that two adapters name; one path where they are one folder.

    Raises:
        CheckpointError: There is no such base, or it does not lie beside its adapter.
    """
    first, second = _own_base(Path(str(one))), _own_base(Path(str(other)))
    return first, first if second.samefile(first) else second


def _own_base(path: Path) -> Path:
    """Find the base that an adapter names: in its folder, or beside it."""
    folder = Path(os.path.realpath(path.parent))
    with contextlib.suppress(UnsafeError):
        base = base_of(path, within=folder.parent)
        there = Path(os.path.realpath(base.parent))
        check_within(base, there)
        if folder.parent in (there, there.parent) or there.is_relative_to(folder):
            return base
    stated = f"{read_adapter_config(path).base!r:.500}"
    raise UnsafeError(
        f"the base model of {path}, {stated}, is neither in {folder} nor beside it: if you "
        f"trust it, compare each adapter with it: mdtree weights {path.parent} --against BASE"
    )


def named(source: Source) -> str:
    """Name a source in a message."""
    return str(source) if isinstance(source, str | Path) else f"the weights {IN_MEMORY}"

"""The tensors of a checkpoint: those of its file, or those of a base with an adapter added.

The base is looked for in the folders of this machine.  Nothing is downloaded.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from mdtree.checkpoints.adapters import is_adapter, missing_base, read_adapter_config, short
from mdtree.checkpoints.discovery import checkpoint_files
from mdtree.checkpoints.lazy import TensorListing, stored_tensors
from mdtree.checkpoints.merging import merged, renamed_base
from mdtree.exceptions import UnreadableError, UnsafeError

__all__ = ["base_of", "list_base", "list_tensors", "trained_labels"]

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


def base_of(path: Path, *, named: Path | None = None, within: Path | None = None) -> Path:
    """Find the weights of the model that an adapter changes.

    Args:
        path: The weights of the adapter.
        named: A folder or file that the user names; it wins over the config.
        within: The folder that must contain the base, unless the user names it.

    Raises:
        UnreadableError: There is no such folder, or it holds no weights, or an adapter.
        UnsafeError: The base is outside the folder.
    """
    folder = named
    if folder is None:
        folder = _folder(path, read_adapter_config(path).base)
        if within is not None and not _real(folder).is_relative_to(_real(within)):
            raise UnsafeError(
                f"the base model of {path}, {folder!s:.500}, is outside {within}: if you trust it, "
                "name it yourself (--model huggingface --model-arg base=FOLDER, and --data)"
            )
    if folder.is_file():
        files = [folder]
    elif folder.is_dir():
        files = checkpoint_files(folder)
    else:
        raise UnreadableError(f"the base model {folder!s:.500} of {path} does not exist")
    if len(files) != 1 or is_adapter(files[0]):
        held = "an adapter" if len(files) == 1 else f"{len(files)} weights files"
        raise UnreadableError(
            f"the base model {folder!s:.500} of {path} must be a folder with one checkpoint, but "
            f"it holds {held}"
        )
    return files[0]


def _folder(path: Path, base: str | None) -> Path:
    """Find the folder that a config names: from here, as PEFT does, or from the adapter."""
    advice = "name its folder: --model huggingface --model-arg base=FOLDER (nothing is downloaded)"
    if not base:
        raise UnreadableError(f"{path} does not say which model it changes: {advice}")
    if not base.startswith(("//", "\\\\")):  # a server, which is not asked
        for place in (Path(base), path.parent / base):
            if os.path.isdir(place):  # noqa: PTH112 - Path.is_dir fails for names that are too long
                return place
    raise UnreadableError(f"{path} changes the model {short(base)}, which is not here: {advice}")


def _real(path: Path) -> Path:
    try:
        return Path(os.path.realpath(path))
    except ValueError:
        return path

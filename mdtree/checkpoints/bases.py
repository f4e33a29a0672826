"""Bases: the model that an adapter changes, in a folder of this machine. Nothing is downloaded."""

from __future__ import annotations

import os
from pathlib import Path

from mdtree.checkpoints.adapters import is_adapter, read_adapter_config, short
from mdtree.checkpoints.discovery import checkpoint_files
from mdtree.exceptions import UnreadableError, UnsafeError

__all__ = ["base_of"]


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

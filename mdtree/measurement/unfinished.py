"""Unfinished work of a group, kept in a file so that a later stage of a diagnosis goes on from it.

All of it are tensors: those of each member.  The files of a run lie in one temporary folder, and
together they take at most 4 GiB: what does not fit is measured from its beginning.
"""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

__all__ = ["UnfinishedWork", "read_unfinished", "write_unfinished"]

UnfinishedWork = dict[str, dict[str, Tensor]]  # member -> name -> tensor

_MOST = 4 << 30  # bytes
_BETWEEN = "\n"  # which the name of a tensor does not have


def read_unfinished(path: Path | None) -> UnfinishedWork:
    """Read what an earlier stage has left; nothing if it has left nothing."""
    work: UnfinishedWork = {}
    try:
        tensors = {} if path is None else load_file(path)
    except (OSError, SafetensorError):
        return {}
    for key, tensor in tensors.items():
        member, _, name = key.rpartition(_BETWEEN)
        work.setdefault(member, {})[name] = tensor
    return work


def write_unfinished(path: Path | None, work: UnfinishedWork | None) -> None:
    """Keep unfinished work, in the place of what was kept before, if there is room for it."""
    if path is None:
        return
    path.unlink(missing_ok=True)
    tensors = {
        f"{member}{_BETWEEN}{name}": tensor.contiguous()
        for member, parts in (work or {}).items()
        for name, tensor in parts.items()
    }
    size = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    try:
        used = sum(file.stat().st_size for file in path.parent.iterdir())
        if 0 < size <= _MOST - used:
            save_file(tensors, path)
    except (OSError, SafetensorError):
        path.unlink(missing_ok=True)  # it is not needed, and half of it is of no use

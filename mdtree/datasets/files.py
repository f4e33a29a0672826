"""Data in files: arrays (.npz) or tensors (.pt), read without running any code in them."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mdtree.batch import as_batch
from mdtree.datasets.items import TensorItems
from mdtree.exceptions import DataError

__all__ = ["from_file"]

_BYTE = 255.0


def from_file(path: Path) -> TensorItems:
    """Read a file with entries `x` and `y`, or with one entry for each model input and `labels`."""
    try:
        raw = _arrays(path) if _is_npz(path) else _tensors(path)
    except OSError as error:
        raise DataError(f"data file {path} cannot be read: {error.strerror or error}") from error
    if isinstance(raw, tuple | list) and len(raw) == 2:  # noqa: PLR2004 - (x, y)
        raw = {"x": raw[0], "y": raw[1]}
    if not isinstance(raw, dict) or not all(isinstance(v, Tensor) for v in raw.values()):
        raise DataError(f"data file {path} must hold tensors x and y, got {type(raw).__name__}")
    tensors = {str(key): _plain(value) for key, value in raw.items()}
    lengths = {key: len(t) if t.dim() else None for key, t in tensors.items()}
    if not tensors or len(set(lengths.values())) > 1 or 0 in lengths.values():
        raise DataError(f"data file {path}: entries must have one length, above 0; got {lengths}")
    for key, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise DataError(f"data file {path}: {key} holds NaN or infinite values")
    if tensors.keys() == {"x", "y"}:
        return TensorItems((tensors["x"], tensors["y"]))
    try:
        return TensorItems(as_batch(tensors))
    except DataError as error:
        raise DataError(
            f"data file {path} must hold x and y, or named inputs and labels; "
            f"it holds {', '.join(tensors)}"
        ) from error


def _is_npz(path: Path) -> bool:
    """Tell NumPy's archive from torch's: both are zip files."""
    if not path.exists() or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return all(name.endswith(".npy") for name in archive.namelist())


def _arrays(path: Path) -> dict[str, Tensor]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {key: torch.from_numpy(archive[key]) for key in archive.files}
    except (ValueError, TypeError, zipfile.BadZipFile) as error:
        raise DataError(f"data file {path} cannot be read: {error}") from error


def _tensors(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            f"data file {path} is neither .npz nor a file of tensors written by torch.save: {first}"
        ) from error


def _plain(tensor: Tensor) -> Tensor:
    """Bring values to what networks take: images of bytes to 0..1, float64 to float32."""
    if tensor.dtype == torch.uint8 and tensor.dim() > 1:
        return tensor.float() / _BYTE
    if tensor.dtype == torch.float64:
        return tensor.float()
    if not tensor.is_floating_point() and not tensor.is_complex():
        return tensor.long()
    return tensor

"""Data in files: arrays (.npz), tensors (.pt, .safetensors), ids (.jsonl), folders of Arrow files.

No code is run.

Reading takes memory in proportion to the file: a tensor must not repeat stored values (a stride of
0 turns one byte into a gigabyte), and compressed arrays must not become a thousand times as large.
"""

from __future__ import annotations

import os
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from safetensors.torch import load
from torch import Tensor

from mdtree.batch import IDS, LABELS, MASK, as_batch, describe
from mdtree.datasets.arrow import arrow_files, from_arrow
from mdtree.datasets.tokens import from_lines, is_blank, is_lines
from mdtree.exceptions import DataError
from mdtree.items import TensorItems, aligned
from mdtree.messages import printable
from mdtree.regular_file import open_regular
from mdtree.scanning import damage, is_zip, pickle_fault, zip_fault

__all__ = ["check_file", "from_file"]

_BYTE = 255.0
_LARGEST = 1 << 30  # bytes that data may always take in memory,
_RATIO = 100  # or this many times the file: bytes become floats, and are compressed up to 20 times
_SHARED = 4  # how often all tensors together may use the bytes of the file
_NEVER_IMAGES = ("y", *LABELS, IDS, MASK)
_HOW = "write it with numpy.savez, or with torch.save after .contiguous()"


def from_file(path: Path) -> TensorItems:
    """Read a file with entries `x` and `y`, or with one entry for each model input and `labels`.

    A folder is that of a Dataset of the package `datasets`; its entries are its columns of numbers.

    Token ids (`input_ids`) without labels are their own labels.

    Raises:
        DataError: The file cannot be read, or does not contain such tensors.
    """
    is_folder = path.is_dir()
    raw = from_arrow(path) if is_folder else _read(path)
    if isinstance(raw, tuple | list) and len(raw) == 2:  # noqa: PLR2004 - (x, y)
        raw = {"x": raw[0], "y": raw[1]}
    if not isinstance(raw, dict) or not all(isinstance(v, Tensor) for v in raw.values()):
        raise DataError(f"data file {path} must contain tensors x and y, got {describe(raw)}")
    needed = sum(value.numel() * _width(value, str(key)) for key, value in raw.items())
    files = arrow_files(path) if is_folder else [path]
    if needed > max(_LARGEST, _RATIO * sum(file.stat().st_size for file in files)):
        raise DataError(
            f"data file {path} would take {needed} bytes of memory, more than {_RATIO} times its "
            f"size: {_HOW}"
        )
    tensors = {str(key): _plain(value, str(key)) for key, value in raw.items()}
    lengths = {key: len(t) if t.dim() else None for key, t in tensors.items()}
    if len(set(lengths.values())) != 1 or not all(lengths.values()):
        raise DataError(
            f"data file {path}: entries must have the same length, above 0; got {lengths}"
        )
    for key, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise DataError(f"data file {path}: {printable(key)} contains NaN or infinite values")
    if tensors.keys() == {"x", "y"}:
        return TensorItems((tensors["x"], tensors["y"]))
    try:
        return TensorItems(as_batch(tensors))
    except DataError as error:
        if IDS in tensors:
            raise DataError(f"data file {path}: {error}") from error
        raise DataError(
            f"data file {path} must contain x and y, or named inputs and labels; "
            f"got {printable(', '.join(tensors))}"
        ) from error


def check_file(path: Path) -> None:
    """Refuse a file that would become far larger in memory, whoever reads it."""
    _read(path)


def _read(path: Path) -> Any:
    try:
        with open_regular(path) as file:  # once: what is checked is what is read
            if is_lines(file) or is_blank(file):
                return from_lines(path, file, _size(file))
            if _is_safetensors(file):
                return {key: aligned(tensor) for key, tensor in load(file.read()).items()}
            return _arrays(file) if _checked(path, file) else _tensors(path, file)
    except DataError:
        raise
    except OSError as error:
        raise DataError(f"data file {path} cannot be read: {error.strerror or error}") from error
    except Exception as error:
        # damage shows itself anywhere in the readers: BadZipFile, EOFError, KeyError, zlib.error
        raise DataError(
            f"data file {path} is neither .npz nor tensors written by torch.save (or safetensors, "
            f"or lines of JSON): {_reason(error)}"
        ) from error


def _checked(path: Path, file: IO[bytes]) -> bool:
    """Refuse a damaged or dangerous file; return whether it is NumPy's archive, not torch's."""
    is_npz, fault = False, None
    if is_zip(file):
        with zipfile.ZipFile(file) as archive:
            is_npz = all(name.endswith(".npy") for name in archive.namelist())
            fault = zip_fault(archive, _size(file), compressed=is_npz)
    if not is_npz and (name := damage(file)):  # NumPy compares checksums itself
        raise DataError(
            f"data file {path} is damaged: {name:.100} does not match its checksum; copy it again"
        )
    if fault := fault or pickle_fault(file):
        raise DataError(
            f"data file {path} was not read: {fault}; write it with numpy.savez or torch.save"
        )
    return is_npz


def _size(file: IO[bytes]) -> int:
    return os.fstat(file.fileno()).st_size


def _is_safetensors(file: IO[bytes]) -> bool:
    """Return whether a file begins with the length of a header, and a header."""
    head = file.read(9)
    file.seek(0)
    return head[8:] == b"{" and int.from_bytes(head[:8], "little") <= _size(file) - 8


def _arrays(file: IO[bytes]) -> dict[str, Tensor]:
    with np.load(file, allow_pickle=False) as archive:
        # aligned once, not each batch of it in each pass
        return {key: aligned(torch.from_numpy(archive[key])) for key in archive.files}


def _tensors(path: Path, file: IO[bytes]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on an unusual file: if it fails, the error says so
        raw = torch.load(file, map_location="cpu", weights_only=True)
    if fault := _fault(list(_tensors_in(raw)), _size(file)):
        raise DataError(f"data file {path} was not read: {fault}; {_HOW}")
    return raw


def _tensors_in(raw: Any) -> Iterator[Tensor]:
    """Yield the tensors nested in a value, each once."""
    left, seen = [raw], {id(raw)}
    while left:
        value = left.pop()
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, dict | tuple | list | set):
            parts = value.values() if isinstance(value, dict) else value
            fresh = {id(part): part for part in parts if id(part) not in seen}
            left += fresh.values()
            seen |= fresh.keys()


def _fault(tensors: list[Tensor], size: int) -> str | None:
    """Return why tensors cannot come from a file of `size` bytes, or None."""
    total, storage_sizes = 0, {}
    for tensor in tensors:
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_nested:
            return "it contains a sparse, nested or quantized tensor"
        if tensor.device.type != "cpu":
            return "it contains a tensor without values"
        storage = tensor.untyped_storage()
        if tensor.nbytes > storage.nbytes():
            return f"it contains {describe(tensor)}, whose values repeat the same bytes"
        total += tensor.nbytes
        storage_sizes[storage.data_ptr()] = storage.nbytes()
    if max(total / _SHARED, sum(storage_sizes.values())) > size:
        return f"its tensors take {total} bytes, but it has only {size}"
    return None


def _reason(error: Exception) -> str:
    text = f"{type(error).__name__}: {error}".splitlines()[0]
    # torch's own message advises to load the file in the way that runs code
    foreign = "weights_only" in text or "Weights only" in text
    return "it contains other objects; none of its code was run" if foreign else text


def _is_image(tensor: Tensor, key: str) -> bool:
    return tensor.dtype == torch.uint8 and tensor.dim() > 1 and key not in _NEVER_IMAGES


def _width(tensor: Tensor, key: str) -> int:
    """Return the bytes per number after conversion."""
    if tensor.is_complex():
        return tensor.element_size()
    return 4 if tensor.is_floating_point() or _is_image(tensor, key) else 8


def _plain(tensor: Tensor, key: str) -> Tensor:
    """Convert values for networks: image bytes to 0..1, floats to float32."""
    if _is_image(tensor, key):
        return tensor.float() / _BYTE
    if tensor.is_floating_point():
        return tensor.float()
    return tensor if tensor.is_complex() else tensor.long()

"""The kind of a file, by its first bytes: suffixes such as .pt, .pkl or .bin say nothing."""

from __future__ import annotations

import codecs
import os
import re
import zipfile
from enum import Enum
from pathlib import Path

from mdtree.exceptions import UnreadableError, UnsafeError
from mdtree.regular_file import open_regular
from mdtree.scanning import zip_fault

__all__ = ["INDEX", "Kind", "kind_of", "looks_like_weights"]

INDEX = (".safetensors.index.json", ".bin.index.json")  # of checkpoints in several parts

_SUFFIXES = (".safetensors", ".pt", ".pth", ".pth.tar", ".pkl", ".bin", ".ckpt", ".tar")

# files without weights that trainers write next to weights
_BESIDE = re.compile(
    r"(optimizer|(lr_)?scheduler|scaler|sampler|rng_state|random_states|training_args)(_\d+)?\.\w+"
)

_LEGACY = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"  # torch's magic number, pickled
_PICKLE = b"\x80"

# first bytes -> what to tell the user
_FOREIGN: dict[bytes, str] = {
    b"\x89HDF": "an HDF5 file (Keras); mdtree reads PyTorch weights",
    b"GGUF": "a GGUF file; convert it to safetensors",
    b"\x1f\x8b": "compressed with gzip; unpack it first",
    b"<": "an HTML or XML page: was the download a web page?",
    b"version https://git-lfs": "a Git LFS pointer: run `git lfs pull` to fetch the weights",
    b"\x93NUMPY": "a NumPy array; mdtree reads PyTorch weights",
}


class Kind(Enum):
    """The file formats of weights that mdtree reads."""

    SAFETENSORS = "safetensors"
    SHARDED = "several parts with an index"
    TORCH = "torch zip"
    LEGACY = "torch legacy"


def looks_like_weights(path: Path) -> bool:
    """Return whether a file in a checkpoint directory looks like a weights file."""
    name = path.name.lower()
    if name.startswith(".") or _BESIDE.fullmatch(name):
        return False
    if name.endswith(_SUFFIXES):
        return True
    try:
        return "." not in path.name and kind_of(path) is not None
    except (UnreadableError, UnsafeError):
        return False


def kind_of(path: Path) -> Kind:
    """Return the format of a weights file.

    Raises:
        UnreadableError: The file cannot be read, is damaged, or is not a weights file.
        UnsafeError: The file holds code, or was not written by torch.save.
    """
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            head = file.read(64)
    except OSError as error:
        raise UnreadableError(f"{path} cannot be read: {error.strerror or error}") from error
    if path.name.endswith(INDEX):
        return Kind.SHARDED
    if head.startswith(b"PK\x03\x04"):
        return _kind_of_zip(path, size)
    if _LEGACY in head[:32]:
        return Kind.LEGACY
    if head[5:9] == b"\0\0\0{":  # the header follows its length of 8 bytes
        return _kind_of_safetensors(path, int.from_bytes(head[:8], "little"), size)
    raise _foreign(path, head)


def _kind_of_safetensors(path: Path, header: int, size: int) -> Kind:
    if 8 + header > size:
        raise UnreadableError(
            f"{path} is a truncated safetensors file: "
            f"its header needs {header} bytes, but the file has only {size}"
        )
    return Kind.SAFETENSORS


def _kind_of_zip(path: Path, size: int) -> Kind:
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            fault = zip_fault(archive, size)
    except Exception as error:
        # damage shows itself anywhere in the reader: BadZipFile, EOFError, struct.error, ...
        raise UnreadableError(f"{path} is a truncated or damaged torch.save file") from error
    parts = {name.partition("/")[2] for name in names}
    if "constants.pkl" in parts or any(part.startswith("code/") for part in parts):
        raise UnsafeError(
            f"{path} is a TorchScript archive, which holds code: "
            "save the state_dict of the original module instead"
        )
    if "data.pkl" in parts and fault is not None:
        raise UnsafeError(
            f"{path} was not written by torch.save: {fault}; save the weights again with torch.save"
        )
    if "data.pkl" in parts:
        return Kind.TORCH
    if names and all(name.endswith(".npy") for name in names):
        raise UnreadableError(f"{path} is a NumPy archive; mdtree reads PyTorch weights")
    raise UnreadableError(f"{path} is a zip archive, but not one that torch.save wrote")


def _foreign(path: Path, head: bytes) -> UnreadableError | UnsafeError:
    """Build the error that says what a file without weights is, by its first bytes."""
    if not head:
        return UnreadableError(f"{path} is empty")
    start = head.removeprefix(codecs.BOM_UTF8).lstrip()
    for magic, meaning in _FOREIGN.items():
        if start.startswith(magic):
            return UnreadableError(f"{path} is {meaning}")
    if head.startswith(_PICKLE):
        return UnsafeError(
            f"{path} is a Python pickle that torch.save did not write; it was not opened, because "
            "pickles can run code: save the state_dict with torch.save or safetensors"
        )
    what = "a text file" if _is_text(head) else "of an unknown kind"
    return UnreadableError(
        f"{path} is {what}, not weights (known: safetensors and torch.save files)"
    )


def _is_text(head: bytes) -> bool:
    try:
        return "\0" not in codecs.getincrementaldecoder("utf-8")().decode(
            head
        )  # may end inside a character
    except UnicodeDecodeError:
        return False

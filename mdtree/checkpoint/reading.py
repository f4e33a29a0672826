"""Reading a weights file without running anything in it: the only door to weights on disk."""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import pickle
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from mdtree.checkpoint.kind import Kind, kind_of
from mdtree.exceptions import UnreadableError, UnsafeError

__all__ = ["file_digest", "parts_of", "read"]

# Plain holders of values that training scripts put beside the weights: command-line arguments
# (torchvision's and timm's scripts) and numbers of NumPy (a best accuracy).  None can run code.
_HARMLESS: tuple[Any, ...] = (
    argparse.Namespace,
    np.dtype,
    np.float64(0).__reduce__()[0],  # the function that rebuilds a number of NumPy
    *(type(np.dtype(name)) for name in ("f8", "f4", "f2", "i8", "i4", "u1", "b1")),
)


def read(path: Path, *, trust: Iterable[str] = ()) -> Any:
    """Read all that a weights file holds, on the CPU: a dictionary of tensors, usually nested."""
    kind = kind_of(path)
    if kind is Kind.SAFETENSORS:
        return _safetensors(path)
    if kind is Kind.SHARDED:
        tensors: dict[str, Tensor] = {}
        for part in parts_of(path)[1:]:
            tensors |= _safetensors(part)
        return tensors
    return _torch(path, tuple(trust))


def file_digest(path: Path) -> str:
    """Hash a weights file; for a sharded one, its index and all parts."""
    digest = hashlib.sha256()
    for part in parts_of(path):
        try:
            with part.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        except OSError as error:
            raise UnreadableError(f"{part} cannot be read: {error.strerror or error}") from error
    return digest.hexdigest()


def parts_of(path: Path) -> list[Path]:
    """List the files of one checkpoint: itself, and the parts that its index names."""
    if not path.name.endswith(".index.json"):
        return [path]
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        names = sorted(set(index["weight_map"].values()))
        inside = all(isinstance(name, str) and Path(name).name == name for name in names)
    except OSError as error:
        raise UnreadableError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UnreadableError(f"{path} is not an index of safetensors files") from error
    if not inside:
        raise UnsafeError(f"{path} names files outside its own folder")
    return [path, *(path.with_name(name) for name in names)]


def _safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path, device="cpu")
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise UnreadableError(f"{path} is a damaged safetensors file: {error}") from error


def _torch(path: Path, trust: tuple[str, ...]) -> Any:
    admitted = [*_HARMLESS, *(_class(name) for name in trust if "." in name and ":" not in name)]
    try:
        with torch.serialization.safe_globals([c for c in admitted if c is not None]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise _refusal(path, error) from error
    except OSError as error:
        raise UnreadableError(f"{path} cannot be read: {error.strerror or error}") from error
    except Exception as error:
        # damage shows itself anywhere in the reader: EOFError, RuntimeError, KeyError, ...
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UnreadableError(
            f"{path} is a truncated or damaged file of torch.save: {first}"
        ) from (error)


def _refusal(path: Path, error: Exception) -> UnsafeError | UnreadableError:
    try:
        names = sorted(set(torch.serialization.get_unsafe_globals_in_checkpoint(path)))
    except Exception:  # noqa: BLE001 - the list is a courtesy, and the legacy format has none
        names = []
    if not names:
        found = [word.strip("`'\".,") for word in str(error).split() if "GLOBAL" not in word]
        names = [word for word in found if "." in word and word.replace(".", "").isidentifier()][:1]
    modules = [name for name in names if name.startswith(("torch.nn.modules.", "__main__."))]
    if not names:
        return UnreadableError(f"{path} is a damaged file of torch.save: {_first_line(error)}")
    if modules:
        return UnsafeError(
            f"{path} holds a whole pickled module ({', '.join(modules[:3])}), and loading it would "
            "run code: save model.state_dict() instead"
        )
    return UnsafeError(
        f"{path} holds objects that could run code: {', '.join(names)}; nothing was loaded. "
        "Save the state_dict alone"
        + (f", or add {' '.join(f'--trust {name}' for name in names)}" if len(names) < 4 else "")  # noqa: PLR2004 - more would bury the advice
    )


def _class(name: str) -> Any:
    """Import a class that the user trusts by name; a name of anything else admits nothing."""
    module, _, attribute = name.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except ImportError:
        return None
    return found if isinstance(found, type) else None


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__

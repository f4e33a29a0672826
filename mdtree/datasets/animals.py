"""Animal-MNIST: 10,000 grey images of 28x28 pixels, ten animals, a thousand of each.

It is the PyPI package animal-mnist (MIT), which imports TensorFlow; only its data are read here,
out of the wheel (`pip download --no-deps animal-mnist==0.4`), out of a folder, or where it is
installed.  They are pickles, so nothing but arrays of NumPy is admitted.
"""

from __future__ import annotations

import gzip
import importlib
import importlib.util
import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from mdtree.config import Animals
from mdtree.datasets.items import TensorItems
from mdtree.exceptions import DataError

__all__ = ["animals"]

_PLACE = "animal_mnist/data/Animal_MNIST/animal_{}_version_3.gz"
_ITEMS, _SIDE = 10_000, 28
_TRAIN = 6_000
_BRIGHTEST = 255.0
_LARGEST = 64 << 20  # bytes, unpacked
_HOW = "fetch it with: pip download --no-deps animal-mnist==0.4 -d FOLDER, and write root: FOLDER"
# what makes up a pickled array; NumPy 2 moved its inside from `core` to `_core`
_ADMITTED = frozenset(
    {"numpy.ndarray", "numpy.dtype"}
    | {f"numpy.{c}.multiarray._reconstruct" for c in ("core", "_core")}
    | {f"numpy.{c}.numeric._frombuffer" for c in ("core", "_core")}
)


class _ArraysOnly(pickle.Unpickler):
    """Admits what makes up an array of numbers."""

    def find_class(self, module: str, name: str) -> Any:
        if f"{module}.{name}" not in _ADMITTED:
            raise pickle.UnpicklingError(f"{module}.{name} is no part of an array")
        return getattr(importlib.import_module(module.replace("numpy.core", "numpy._core")), name)


def animals(spec: Animals, folder: Path) -> tuple[TensorItems, TensorItems]:
    """Read 6,000 training and 4,000 test items, shuffled once and for all.

    Sides of 14 pixels are means over 2x2: a quarter of the work, and all animals to be told.
    """
    read = _source(None if spec.root is None else folder / spec.root)
    images, labels = (_array(read, part) for part in ("data", "label"))
    if images.shape != (_ITEMS, _SIDE, _SIDE) or labels.shape != (_ITEMS,):
        raise DataError(
            f"Animal-MNIST has {_ITEMS} images of {_SIDE}x{_SIDE}, got {images.shape} and "
            f"labels {labels.shape}: {_HOW}"
        )
    x = torch.from_numpy(images.astype(np.float32)).unsqueeze(1) / _BRIGHTEST
    if spec.side != _SIDE:
        x = F.avg_pool2d(x, _SIDE // spec.side)
    y = torch.from_numpy(labels.astype(np.int64))
    order = torch.randperm(_ITEMS, generator=torch.Generator().manual_seed(0))
    train, test = order[:_TRAIN], order[_TRAIN:]
    return TensorItems((x[train], y[train])), TensorItems((x[test], y[test]))


def _source(root: Path | None) -> Callable[[str], bytes]:
    """Find out how the package's files are read."""
    if root is None:
        found = importlib.util.find_spec("animal_mnist")  # found, not imported
        if found is None or not found.submodule_search_locations:
            raise DataError(f"the data Animal-MNIST are not there: {_HOW}")
        root = Path(next(iter(found.submodule_search_locations))).parent
    wheels = [root] if root.suffix == ".whl" else sorted(root.glob("animal_mnist-*.whl"))
    if wheels:
        return lambda name: _from_wheel(wheels[-1], name)
    return lambda name: _from_folder(root / name)


def _from_wheel(wheel: Path, name: str) -> bytes:
    try:
        with zipfile.ZipFile(wheel) as archive:
            return archive.read(name)
    except (OSError, zipfile.BadZipFile, KeyError) as error:
        raise DataError(f"{wheel} is not the wheel of animal-mnist: {error}; {_HOW}") from error


def _from_folder(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}; {_HOW}") from error


def _array(read: Callable[[str], bytes], part: str) -> NDArray[Any]:
    name = _PLACE.format(part)
    try:
        with gzip.open(io.BytesIO(read(name))) as file:
            found = _ArraysOnly(io.BytesIO(file.read(_LARGEST))).load()
    except DataError:
        raise
    except Exception as error:
        # damage shows itself anywhere in the reader: BadGzipFile, EOFError, UnpicklingError, ...
        raise DataError(f"{name} is no pickled array: {error}; {_HOW}") from error
    if not isinstance(found, np.ndarray) or found.dtype.kind not in "uif":
        raise DataError(f"{name} holds no array of numbers, got {type(found).__name__}; {_HOW}")
    return found

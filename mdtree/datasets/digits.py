"""The digits of scikit-learn: 1,797 images of 8x8 pixels in ten classes, inside its package.

Their table is read as a file: importing scikit-learn for it would take as long as importing torch.

Alpaydin and Kaynak: "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository.
"""

from __future__ import annotations

import gzip
import io
import zlib

import numpy as np
import torch

from mdtree.datasets.packages import installed_folder, read_at_most, read_file
from mdtree.exceptions import DataError
from mdtree.items import TensorItems

__all__ = ["digits"]

_PACKAGE, _PLACE = "sklearn", "sklearn/datasets/data/digits.csv.gz"
_LARGEST = 1 << 20  # bytes, packed or unpacked
_TRAIN = 1200
_SIDE = 8
_BRIGHTEST = 16.0


def digits() -> tuple[TensorItems, TensorItems]:
    """Read 1,200 training and 597 test items in a fixed random order (writers are mixed).

    Raises:
        DataError: scikit-learn is not installed with its data.
    """
    table = _table()
    x = table[:, :-1].float().reshape(-1, 1, _SIDE, _SIDE) / _BRIGHTEST
    y = table[:, -1].long()
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))
    train, test = order[:_TRAIN], order[_TRAIN:]
    return TensorItems((x[train], y[train])), TensorItems((x[test], y[test]))


def _table() -> torch.Tensor:
    """Read a line for each image: its pixels, and its class."""
    folder = installed_folder(_PACKAGE)
    if folder is None:
        raise DataError("the digits need scikit-learn: pip install scikit-learn")
    try:
        packed = io.BytesIO(read_file(folder / _PLACE, _LARGEST))
        with gzip.GzipFile(fileobj=packed) as file:
            lines = read_at_most(file, _LARGEST).decode().splitlines()
        return torch.from_numpy(np.loadtxt(lines, delimiter=",", ndmin=2))
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise DataError(
            f"the digits of scikit-learn cannot be read: {error}; install it again: "
            "pip install --force-reinstall scikit-learn"
        ) from error

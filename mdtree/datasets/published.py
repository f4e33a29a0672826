"""Data sets of torchvision: which a found recipe may name, and checks before they are read.

torchvision trusts the files in a folder: some are unpickled or unpacked.  It checks most of these
against published checksums; the others are checked here.
"""

from __future__ import annotations

import bz2
from pathlib import Path

from mdtree.datasets.files import check_file
from mdtree.exceptions import DataError, UntrustedError
from mdtree.recipes import Trust
from mdtree.regular_file import open_regular

__all__ = ["check_files", "check_name"]

# data sets of images and arrays, and those whose other files torchvision checks with a checksum
_KNOWN = (
    *(
        "CIFAR10",
        "CIFAR100",
        "CLEVRClassification",
        "CelebA",
        "Country211",
        "DTD",
        "EMNIST",
        "FER2013",
        "FGVCAircraft",
    ),
    *("FakeData", "FashionMNIST", "Flowers102", "Food101", "GTSRB", "ImageNet", "Imagenette"),
    *("KMNIST", "LFWPeople", "MNIST", "QMNIST", "RenderedSST2", "STL10", "SVHN"),
    "USPS",
)
# files that torchvision unpickles or unpacks without a checksum
_UNCHECKED = {
    **{
        name: f"{name}/processed/*.pt"
        for name in ("EMNIST", "FashionMNIST", "KMNIST", "MNIST", "QMNIST")
    },
    "ImageNet": "meta.bin",
    "USPS": "usps*.bz2",
}
_LEAST, _MOST, _RATIO = 1 << 20, 32 << 20, 8  # bytes of USPS: 20 MiB, compressed to 6
_CHUNK = 1 << 20


def check_name(name: str, trust: Trust) -> None:
    """Refuse data sets that a found recipe may not name: they unpack files or use other readers."""
    if name not in _KNOWN and not trust.admits("torchvision.datasets", name):
        raise UntrustedError(
            f"the recipe found inside the directory names torchvision's {name}, which unpacks "
            f"unchecked files, but may only name {', '.join(_KNOWN)}; if you trust these data, "
            f"add --trust torchvision.datasets:{name}, or pass the recipe yourself with --recipe"
        )


def check_files(name: str, root: Path) -> None:
    """Refuse files that would become far larger in memory, before torchvision reads them."""
    for path in sorted(root.glob(_UNCHECKED[name])) if name in _UNCHECKED else ():
        if path.suffix == ".bz2":
            _check_packed(path)
        else:
            check_file(path)


def _check_packed(path: Path) -> None:
    """Unpack a file in chunks, only to count its bytes."""
    most = min(max(_LEAST, _RATIO * path.stat().st_size), _MOST)
    size = 0
    try:
        with open_regular(path) as packed, bz2.open(packed) as file:
            while part := file.read(_CHUNK):
                size += len(part)
                if size > most:
                    raise DataError(
                        f"data file {path} was not read: its {path.stat().st_size} bytes unpack to "
                        f"more than {most}, unlike the published file: fetch it again"
                    )
    except (OSError, EOFError) as error:
        raise DataError(f"data file {path} cannot be unpacked: {error}") from error

"""Data sets of torchvision: which a stranger may name, and what is checked before they are read.

torchvision opens what lies in a folder as its own: some of it is unpickled or unpacked.  It holds
most of these files to their published checksums; the others are looked through here.
"""

from __future__ import annotations

import bz2
from pathlib import Path

from mdtree.datasets.files import check_file
from mdtree.exceptions import DataError, UntrustedError
from mdtree.recipes import Trust
from mdtree.regular_file import open_regular

__all__ = ["check_files", "check_name"]

# sets of pictures and numbers, and sets whose other files torchvision holds to a checksum
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
_LEAST, _MOST, _RATIO = 1 << 20, 32 << 20, 8  # bytes of USPS, which are 20 MiB packed into 6
_CHUNK = 1 << 20


def check_name(name: str, trust: Trust) -> None:
    """Refuse data sets that a found recipe may not name: they unpack, or run other readers."""
    if name not in _KNOWN and not trust.admits("torchvision.datasets", name):
        raise UntrustedError(
            f"the recipe found inside the directory names torchvision's {name}, which unpacks what "
            f"lies there unchecked, and may only name {', '.join(_KNOWN)}; if you know these data, "
            f"add --trust torchvision.datasets:{name}, or name the recipe yourself with --recipe"
        )


def check_files(name: str, root: Path) -> None:
    """Refuse files that would become far more than they are, before torchvision reads them."""
    for path in sorted(root.glob(_UNCHECKED[name])) if name in _UNCHECKED else ():
        if path.suffix == ".bz2":
            _check_packed(path)
        else:
            check_file(path)


def _check_packed(path: Path) -> None:
    """Unpack a file in parts, and keep none."""
    most = min(max(_LEAST, _RATIO * path.stat().st_size), _MOST)
    size = 0
    try:
        with open_regular(path) as packed, bz2.open(packed) as file:
            while part := file.read(_CHUNK):
                size += len(part)
                if size > most:
                    raise DataError(
                        f"data file {path} is not read: its {path.stat().st_size} bytes would "
                        f"become more than {most}, as the published ones do not"
                    )
    except (OSError, EOFError) as error:
        raise DataError(f"data file {path} cannot be unpacked: {error}") from error

"""Images: the data sets of torchvision, and folders of images.

torchvision trusts the files in a folder: some are unpickled or unpacked.  It checks most of these
against published checksums; the others are checked here.
"""

from __future__ import annotations

import bz2
import functools
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from mdtree.datasets.decoding import LARGEST, Guarded, megabytes, picture
from mdtree.datasets.files import check_file
from mdtree.exceptions import DataError, MdtreeError, UntrustedError
from mdtree.factory import call, find
from mdtree.items import DatasetItems
from mdtree.messages import nearest
from mdtree.recipes import Images, TorchvisionData, Transform, Trust
from mdtree.regular_file import open_regular
from mdtree.runtime.offline import offline
from mdtree.runtime.torchvision import torchvision

__all__ = ["from_folders", "from_torchvision"]

# arguments for the training and the test half of a data set
_SPLITS = (
    ({"train": True}, {"train": False}),
    ({"split": "train"}, {"split": "test"}),
    ({"split": "train"}, {"split": "val"}),
)
_OURS = ("root", "transform", "download", "train")  # arguments that a recipe cannot set
_COLOURS = 3
_FLOAT = 4  # bytes
_PIXELS = 89_478_485  # of an image while it is resized; Pillow's own limit

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


def from_torchvision(
    spec: TorchvisionData, folder: Path, *, trust: Trust, allow_download: bool
) -> tuple[DatasetItems, DatasetItems]:
    """Read both halves of a torchvision data set from a local folder.

    Args:
        spec: The data of the recipe.
        folder: The folder that relative paths start from.
        trust: Which factories and data sets the recipe may use.
        allow_download: Let torchvision fetch the data set.

    Raises:
        DataError: The data set is unknown or cannot be read.
        UntrustedError: The recipe may not use this data set.
    """
    datasets = torchvision("torchvision.datasets")
    kind = getattr(datasets, spec.name, None) if spec.name in datasets.__all__ else None
    if kind is None:
        raise DataError(
            f"torchvision has no data set {spec.name!r}{nearest(spec.name, datasets.__all__)}"
        )
    _check_name(spec.name, trust)
    if ours := [key for key in _OURS if key in spec.kwargs]:
        raise DataError(
            f"data.kwargs must not contain {', '.join(ours)}: mdtree sets root and transform from "
            "the recipe, reads both halves, and downloads only with --allow-download"
        )
    root = folder / spec.root
    options: dict[str, Any] = {"root": str(root), "transform": _transform(spec.transform, trust)}
    if allow_download:
        options["download"] = True
    _check_files(spec.name, root)
    faults: list[str] = []
    for halves in _SPLITS:
        network = nullcontext() if allow_download else offline(f"torchvision's {spec.name}")
        try:
            with network:
                train, test = (kind(**options, **half, **spec.kwargs) for half in halves)
        except MdtreeError:
            raise
        except (RuntimeError, OSError) as error:
            raise DataError(
                f"torchvision's {spec.name} cannot be read from {root}: {error}; "
                "put it there, or download it with --allow-download"
            ) from error
        except Exception as error:  # noqa: BLE001 - other arguments for the halves, or damaged files
            faults.append(f"{type(error).__name__}: {error}")
        else:
            return _items(train, spec.transform), _items(test, spec.transform)
    raise DataError(
        f"torchvision's {spec.name} has no training and test half ({'; '.join(faults)}): "
        "write a factory that returns (train, test), and name it as data.source"
    )


def _check_name(name: str, trust: Trust) -> None:
    """Refuse data sets that a found recipe may not name: they unpack files or use other readers."""
    if name not in _KNOWN and not trust.admits("torchvision.datasets", name):
        raise UntrustedError(
            f"the recipe found inside the directory names torchvision's {name}, which unpacks "
            f"unchecked files, but may only name {', '.join(_KNOWN)}; if you trust these data, "
            f"add --trust torchvision.datasets:{name}, or pass the recipe yourself with --recipe"
        )


def _check_files(name: str, root: Path) -> None:
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


def from_folders(
    spec: Images, folder: Path, *, trust: Trust
) -> tuple[DatasetItems, DatasetItems | None]:
    """Read ROOT/train/CLASS/* and ROOT/test/CLASS/*; without a test folder there is no test set.

    Raises:
        DataError: There are no images, or the classes of both folders differ.
    """
    root = folder / spec.root
    transform = _transform(spec.transform, trust)
    try:
        train = _image_folder(root / spec.train, transform)
        if not (root / spec.test).exists():
            return _items(train, spec.transform), None
        test = _image_folder(root / spec.test, transform)
    except OSError as error:
        raise DataError(f"no image folder in {root}: {error}") from error
    if train.classes != test.classes:
        raise DataError(
            f"{root}: the class folders of {spec.train} {train.classes} "
            f"and {spec.test} {test.classes} differ"
        )
    return _items(train, spec.transform), _items(test, spec.transform)


def _image_folder(folder: Path, transform: Callable[[Any], Any]) -> Any:
    datasets = torchvision("torchvision.datasets")

    def is_image(path: str) -> bool:  # reading a pipe would never end
        return bool(datasets.folder.is_image_file(path)) and Path(path).is_file()

    return datasets.ImageFolder(
        str(folder), transform=transform, is_valid_file=is_image, loader=picture
    )


def _items(dataset: Any, transform: Transform) -> DatasetItems:
    guarded = Guarded(dataset, functools.partial(_fault, transform))
    return DatasetItems(guarded, torch.arange(len(dataset)))


def _fault(spec: Transform, width: int, height: int) -> str | None:
    """Return why an image of this size would become too large, or None."""
    start = f"its {width} x {height} pixels would become"
    if spec.size is not None:
        short, long = sorted((max(width, 1), max(height, 1)))
        resized = spec.size * (spec.size * long // short)
        if resized > _PIXELS:
            return (
                f"{start} {resized} by transform.size = {spec.size}, before the centre crop, but "
                f"{_PIXELS} are allowed: crop the image, or lower transform.size"
            )
        width = height = spec.size
    needed = _COLOURS * _FLOAT * width * height
    if spec.factory is None and needed > LARGEST:  # a factory's output is checked afterwards
        how = "set transform.size in the recipe" if spec.size is None else "lower transform.size"
        return f"{start} {megabytes(needed)}, but {megabytes(LARGEST)} are allowed: {how}"
    return None


def _transform(spec: Transform, trust: Trust) -> Callable[[Any], Any]:
    transforms = torchvision("torchvision.transforms")
    steps: list[Any] = []
    if spec.size is not None:
        steps += [transforms.Resize(spec.size), transforms.CenterCrop(spec.size)]
    if spec.factory is not None:
        steps.append(call(find(spec.factory, trust), spec.kwargs, spec.factory))
    else:
        steps.append(transforms.ToTensor())
    if spec.mean or spec.std:
        if spec.mean and spec.std and len(spec.mean) != len(spec.std):
            raise DataError(
                f"transform.mean has {len(spec.mean)} values, but transform.std {len(spec.std)}"
            )
        steps.append(transforms.Normalize(spec.mean or (0.0,), spec.std or (1.0,)))
    return transforms.Compose(steps)  # type: ignore[no-any-return]

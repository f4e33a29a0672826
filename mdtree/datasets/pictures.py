"""Pictures: the data sets of torchvision, and folders of images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from mdtree.config import Images, TorchvisionData, Transform, Trust
from mdtree.datasets.items import DatasetItems
from mdtree.exceptions import DataError
from mdtree.factory import call, find
from mdtree.spelling import nearest
from mdtree.vision import torchvision

__all__ = ["from_folders", "from_torchvision"]

_SPLITS = ({"train": True}, {"train": False}), ({"split": "train"}, {"split": "test"})


def from_torchvision(
    spec: TorchvisionData, folder: Path, *, trust: Trust, allow_download: bool
) -> tuple[DatasetItems, DatasetItems]:
    """Read both halves of a data set of torchvision that lies in a local folder."""
    datasets = torchvision("torchvision.datasets")
    kind = getattr(datasets, spec.name, None) if spec.name in datasets.__all__ else None
    if kind is None:
        raise DataError(
            f"torchvision has no data set {spec.name!r}{nearest(spec.name, datasets.__all__)}"
        )
    root = folder / spec.root
    options: dict[str, Any] = {"root": str(root), "transform": _transform(spec.transform, trust)}
    if allow_download:
        options["download"] = True
    for halves in _SPLITS:
        try:
            train, test = (kind(**options, **half, **spec.kwargs) for half in halves)
        except TypeError:
            continue  # some data sets say train=True, others split="train"
        except (RuntimeError, OSError) as error:
            raise DataError(
                f"torchvision's {spec.name} is not in {root}: {error}; "
                "put it there, or let mdtree fetch it with --allow-download"
            ) from error
        return _items(train), _items(test)
    raise DataError(
        f"torchvision's {spec.name} has no training and test half that mdtree knows; "
        "write a factory that returns (train, test), and name it as data.source"
    )


def from_folders(
    spec: Images, folder: Path, *, trust: Trust
) -> tuple[DatasetItems, DatasetItems | None]:
    """Read ROOT/train/CLASS/* and ROOT/test/CLASS/*; without a test folder there is no test set."""
    datasets = torchvision("torchvision.datasets")
    root = folder / spec.root
    transform = _transform(spec.transform, trust)
    try:
        train = datasets.ImageFolder(str(root / spec.train), transform=transform)
        if not (root / spec.test).exists():
            return _items(train), None
        test = datasets.ImageFolder(str(root / spec.test), transform=transform)
    except OSError as error:
        raise DataError(f"no folder of images in {root}: {error}") from error
    if train.classes != test.classes:
        raise DataError(
            f"{root}: the class folders of {spec.train} {train.classes} "
            f"and {spec.test} {test.classes} differ"
        )
    return _items(train), _items(test)


def _items(dataset: Any) -> DatasetItems:
    return DatasetItems(dataset, torch.arange(len(dataset)))


def _transform(spec: Transform, trust: Trust) -> Callable[[Any], Any]:
    if spec.factory is not None:
        return call(find(spec.factory, trust), spec.kwargs, spec.factory)  # type: ignore[no-any-return]
    transforms = torchvision("torchvision.transforms")
    steps: list[Any] = []
    if spec.size is not None:
        steps += [transforms.Resize(spec.size), transforms.CenterCrop(spec.size)]
    steps.append(transforms.ToTensor())
    if spec.mean or spec.std:
        if len(spec.mean) != len(spec.std):
            raise DataError(
                f"transform.mean has {len(spec.mean)} values and transform.std {len(spec.std)}"
            )
        steps.append(transforms.Normalize(spec.mean, spec.std))
    return transforms.Compose(steps)  # type: ignore[no-any-return]

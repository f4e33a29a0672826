"""The data of a recipe: six kinds, distinguished by their `source`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag

from mdtree.messages import nearest
from mdtree.recipes.part import FactRef, OrText, Part, either

__all__ = [
    "DATA_KINDS",
    "Animals",
    "DataSpec",
    "Digits",
    "FactoryData",
    "Images",
    "Tensors",
    "TorchvisionData",
    "Transform",
]

Amount = Annotated[
    Annotated[int, Field(ge=1)] | FactRef | None,
    either("a whole number of at least 1, or a fact such as $amount"),
]
Share = Annotated[
    Annotated[float, Field(ge=0, le=1)] | FactRef,
    either("a share from 0 to 1, or a fact such as $noise"),
]


_FACTORY = r"^[\w.]+:\w+$"  # pkg.module:name


class Transform(Part):
    """The preprocessing of an image."""

    size: int | None = Field(default=None, gt=0)  # resize the shorter side, then centre crop
    mean: tuple[float, ...] = ()  # per channel, of values in 0..1
    std: tuple[Annotated[float, Field(gt=0)], ...] = ()
    factory: str | None = None  # or a function of your own, pkg.module:name
    kwargs: dict[str, Any] = Field(default_factory=dict)


class Source(Part):
    """The settings that all kinds of data share."""

    amount: Amount = None  # training items to use
    subset: Literal["random", "first"] = "random"
    label_noise: Share = 0.0  # fraction of training labels that are replaced by wrong ones
    seed: int = 0  # of the subset and of the noise
    transform: Transform = Transform()


class Digits(Source):
    """The 8x8 digits of scikit-learn: 1,200 to train, 597 to test; nothing to download."""

    source: Literal["digits"] = "digits"


class Animals(Source):
    """Animal-MNIST, ten animals: 6,000 to train, 3,857 to test; from the wheel of animal-mnist."""

    source: Literal["animals"] = "animals"
    root: Path | None = None  # the wheel or its folder; None: the installed package
    side: Literal[14, 28] = 28  # pixels


class TorchvisionData(Source):
    """A data set of torchvision, from a local folder."""

    source: Literal["torchvision"] = "torchvision"
    name: str  # CIFAR10, MNIST, ...
    root: Path
    kwargs: dict[str, Any] = Field(default_factory=dict)


class Images(Source):
    """Folders of images: ROOT/train/CLASS/*.png and ROOT/test/CLASS/*.png."""

    source: Literal["images"] = "images"
    root: Path
    train: str = "train"
    test: str = "test"


class Tensors(Source):
    """Files of arrays (.npz), tensors (.pt, .safetensors), token ids (.jsonl), or save_to_disk.

    Entries are `x` and `y`, or one for each model input, and `labels`.
    """

    source: Literal["tensors"] = "tensors"
    train: Path
    test: Path | None = None


class FactoryData(Source):
    """Data made by a function of your own, `pkg.module:name`, that returns (train, test)."""

    source: str = Field(pattern=_FACTORY)
    kwargs: dict[str, Any] = Field(default_factory=dict)


DATA_KINDS = ("digits", "animals", "torchvision", "images", "tensors")


def _kind(data: Any) -> str:
    source = data.get("source") if isinstance(data, Mapping) else getattr(data, "source", None)
    return source if source in DATA_KINDS else "factory"


def _check_kind(data: Any) -> Any:
    """Reject a misspelt kind at once: its keys would be validated as those of a factory."""
    if isinstance(data, str):
        data = {"source": data}
    if not isinstance(data, Mapping):
        return data
    source = data.get("source")
    if source in DATA_KINDS or (isinstance(source, str) and ":" in source):
        return data
    problem = (
        f"source {source!r} is unknown{nearest(str(source), DATA_KINDS)}" if source else "no source"
    )
    raise ValueError(f"{problem} (known: {', '.join(DATA_KINDS)}, or pkg.module:name)")


DataSpec = Annotated[
    Annotated[Digits, Tag("digits")]
    | Annotated[Animals, Tag("animals")]
    | Annotated[TorchvisionData, Tag("torchvision")]
    | Annotated[Images, Tag("images")]
    | Annotated[Tensors, Tag("tensors")]
    | Annotated[FactoryData, Tag("factory")],
    Discriminator(_kind),
    BeforeValidator(_check_kind),
    OrText(
        {"enum": ["digits", "animals"]},  # the others need more than their name
        {"type": "string", "pattern": _FACTORY},
        required=["source"],
    ),
]

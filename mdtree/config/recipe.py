"""The recipe: how weights become a model, and what data and loss to measure them on."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, field_validator

from mdtree.exceptions import RecipeError
from mdtree.measurements import Fact, check_facts

__all__ = [
    "DataSpec",
    "Digits",
    "FactRef",
    "FactoryData",
    "GroupSpec",
    "Images",
    "LossSpec",
    "ModelSpec",
    "Recipe",
    "Tensors",
    "TorchvisionData",
    "Transform",
    "bind",
    "fingerprint",
]

FactRef = Annotated[str, Field(pattern=r"^\$\w+$")]  # `$width` stands for the fact of that name


class Part(BaseModel):
    """A part of a recipe: frozen, and every unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ModelSpec(Part):
    """The network that the weights belong to."""

    factory: str = Field(min_length=1)  # resnet18 | cnn | mlp | huggingface | pkg.module:name
    kwargs: dict[str, Any] = {}


class LossSpec(Part):
    """The loss, a function of (output, batch)."""

    factory: str = Field(default="cross_entropy", min_length=1)
    kwargs: dict[str, Any] = {}


class Transform(Part):
    """What happens to an image before the network sees it."""

    size: int | None = Field(default=None, gt=0)  # resize the shorter side, then cut the centre
    mean: tuple[float, ...] = ()  # per channel, of values in 0..1
    std: tuple[float, ...] = ()
    factory: str | None = None  # or a function of your own, pkg.module:name
    kwargs: dict[str, Any] = {}


class Source(Part):
    """What all kinds of data have in common."""

    amount: int | FactRef | None = None  # training items to use
    subset: Literal["random", "first"] = "random"
    label_noise: float | FactRef = 0.0  # share of training labels that are replaced by wrong ones
    seed: int = 0  # of the subset and of the noise
    transform: Transform = Transform()

    @field_validator("amount")
    @classmethod
    def _some(cls, amount: int | str | None) -> int | str | None:
        if isinstance(amount, int) and amount < 1:
            raise ValueError(f"must be at least 1, got {amount}")
        return amount

    @field_validator("label_noise")
    @classmethod
    def _share(cls, share: float | str) -> float | str:
        if not isinstance(share, str) and not 0 <= share <= 1:
            raise ValueError(f"is a share from 0 to 1, got {share}")
        return share


class Digits(Source):
    """The 8x8 digits of scikit-learn: 1,200 to train, 597 to test; nothing to download."""

    source: Literal["digits"] = "digits"


class TorchvisionData(Source):
    """A data set of torchvision, from a local folder."""

    source: Literal["torchvision"] = "torchvision"
    name: str  # CIFAR10, MNIST, ...
    root: Path
    kwargs: dict[str, Any] = {}


class Images(Source):
    """Folders of images: ROOT/train/CLASS/*.png and ROOT/test/CLASS/*.png."""

    source: Literal["images"] = "images"
    root: Path
    train: str = "train"
    test: str = "test"


class Tensors(Source):
    """Files of arrays (.npz) or tensors (.pt): `x` and `y`, or one entry for each model input."""

    source: Literal["tensors"] = "tensors"
    train: Path
    test: Path | None = None


class FactoryData(Source):
    """Data made by a function of your own, `pkg.module:name`, that returns (train, test)."""

    source: str = Field(pattern=r"^[\w.]+:\w+$")
    kwargs: dict[str, Any] = {}


_KINDS = ("digits", "torchvision", "images", "tensors")


def _kind(data: Any) -> str:
    source = data.get("source") if isinstance(data, Mapping) else getattr(data, "source", None)
    return source if source in _KINDS else "factory"


DataSpec = Annotated[
    Annotated[Digits, Tag("digits")]
    | Annotated[TorchvisionData, Tag("torchvision")]
    | Annotated[Images, Tag("images")]
    | Annotated[Tensors, Tag("tensors")]
    | Annotated[FactoryData, Tag("factory")],
    Discriminator(_kind),
]


class GroupSpec(Part):
    """Checkpoints of one training configuration that differ only by seed."""

    name: str = Field(min_length=1)
    files: tuple[str, ...] = Field(min_length=1)  # paths or patterns, from the recipe's folder
    facts: dict[str, Fact] = {}

    @field_validator("facts")
    @classmethod
    def _known(cls, facts: dict[str, Fact]) -> dict[str, Fact]:
        return _checked(facts)


class Recipe(Part):
    """A whole `mdtree.yaml`."""

    format: Literal[1] = 1
    model: ModelSpec
    data: DataSpec = Digits()
    loss: LossSpec = LossSpec()
    batch_size: int = Field(default=256, ge=1)  # items in one forward pass of measuring
    weights_key: str | None = None  # which weights of a file that holds several
    facts: dict[str, Fact] = {}  # of all groups
    pattern: str | None = None  # facts in the names of folders: bs_{batch_size}/w{width}
    groups: tuple[GroupSpec, ...] = ()  # none: each folder that holds weights is a group

    @field_validator("model", "loss", mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"factory": value} if isinstance(value, str) else value

    @field_validator("data", mode="before")
    @classmethod
    def _short_data(cls, value: Any) -> Any:
        return {"source": value} if isinstance(value, str) else value

    @field_validator("facts")
    @classmethod
    def _known(cls, facts: dict[str, Fact]) -> dict[str, Fact]:
        return _checked(facts)

    @field_validator("pattern")
    @classmethod
    def _placeholders(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            _pattern_regex(pattern)
        return pattern

    @field_validator("groups")
    @classmethod
    def _distinct(cls, groups: tuple[GroupSpec, ...]) -> tuple[GroupSpec, ...]:
        first: dict[str, int] = {}
        for number, group in enumerate(groups):
            if group.name in first:
                raise ValueError(
                    f"groups {first[group.name]} and {number} are both called {group.name!r}"
                )
            first[group.name] = number
        return groups

    def facts_in(self, folder: str) -> dict[str, Fact]:
        """Read the facts that the name of a group's folder holds, by `pattern`."""
        if self.pattern is None:
            return {}
        found = _pattern_regex(self.pattern).fullmatch(folder)
        if found is None:
            raise RecipeError(
                f"folder {folder!r} does not fit the pattern {self.pattern!r}; "
                "mend the pattern, or list the groups"
            )
        return {name: _number_or_text(text) for name, text in found.groupdict().items()}


SpecT = TypeVar("SpecT", bound=Part)


def bind(part: SpecT, facts: Mapping[str, Fact]) -> SpecT:
    """Put a group's facts in the place of `$name`, everywhere in a part of the recipe."""

    def bound(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: bound(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [bound(inner) for inner in value]
        if isinstance(value, str) and re.fullmatch(r"\$\w+", value):
            if value[1:] not in facts:
                raise RecipeError(
                    f"the recipe asks for the fact {value[1:]!r}, and the group has "
                    f"{', '.join(facts) or 'none'}"
                )
            return facts[value[1:]]
        return value

    raw = part.model_dump()
    filled = bound(raw)
    return part if filled == raw else type(part).model_validate(filled)


def fingerprint(*parts: Part | str | None) -> str:
    """Hash what parts of a recipe say: comments, order of keys and defaults make no difference."""
    content = [part.model_dump(mode="json") if isinstance(part, Part) else part for part in parts]
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _checked(facts: dict[str, Fact]) -> dict[str, Fact]:
    faults = check_facts(facts)
    if faults:
        raise ValueError("; ".join(faults))
    return facts


def _pattern_regex(pattern: str) -> re.Pattern[str]:
    """Turn bs_{batch_size}/w{width} into a regular expression with named groups."""
    parts = re.split(r"\{(\w+)\}", pattern)
    names = parts[1::2]
    if not names or len(set(names)) < len(names) or not all(n.isidentifier() for n in names):
        raise ValueError(
            f"names each fact once, as in bs_{{batch_size}}/w{{width}}, got {pattern!r}"
        )
    texts = [re.escape(text) for text in parts[::2]]
    return re.compile(
        texts[0]
        + "".join(f"(?P<{name}>[^/]+?){t}" for name, t in zip(names, texts[1:], strict=True))
    )


def _number_or_text(text: str) -> Fact:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text

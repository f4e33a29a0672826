"""The recipe: the model of the weights, and the data and loss to measure them with."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator

from mdtree.recipes.data import DataSpec, Digits
from mdtree.recipes.part import FactRef, Facts, OrText, Part, either
from mdtree.recipes.pattern import Pattern, facts_in
from mdtree.rows import Fact

__all__ = ["GroupSpec", "LossSpec", "ModelSpec", "Recipe", "TrainingSpec"]


_LONGEST_PATH = 4096  # characters, as in most systems


class ModelSpec(Part):
    """The network that the weights belong to."""

    factory: str = Field(min_length=1)  # resnet18, cnn, mlp, huggingface, timm, pkg.module:name
    kwargs: dict[str, Any] = Field(default_factory=dict)


class LossSpec(Part):
    """The loss, a function of (output, batch)."""

    factory: str = Field(default="cross_entropy", min_length=1)
    kwargs: dict[str, Any] = Field(default_factory=dict)


def _as_factory(value: Any) -> Any:
    """Expand a plain name to a factory without arguments."""
    return {"factory": value} if isinstance(value, str) else value


_NAMED = OrText({"type": "string"})
Model = Annotated[ModelSpec, BeforeValidator(_as_factory), _NAMED]
Loss = Annotated[LossSpec, BeforeValidator(_as_factory), _NAMED]

Rate = Annotated[
    Annotated[float, Field(ge=0)] | FactRef,
    either("a number of at least 0, or a fact such as $learning_rate"),
]
Count = Annotated[
    Annotated[int, Field(ge=1)] | FactRef,
    either("a whole number of at least 1, or a fact such as $batch_size"),
]


class TrainingSpec(Part):
    """The SGD settings of the checkpoints, with which `--fork` continues their training."""

    learning_rate: Rate
    batch_size: Count
    momentum: Rate = 0.9
    weight_decay: Rate = 5e-4


class GroupSpec(Part):
    """Checkpoints of one training configuration that differ only by seed."""

    name: str = Field(min_length=1)
    # paths or patterns, from the recipe's folder
    files: tuple[Annotated[str, Field(max_length=_LONGEST_PATH)], ...] = Field(min_length=1)
    facts: Facts = Field(default_factory=dict)


class Recipe(Part):
    """A whole `mdtree.yaml`."""

    format: Literal[1] = 1
    model: Model
    data: DataSpec = Digits()
    loss: Loss = LossSpec()
    training: TrainingSpec | None = None
    batch_size: int = Field(default=256, ge=1)  # items per forward pass while measuring
    weights_key: str | None = None  # the entry with the weights, in files with several
    # times the steps and probes of the protocol, after which the Hessian stops unconverged
    hessian_limit: int | None = Field(default=None, ge=1, le=20)
    facts: Facts = Field(default_factory=dict)  # of all groups
    pattern: Pattern | None = None  # facts in folder names: bs_{batch_size}/w{width}
    groups: tuple[GroupSpec, ...] = ()  # empty: each folder with weights is a group

    @field_validator("groups")
    @classmethod
    def _distinct(cls, groups: tuple[GroupSpec, ...]) -> tuple[GroupSpec, ...]:
        first: dict[str, int] = {}
        for number, group in enumerate(groups):
            if group.name in first:
                raise ValueError(
                    f"groups {first[group.name]} and {number} are both named {group.name!r}"
                )
            first[group.name] = number
        return groups

    def facts_in(self, folder: str) -> dict[str, Fact]:
        """Read the facts in the name of a group's folder, by `pattern`."""
        return {} if self.pattern is None else facts_in(folder, self.pattern)

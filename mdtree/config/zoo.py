"""The config of a zoo: a grid of facts, and how the network at each of its points is trained."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from mdtree.config.data import DataSpec, Digits, Share
from mdtree.config.part import Facts, Part, either
from mdtree.config.pattern import Pattern, facts_in
from mdtree.config.recipe import Count, LossSpec, ModelSpec, Recipe, TrainingSpec
from mdtree.exceptions import RecipeError
from mdtree.measurements import Fact, check_facts
from mdtree.spelling import nearest

__all__ = ["Zoo", "ZooTraining"]

_VALUE = re.compile(r"[\w.+]+")  # of text: it becomes part of a folder's name


class ZooTraining(TrainingSpec):
    """How each member is trained."""

    epochs: Count | None = None
    steps: Count | None = None  # at most; with or without epochs
    optimizer: str = Field(default="sgd", pattern=r"^(sgd|adamw|\$\w+)$")
    schedule: str = Field(default="constant", pattern=r"^(constant|cosine|steps|\$\w+)$")
    warmup: Share = 0.0  # share of the steps over which the learning rate rises
    augmentation: str = Field(default="none", pattern=r"^(none|shift|shift_flip|\$\w+)$")

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if self.epochs is None and self.steps is None:
            raise ValueError("epochs or steps are needed: how long is a member trained?")
        return self


Value = Annotated[
    Annotated[int, Field(strict=True)] | Annotated[float, Field(strict=True)] | str,
    either("a number or a text"),
]


class Zoo(Part):
    """A whole config of `mdtree zoo train`."""

    format: Literal[1] = 1
    model: ModelSpec
    data: DataSpec = Digits()
    loss: LossSpec = LossSpec()
    training: ZooTraining
    grid: dict[str, tuple[Value, ...]] = Field(min_length=1)
    seeds: int = Field(default=2, ge=1)  # members of each group
    facts: Facts = Field(default_factory=dict)  # of all groups
    name: Pattern | None = None  # of a group's folder; without it, axis-value_axis-value
    batch_size: int = Field(default=256, ge=1)  # items in one forward pass of measuring

    @field_validator("model", "loss", mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"factory": value} if isinstance(value, str) else value

    @field_validator("grid")
    @classmethod
    def _axes(cls, grid: dict[str, tuple[Fact, ...]]) -> dict[str, tuple[Fact, ...]]:
        faults = []
        for axis, values in grid.items():
            if not axis.isidentifier():
                faults.append(f"axis {axis!r} must be a name such as width or learning_rate")
            if not values:
                faults.append(f"axis {axis!r} has no value")
            if len(set(values)) < len(values):
                faults.append(f"axis {axis!r} has a value twice")
            faults += [
                f"axis {axis!r}: text {value!r:.100} may hold letters, digits, _ . + alone"
                for value in values
                if isinstance(value, str) and not _VALUE.fullmatch(value)
            ]
            faults += [fault for value in values for fault in check_facts({axis: value})]
        if faults:
            raise ValueError("; ".join(dict.fromkeys(faults)))
        return grid

    @model_validator(mode="after")
    def _all_axes_do_something(self) -> Self:
        parts = (self.model, self.data, self.loss, self.training)
        asked = set().union(*(re.findall(r'"\$(\w+)"', part.model_dump_json()) for part in parts))
        known = {*self.grid, *self.facts}
        faults = [
            f"axis {axis!r} is unknown{nearest(axis, asked - known)}: nothing asks for ${axis} "
            "(write it where it belongs, as in learning_rate: $learning_rate)"
            for axis in self.grid
            if axis not in asked
        ]
        faults += [
            f"${fact} is asked for, and is neither an axis of the grid nor a fact"
            f"{nearest(fact, known)}"
            for fact in sorted(asked - known)
        ]
        both = sorted(set(self.grid) & set(self.facts))
        faults += [f"{fact!r} is an axis of the grid and a fact of all groups" for fact in both]
        if faults:
            raise ValueError("; ".join(faults))
        self._check_names()
        return self

    def _check_names(self) -> None:
        """Hold the names of all groups to what is read from them when they are measured."""
        seen: dict[str, dict[str, Fact]] = {}
        for own in self.points():
            name = self.group(own)
            try:
                found = facts_in(name, self.pattern)
            except RecipeError as error:
                raise ValueError(str(error)) from error
            if found != own or name in seen:
                raise ValueError(
                    f"name {self.pattern!r} does not tell the groups apart: {own} is called "
                    f"{name!r}; name every axis of the grid"
                )
            seen[name] = own

    @property
    def pattern(self) -> str:
        """Give the pattern of the groups' names."""
        return self.name or "_".join(f"{axis}-{{{axis}}}" for axis in self.grid)

    def points(self) -> Iterator[dict[str, Fact]]:
        """Give the facts of each point of the grid, the last axis changing fastest."""
        for values in itertools.product(*self.grid.values()):
            yield dict(zip(self.grid, values, strict=True))

    def group(self, point: dict[str, Fact]) -> str:
        """Name the group at a point."""
        return self.pattern.format(**point)

    def recipe(self) -> Recipe:
        """Say how the groups are measured."""
        training = None
        if self.training.optimizer == "sgd":  # what --fork goes on with
            training = TrainingSpec(
                **{name: getattr(self.training, name) for name in TrainingSpec.model_fields}
            )
        return Recipe(
            model=self.model,
            data=self.data,
            loss=self.loss,
            training=training,
            batch_size=self.batch_size,
            facts=self.facts,
            pattern=self.pattern,
        )

    def differences(self, other: Zoo) -> list[str]:
        """List what another config says otherwise: `training.epochs: 30, now 40`."""
        mine, theirs = (_flat(json.loads(zoo.model_dump_json())) for zoo in (self, other))
        return [
            f"{key}: {mine.get(key, 'not there')}, now {theirs.get(key, 'not there')}"
            for key in dict.fromkeys([*mine, *theirs])
            if mine.get(key) != theirs.get(key)
        ]


def _flat(value: Any, place: str = "") -> dict[str, Any]:
    if isinstance(value, dict) and value:
        found: dict[str, Any] = {}
        for key, inner in value.items():
            found |= _flat(inner, f"{place}.{key}" if place else key)
        return found
    return {place: value}

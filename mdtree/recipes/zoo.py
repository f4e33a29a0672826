"""The config of a zoo: a grid of facts, and how the networks at its points are trained."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from mdtree.exceptions import RecipeError
from mdtree.messages import MOST_FAULTS, nearest
from mdtree.recipes.data import DataSpec, Digits, Share
from mdtree.recipes.part import FactRef, Facts, Part, bind, either
from mdtree.recipes.pattern import Pattern, facts_in
from mdtree.recipes.recipe import Count, Loss, LossSpec, Model, Recipe, TrainingSpec
from mdtree.rows import Fact, check_facts

__all__ = ["Zoo", "ZooTraining"]

_MOST = 100_000  # members; the published zoo has 8,450
_TEXT = re.compile(r"[\w.+]+")  # value of an axis: it becomes part of a folder name
_FACT = re.compile(r"\{(\w+)\}")  # in a pattern of names

Place = tuple[int | str, ...]  # of a part of the config
Fault = tuple[Place, str]  # where, and what is wrong

Optimizer = Annotated[
    Literal["sgd", "adamw"] | FactRef, either("sgd, adamw, or a fact such as $optimizer")
]
Schedule = Annotated[
    Literal["constant", "cosine", "steps"] | FactRef,
    either("constant, cosine, steps, or a fact such as $schedule"),
]
Augmentation = Annotated[
    Literal["none", "shift", "shift_flip"] | FactRef,
    either("none, shift, shift_flip, or a fact such as $augmentation"),
]
Value = Annotated[
    Annotated[int, Field(strict=True)] | Annotated[float, Field(strict=True)] | str,
    either("a finite number or text"),
]


class ZooTraining(TrainingSpec):
    """The training of each member."""

    epochs: Count | None = None
    steps: Count | None = None  # at most; with or without epochs
    optimizer: Optimizer = "sgd"
    schedule: Schedule = "constant"
    warmup: Share = 0.0  # fraction of the steps over which the learning rate rises
    augmentation: Augmentation = "none"

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if self.epochs is None and self.steps is None:
            raise ValueError("epochs or steps must be set")
        return self


class Zoo(Part):
    """A whole config of `mdtree zoo train`."""

    format: Literal[1] = 1
    model: Model
    data: DataSpec = Digits()
    loss: Loss = LossSpec()
    training: ZooTraining
    grid: dict[str, tuple[Value, ...]] = Field(min_length=1)
    seeds: int = Field(default=2, ge=1)  # members of each group
    first_seed: int = Field(default=0, ge=0)  # the seeds count up from here
    facts: Facts = Field(default_factory=dict)  # of all groups
    name: Pattern | None = None  # of a group's folder; default: axis-value_axis-value
    batch_size: int = Field(default=256, ge=1)  # items per forward pass while measuring

    @field_validator("grid")
    @classmethod
    def _axes(cls, grid: dict[str, tuple[Fact, ...]]) -> dict[str, tuple[Fact, ...]]:
        _refuse(fault for axis, values in grid.items() for fault in _faults_of(axis, values))
        return grid

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for faults in (self._unknown, self._too_many, self._unfit, self._unreadable):
            _refuse(faults())  # the later ones rely on the earlier
        return self

    def _unknown(self) -> Iterator[Fault]:
        """Compare the facts that the config uses with those that it defines."""
        places: dict[str, Place] = {}
        for name in ("model", "data", "loss", "training"):
            place: Place = ("data", self.data.source) if name == "data" else (name,)  # as pydantic
            for fact, where in _fact_references(getattr(self, name).model_dump(), place):
                places.setdefault(fact, where)
        known_facts = {*self.grid, *self.facts}
        for axis in self.grid:
            if axis not in places:
                hint = (
                    nearest(axis, places.keys() - known_facts) or ", as in batch_size: $batch_size"
                )
                yield ("grid", axis), f"nothing uses ${axis}: write it where it belongs{hint}"
            if axis in self.facts:
                yield ("facts", axis), f"{axis!r} is also an axis of the grid: remove it here"
        for fact in sorted(places.keys() - known_facts):
            hint = nearest(fact, known_facts)
            yield places[fact], f"${fact} is neither an axis of the grid nor a fact{hint}"
        for fact, value in self.facts.items():
            if isinstance(value, str) and value.startswith("$"):
                yield ("facts", fact), f"a fact cannot refer to another one, got {value!r:.100}"

    def _too_many(self) -> Iterator[Fault]:
        count = math.prod(len(values) for values in self.grid.values()) * self.seeds
        if count > _MOST:
            yield ("grid",), f"gives {count:,} members, at most {_MOST:,} are allowed"

    def _unfit(self) -> Iterator[Fault]:
        """Try every value of every axis once, before hours of training."""
        first = next(self.points())
        try:
            self._put(first)
        except RecipeError as error:
            yield ("grid",), str(error)
            return
        for axis, values in self.grid.items():
            for number, value in enumerate(values):
                try:
                    self._put({**first, axis: value})
                except RecipeError as error:
                    yield ("grid", axis, number), str(error)

    def _put(self, point: Mapping[str, Fact]) -> None:
        parts: tuple[Part, ...] = (self.model, self.data, self.loss, self.training)
        for part in parts:
            bind(part, {**self.facts, **point})

    def _unreadable(self) -> Iterator[Fault]:
        """Check that the facts can be read back from the names of all groups."""
        place, subject = ("name" if self.name else "grid",), f"name {self.pattern!r}"
        if set(_FACT.findall(self.pattern)) != set(self.grid):
            yield place, f"{subject} must contain the axes of the grid: {', '.join(self.grid)}"
            return
        points_by_name: dict[str, dict[str, Fact]] = {}
        for point in self.points():
            name = self.group(point)
            if any(not part or part.startswith(".") for part in name.split("/")):
                fault = f"makes {name!r}, which is hidden or outside the zoo"
            elif not name.isprintable() or "\\" in name:
                fault = f"makes {name!r}, which is not a valid folder name on every system"
            elif (other := points_by_name.get(name.casefold())) is not None:
                fault = f"does not distinguish the groups: {other} and {point} are both {name!r}"
            elif (read_back := self._read(name)) != point:
                fault = f"makes {name!r} of {point}, which is read back as {read_back}"
            else:
                points_by_name[name.casefold()] = point
                continue
            yield place, f"{subject} {fault}"
            return

    def _read(self, name: str) -> dict[str, Fact] | str:
        try:
            return facts_in(name, self.pattern)
        except RecipeError as error:
            return f"an error: {error}"

    @property
    def pattern(self) -> str:
        """The pattern of the groups' names."""
        return self.name or "_".join(f"{axis}-{{{axis}}}" for axis in self.grid)

    def points(self) -> Iterator[dict[str, Fact]]:
        """Yield the facts of each point of the grid; the last axis varies fastest."""
        for values in itertools.product(*self.grid.values()):
            yield dict(zip(self.grid, values, strict=True))

    def group(self, point: Mapping[str, Fact]) -> str:
        """Return the name of the group at a point."""
        return _FACT.sub(lambda match: str(point[match[1]]), self.pattern)

    def _words(self) -> dict[str, Fact]:
        """Return the facts that are words; those that are axes are in the names of groups."""
        words = {"optimizer": self.training.optimizer, "schedule": self.training.schedule}
        return {name: word for name, word in words.items() if not word.startswith("$")}

    def recipe(self) -> Recipe:
        """Return the recipe with which the groups are measured."""
        training = None
        if self.training.optimizer == "sgd":  # the one that --fork supports
            training = TrainingSpec(
                **{name: getattr(self.training, name) for name in TrainingSpec.model_fields}
            )
        return Recipe(
            model=self.model,
            data=self.data,
            loss=self.loss,
            training=training,
            batch_size=self.batch_size,
            facts={**self._words(), **self.facts},
            pattern=self.pattern,
        )

    def differences(self, other: Zoo) -> list[str]:
        """List what differs in another config: `training.epochs: 30, now 40`."""
        mine, theirs = (_flat(json.loads(zoo.model_dump_json())) for zoo in (self, other))
        return [
            f"{key}: {mine.get(key, 'not set')}, now {theirs.get(key, 'not set')}"
            for key in dict.fromkeys([*mine, *theirs])
            if mine.get(key) != theirs.get(key)
        ]


def _faults_of(axis: str, values: tuple[Fact, ...]) -> Iterator[Fault]:
    """Yield the faults of an axis, regardless of the rest of the config."""
    if not axis.isidentifier():
        yield (axis,), f"an axis must be a name such as width or learning_rate, got {axis!r}"
    if not values:
        yield (axis,), f"axis {axis!r} has no values"
    if len(set(values)) < len(values):
        yield (axis,), f"axis {axis!r} repeats a value"
    for number, value in enumerate(values):
        if isinstance(value, str) and not _TEXT.fullmatch(value):
            yield (axis, number), f"text may contain letters, digits, _ . and +, got {value!r}"
        for fault in check_facts({axis: value}):
            yield (axis, number), fault


def _fact_references(value: Any, place: Place) -> Iterator[tuple[str, Place]]:
    """Yield each `$fact` in a part of the config, with its place."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _fact_references(inner, (*place, str(key)))
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            yield from _fact_references(inner, (*place, number))
    elif isinstance(value, str) and re.fullmatch(r"\$\w+", value):
        yield value[1:], place


def _refuse(faults: Iterable[Fault]) -> None:
    """Raise faults with their places, like pydantic's own; equal ones only once.

    Collecting one more than a message lists is enough to know that there are more.
    """
    first: dict[str, Place] = {}
    for place, text in faults:
        first.setdefault(text, place)
        if len(first) > MOST_FAULTS:
            break
    if first:
        errors = [
            InitErrorDetails(
                type=PydanticCustomError("value_error", "{fault}", {"fault": text}),
                loc=place,
                input=None,
            )
            for text, place in first.items()
        ]
        raise ValidationError.from_exception_data("Zoo", errors)


def _flat(value: Any, place: str = "") -> dict[str, str]:
    """Flatten a mapping to place -> JSON, in which 1, 1.0 and "1" differ."""
    if isinstance(value, dict) and value:
        parts: dict[str, str] = {}
        for key, inner in value.items():
            parts |= _flat(inner, f"{place}.{key}" if place else key)
        return parts
    return {place: json.dumps(value)}

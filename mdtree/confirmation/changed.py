"""The changed point: a zoo of one group that differs from a trained one by a single fact."""

from __future__ import annotations

import copy
import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mdtree.confirmation.source import TrainedPoint, TrainingSource, refers_to
from mdtree.datasets import shared_data
from mdtree.diagnosis import AdvisedChange
from mdtree.exceptions import MdtreeError, RecipeError
from mdtree.recipes import Zoo, bind
from mdtree.rows import Fact
from mdtree.training.loop import steps_in
from mdtree.zoo import (
    ZooMember,
    member_data,
    member_training,
    members,
    placed,
    training_outcome,
)

__all__ = ["ChangedPoint", "changed_point", "folder_name", "members_of", "trained_neighbour"]

_NEAR = math.log(1.5)  # a trained group this near to the advised change is taken instead
_LONGEST = 120  # characters of a folder's name
_PLACES = {  # fact -> where a config says it
    "learning_rate": ("training", "learning_rate"),
    "batch_size": ("training", "batch_size"),
    "data_amount": ("data", "amount"),
    "width": ("model", "kwargs", "width"),
}


@dataclass(frozen=True, kw_only=True)
class ChangedPoint:
    """A zoo of one group, and how it differs from the group before."""

    zoo: Zoo
    axis: str  # the fact of the config that was changed
    change: AdvisedChange  # as it is made: the data may end before the advised amount
    notes: tuple[str, ...] = ()

    @property
    def facts(self) -> dict[str, Fact]:
        """The facts of the group."""
        return {**self.zoo.facts, **next(self.zoo.points())}

    @property
    def group(self) -> str:
        """The name of the group."""
        return self.zoo.group(next(self.zoo.points()))


def changed_point(
    source: TrainingSource, point: TrainedPoint, change: AdvisedChange, *, seeds: int
) -> ChangedPoint:
    """Write a group and its change as a zoo.

    Raises:
        MdtreeError: The change cannot be made; the message says why.
    """
    content = copy.deepcopy(dict(point.content))
    axis = _refer(content, change.fact)
    old = point.facts.get(axis)
    factor = change.new / change.old
    start = float(old) if isinstance(old, int | float) and not isinstance(old, bool) else change.old
    new: float = start * factor if change.fact == "learning_rate" else round(start * factor)
    if math.isclose(start, change.old):
        new = change.new
    new, notes = _limited(source, content, point, axis, replace(change, old=start, new=new))
    value: Fact = float(new) if change.fact == "learning_rate" else int(new)
    zoo = _zoo(content, point, axis, value, seeds)
    made = replace(change, old=start, new=float(value))
    if axis != change.fact:  # the same amount under another name
        made = replace(change, new=change.old * new / start)
    first = members_of(source, zoo, Path())[0]
    return ChangedPoint(
        zoo=_with_length(zoo, first), axis=axis, change=made, notes=(*point.notes, *notes)
    )


def members_of(source: TrainingSource, zoo: Zoo, out: Path, device: str = "cpu") -> list[ZooMember]:
    """List the members of a zoo that would lie in a folder."""
    return members(placed(zoo, source.folder), out, trust=source.trust, device=device)


def trained_neighbour(source: TrainingSource, changed: ChangedPoint) -> tuple[str, float] | None:
    """Return the group of the same zoo that has the change already, and its value.

    A value within a factor of 1.5 of the advised one will do.  All its members must be trained.
    """
    zoo, axis, change = source.zoo, changed.axis, changed.change
    if zoo is None or axis not in zoo.grid:
        return None
    facts = changed.facts
    aim = float(facts[axis])
    scale = aim / change.new  # of the axis, if the fact has another name
    up = change.new > change.old
    values = [
        float(value)
        for value in zoo.grid[axis]
        if isinstance(value, int | float) and value > 0
        if (value > change.old * scale) == up and not math.isclose(value, change.old * scale)
        if abs(math.log(value / aim)) <= _NEAR
    ]
    for value in sorted(values, key=lambda value: abs(math.log(value / aim))):
        exact = next(each for each in zoo.grid[axis] if each == value)
        point = {**{name: facts[name] for name in zoo.grid}, axis: exact}
        single = zoo.model_copy(update={"grid": {name: (point[name],) for name in zoo.grid}})
        found = members(single, source.directory, trust=source.trust, device="cpu")
        if all(training_outcome(member) is not None for member in found):
            return zoo.group(point), value / scale
    return None


def folder_name(group: str) -> str:
    """Return a name for the folder of a group, whose own name may be a path."""
    name = re.sub(r"[^\w.+-]", "_", group).lstrip(".") or "group"
    if len(name) <= _LONGEST:
        return name
    return f"{name[:_LONGEST]}-{hashlib.sha256(group.encode()).hexdigest()[:8]}"


def _refer(content: dict[str, Any], fact: str) -> str:
    """Let a config refer to the fact where it says its value; return the fact's name there."""
    if refers_to(content, fact):
        return fact
    *way, last = _PLACES[fact]
    place = content
    for name in way:
        place = place[name]
    value = place.get(last)
    if isinstance(value, str) and value.startswith("$"):
        return value[1:]
    if value is None and fact == "width":
        raise RecipeError(
            "the width cannot be changed, as the recipe does not say how: write `width: $width` "
            "into the arguments of the model"
        )
    place[last] = f"${fact}"
    return fact


def _limited(
    source: TrainingSource,
    content: Mapping[str, Any],
    point: TrainedPoint,
    axis: str,
    change: AdvisedChange,
) -> tuple[float, tuple[str, ...]]:
    """Return the new value, which the data may limit."""
    if change.fact not in ("data_amount", "batch_size"):
        return change.new, ()
    zoo = _zoo(content, point, axis, int(change.old), 1)  # the new amount may be too large
    member = members_of(source, zoo, Path())[0]
    if change.fact == "batch_size":
        count, of = len(member_data(member).train), "as many as there are training items"
    else:
        whole = bind(member.zoo.data, member.facts).model_copy(update={"amount": None})
        count = len(shared_data(whole, Path(), trust=source.trust).train)
        of = "all that the source has"
    if change.new <= count:
        return change.new, ()
    if count <= change.old:
        raise MdtreeError(
            f"{change.fact} {change.old:.10g} cannot be raised: it is {of} ({count})"
            + (", so get more data first" if change.fact == "data_amount" else "")
        )
    return count, (f"{change.fact} is raised to {count} and not to {change.new:.10g}: it is {of}",)


def _zoo(
    content: Mapping[str, Any], point: TrainedPoint, axis: str, value: Fact, seeds: int
) -> Zoo:
    """Build the zoo; a name that cannot be read back is replaced by the usual one."""
    axes = dict.fromkeys((*point.axes, axis))
    whole = {
        **content,
        "grid": {name: [value if name == axis else point.facts[name]] for name in axes},
        "facts": {name: fact for name, fact in point.facts.items() if name not in axes},
        "seeds": seeds,
    }
    usual = "_".join(f"{name}-{{{name}}}" for name in point.axes)
    name = point.pattern
    if axis not in point.axes:
        name = f"{point.prefix or point.pattern or usual}_{axis}-{{{axis}}}"
    faults: ValidationError | None = None
    for pattern in (name, None):
        try:
            return Zoo.model_validate({**whole, "name": pattern})
        except ValidationError as error:
            faults = faults or error
    assert faults is not None
    first = faults.errors(include_url=False)[0]
    place = ".".join(map(str, first["loc"]))
    raise RecipeError(f"{axis} {value} does not fit the recipe: {place}: {first['msg']}")


def _with_length(zoo: Zoo, member: ZooMember) -> Zoo:
    """Correct what the facts say about the length of training, which batch and data change."""
    training = zoo.training.model_dump()
    stated = [
        name for name in ("epochs", "steps") if name in zoo.facts and not refers_to(training, name)
    ]
    if not stated:
        return zoo
    how, count = member_training(member), len(member_data(member).train)
    steps = steps_in(how, count)
    per_epoch = max(count // how.batch_size, 1)
    right: dict[str, Fact] = {"steps": steps, "epochs": max(round(steps / per_epoch), 1)}
    return zoo.model_copy(update={"facts": {**zoo.facts, **{name: right[name] for name in stated}}})

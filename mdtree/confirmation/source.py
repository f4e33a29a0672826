"""How the networks of a directory were trained: the config of their zoo, or their recipe."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mdtree.exceptions import RecipeError
from mdtree.labelling import number_of
from mdtree.recipes import Recipe, Trust, Zoo, find_recipe, has_recipe, read_zoo
from mdtree.rows import Fact, Row
from mdtree.rows.training_words import is_same_word
from mdtree.zoo import CONFIG_NAME

__all__ = ["TrainedPoint", "TrainingSource", "point_of", "refers_to", "training_source"]

_OPTIMIZERS, _SCHEDULES = ("sgd", "adamw"), ("constant", "cosine")  # that words can mean


@dataclass(frozen=True, kw_only=True)
class TrainingSource:
    """Where it is said how the networks of a directory were trained."""

    directory: Path
    folder: Path  # where relative paths begin
    trust: Trust
    zoo: Zoo | None  # None: they are not of `mdtree zoo train`
    recipe: Recipe


@dataclass(frozen=True, kw_only=True)
class TrainedPoint:
    """One group, in the words of the config of a zoo."""

    content: Mapping[str, Any]  # model, data, loss, training, batch_size, first_seed
    facts: Mapping[str, Fact]
    axes: tuple[str, ...]  # facts that are in the names of groups
    pattern: str | None  # of these names; None: the usual one
    prefix: str | None = None  # of the names of groups that have no pattern
    notes: tuple[str, ...] = field(default=())


def training_source(
    directory: Path, recipe: str | Path | Recipe | None, *, trust: Iterable[str]
) -> TrainingSource:
    """Find the config of the zoo in a directory, or else a recipe with `training`.

    Raises:
        RecipeError: There is neither.
    """
    config = directory / CONFIG_NAME
    if recipe is None and os.path.isfile(config):  # noqa: PTH113 - as in holds_only_rows
        zoo = read_zoo(config)
        folders = (Path.cwd(), directory.resolve())
        trusted = Trust(names=frozenset(trust), folders=folders)
        return TrainingSource(
            directory=directory, folder=directory, trust=trusted, zoo=zoo, recipe=zoo.recipe()
        )
    if not has_recipe(directory, recipe):
        raise RecipeError(
            f"{directory} has neither {CONFIG_NAME} (of `mdtree zoo train`) nor mdtree.yaml, so it "
            "is not known how to train its networks: name a recipe with `training` with --recipe "
            "(in Python recipe=...), or train the change yourself and use `mdtree compare`"
        )
    source = find_recipe(directory, recipe, trusted=trust)
    if source.recipe.training is None:
        raise RecipeError(
            "the recipe has no `training`, so it is not known how to train its networks: add\n"
            "  training: {learning_rate: $learning_rate, batch_size: $batch_size}\n"
            "and the facts epochs or steps, or train the change yourself and use `mdtree compare`"
        )
    return TrainingSource(
        directory=directory,
        folder=source.folder,
        trust=source.trust,
        zoo=None,
        recipe=source.recipe,
    )


def point_of(source: TrainingSource, row: Row) -> TrainedPoint:
    """Return how a group was trained.

    Raises:
        RecipeError: The group is not of the zoo, or it is not known how long it was trained.
    """
    return _of_recipe(source.recipe, row) if source.zoo is None else _of_zoo(source.zoo, row)


def refers_to(value: Any, fact: str) -> bool:
    """Return whether a part of a config refers to a fact."""
    if isinstance(value, Mapping):
        return any(refers_to(inner, fact) for inner in value.values())
    if isinstance(value, list | tuple):
        return any(refers_to(inner, fact) for inner in value)
    return bool(value == f"${fact}")


def _of_zoo(zoo: Zoo, row: Row) -> TrainedPoint:
    try:
        point = zoo.recipe().facts_in(row.group)
    except RecipeError as error:
        raise RecipeError(f"group {row.group!r:.100} is not of the zoo: {error}") from error
    parts = ("model", "data", "loss", "training", "batch_size", "first_seed")
    content = zoo.model_dump()
    return TrainedPoint(
        content={name: content[name] for name in parts},
        facts={**zoo.facts, **point},
        axes=tuple(zoo.grid),
        pattern=zoo.name,
    )


def _of_recipe(recipe: Recipe, row: Row) -> TrainedPoint:
    """Describe a group that another program trained."""
    assert recipe.training is not None  # `training_source` has checked it
    content = {name: getattr(recipe, name).model_dump() for name in ("model", "data", "loss")}
    optimizer, schedule = _word(row, "optimizer", _OPTIMIZERS), _word(row, "schedule", _SCHEDULES)
    content["training"] = {
        **recipe.training.model_dump(),
        **_length(row),
        "optimizer": optimizer or "sgd",
        "schedule": schedule or "constant",
    }
    content["batch_size"] = recipe.batch_size
    known = {**recipe.facts, **row.facts}
    used = {name for name in known if name in recipe.facts or refers_to(content, name)}
    notes = [
        (
            "the networks before were not trained by `mdtree zoo train`, and what else their "
            "trainer does in another way is in the difference as well"
        ),
    ]
    if "schedule" not in row.facts:
        notes.append("the fact schedule is not known: the learning rate is taken to be constant")
    return TrainedPoint(
        content=content,
        facts={name: fact for name, fact in known.items() if name in used} | _lengths(row),
        axes=(),
        pattern=None,
        prefix=re.sub(r"[^\w.+-]", "_", row.group).lstrip("."),
        notes=tuple(notes),
    )


def _lengths(row: Row) -> dict[str, int]:
    """Return all that is known of how long a group was trained."""
    numbers = {name: number_of(row, name) for name in ("epochs", "steps")}
    return {
        name: int(number)
        for name, number in numbers.items()
        if number is not None and number >= 1 and number.is_integer()
    }


def _length(row: Row) -> dict[str, int]:
    """Return how long to train: by epochs, if they are known."""
    for name, number in _lengths(row).items():
        return {name: number}
    raise RecipeError(
        f"group {row.group!r:.100} has neither the fact epochs nor steps as a whole number, so it "
        "is not known how long to train: add one to the facts of the recipe, and measure again"
    )


def _word(row: Row, fact: str, known: tuple[str, ...]) -> str | None:
    """Translate a word for the optimizer or the schedule; None if the row has none."""
    word = row.facts.get(fact)
    if word is None:
        return None
    found = next((name for name in known if is_same_word(fact, str(word), name)), None)
    if found is None:
        raise RecipeError(
            f"group {row.group!r:.100} has the {fact} {word!r:.100}, and mdtree trains with "
            f"{' or '.join(known)} only: train the change yourself and use `mdtree compare`"
        )
    return found

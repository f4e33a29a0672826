"""From a recipe file, or from arguments of the command line, to a validated Recipe."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from mdtree.exceptions import RecipeError
from mdtree.messages import MOST_FAULTS, nearest, printable, shortened
from mdtree.recipes.data import (
    Animals,
    Digits,
    FactoryData,
    Images,
    Tensors,
    TorchvisionData,
    Transform,
)
from mdtree.recipes.part import Facts, Part
from mdtree.recipes.recipe import GroupSpec, LossSpec, ModelSpec, Recipe, TrainingSpec
from mdtree.recipes.yaml import Document, parse_yaml, read_yaml
from mdtree.recipes.zoo import Zoo, ZooTraining
from mdtree.rows import Fact

__all__ = [
    "changed_recipe",
    "checked_facts",
    "read_recipe",
    "read_zoo",
    "recipe_from_words",
    "words",
]

KindT = TypeVar("KindT", bound=BaseModel)

_LONGEST_SHOWN = 80  # characters of a wrong value
_LONGEST_FAULT = 2000  # characters

# the last name in the path to a part -> its class
_PARTS: dict[str, type[BaseModel]] = {
    "model": ModelSpec,
    "loss": LossSpec,
    "digits": Digits,
    "animals": Animals,
    "torchvision": TorchvisionData,
    "images": Images,
    "tensors": Tensors,
    "factory": FactoryData,
    "transform": Transform,
    "groups": GroupSpec,
    "training": TrainingSpec,
}

# replacements for messages of pydantic that speak of Python
_MESSAGES = {
    "missing": "is required",
    "string_type": "must be text (in quotes, if it looks like a number)",
    "tuple_type": "must be a list",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
    "too_short": "must not be empty",
    "string_too_short": "must not be empty",
}


def read_recipe(path: Path) -> Recipe:
    """Read a recipe file.

    Raises:
        RecipeError: The file is invalid; the message lists every fault with its place.
    """
    return _read(path, Recipe, "a recipe")


def read_zoo(path: Path) -> Zoo:
    """Read the config of a zoo.

    Raises:
        RecipeError: The config is invalid; the message lists every fault with its place.
    """
    return _read(path, Zoo, "the config of a zoo")


def _read(path: Path, kind: type[KindT], description: str) -> KindT:
    document = read_yaml(path)
    if not isinstance(document.content, dict):
        raise RecipeError(
            f"{path}: {description} must be a mapping that begins with `model:`, "
            f"got {_kind_of(document.content)}"
        )
    return _validated(document, f"{path}", kind)


def recipe_from_words(content: Mapping[str, Any]) -> Recipe:
    """Validate a recipe that was built from options of the command line.

    Raises:
        RecipeError: An option is invalid; the message lists every fault.
    """
    return _validated(Document(dict(content), None), "the command line", Recipe)


def changed_recipe(recipe: Recipe, changes: Mapping[str, Any]) -> Recipe:
    """Change parts of a recipe, and check it anew."""
    content = {**recipe.model_dump(), **changes}
    return _validated(Document(content, None), "the recipe as you change it", Recipe)


class _FactsOfAll(Part):
    facts: Facts


def checked_facts(facts: Mapping[str, Any]) -> dict[str, Fact]:
    """Check the facts that the user names for all groups."""
    document = Document({"facts": dict(facts)}, None)
    return dict(_validated(document, "what you say of all groups", _FactsOfAll).facts)


def words(pairs: Iterable[str]) -> dict[str, Any]:
    """Parse `key=value` pairs, with values as in a recipe.

    Raises:
        RecipeError: A pair is malformed.

    >>> words(["width=8", "name=CIFAR10", "rate=1e-3"])
    {'width': 8, 'name': 'CIFAR10', 'rate': 0.001}
    """
    content: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.isidentifier():
            raise RecipeError(f"expected key=value, got {pair!r}")
        content[key] = parse_yaml(value, f"{key}={value}").content
    return content


def _validated(document: Document, where: str, kind: type[KindT]) -> KindT:
    try:
        return kind.model_validate(document.content)
    except ValidationError as error:
        errors = error.errors(include_url=False)
        faults = list(islice(_faults(errors, document, kind), MOST_FAULTS))
        count = "" if len(errors) == 1 else f" {len(errors)} things are wrong:"
        if len(errors) > len(faults):
            count = f" more than {len(faults)} things are wrong; the first are:"
        lines = (f"  {shortened(printable(fault), _LONGEST_FAULT)}" for fault in faults)
        raise RecipeError(f"{where}:{count}\n" + "\n".join(lines)) from error


def _faults(
    errors: list[ErrorDetails], document: Document, model: type[BaseModel]
) -> Iterator[str]:
    for error in errors:
        place = error["loc"]
        line = document.line(place)
        # the tag of a union and pydantic's marker of a key are not keys of the file
        keys = [
            str(part)
            for number, part in enumerate(place)
            if part != "[key]" and not (number == 1 and place[0] == "data" and len(place) > 2)  # noqa: PLR2004
        ]
        prefix = f"line {line}, " if line is not None else ""
        field = f"{'.'.join(keys)}: " if keys else ""
        yield f"{prefix}{field}{_text(error, model)}"


def _text(error: ErrorDetails, model: type[BaseModel]) -> str:
    kind, place = error["type"], error["loc"]
    if kind == "extra_forbidden":
        above = [part for part in place[:-1] if isinstance(part, str)]
        parts = _PARTS | ({"training": ZooTraining} if model is Zoo else {})
        fields = (parts[above[-1]] if above else model).model_fields
        return f"unknown key{nearest(str(place[-1]), fields)} (known: {', '.join(fields)})"
    if kind == "too_long":
        return (
            f"has {len(error['input'])} entries, at most {error['ctx']['max_length']} are allowed"
        )
    if kind == "literal_error" and place == ("format",):
        return f"this mdtree reads format 1, got {error['input']!r:.100}: install a newer mdtree"
    message = _MESSAGES.get(kind, error["msg"].removeprefix("Value error, "))
    return message if kind in ("missing", "value_error") else f"{message}, got {_shown(error)}"


def _shown(error: ErrorDetails) -> str:
    text = repr(error["input"])
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]} ..."


def _kind_of(content: object) -> str:
    return "an empty file" if content is None else f"a {type(content).__name__}"

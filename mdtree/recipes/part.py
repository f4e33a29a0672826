"""A part of a recipe: its validation, references to facts of a group, and its hash."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Generic, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic_core import CoreSchema

from mdtree.exceptions import RecipeError
from mdtree.rows import FACTS, TEXT_FACTS, Fact, check_facts

__all__ = ["FactRef", "Facts", "Keyed", "OrText", "Part", "bind", "either", "fingerprint"]


class Part(BaseModel):
    """A part of a recipe: frozen, and every unknown key is an error."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        defer_build=True,  # a verdict from rows needs no recipe
        ser_json_inf_nan="constants",  # a factory's argument may be infinite
    )


FactRef = Annotated[str, Field(pattern=r"^\$\w+$")]  # `$width` stands for the fact of that name


def either(wanted: str) -> WrapValidator:
    """Report a union's fault in one sentence, where pydantic reports one for each alternative."""

    def check(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
        try:
            return validate(value)
        except ValidationError as error:
            raise ValueError(f"must be {wanted}, got {value!r:.100}") from error

    return WrapValidator(check)


class OrText:
    """In the JSON Schema of a part that may be given as plain text: the texts that are allowed."""

    def __init__(self, *texts: dict[str, Any], **whole: Any) -> None:
        self._texts = texts
        self._whole = whole  # further words about the part in full

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Return the schema of the text or of the part in full."""
        return {"anyOf": [*self._texts, {**handler(schema), **self._whole}]}


class _KnownFacts:
    """In the JSON Schema of facts: those whose meaning is known."""

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        numbers = {
            name: {"type": "number", "minimum": 0, "description": meaning}
            for name, meaning in FACTS.items()
        }
        words = {
            name: {"type": "string", "description": meaning} for name, meaning in TEXT_FACTS.items()
        }
        return {**handler(schema), "properties": numbers | words}


def _checked_facts(facts: dict[str, Fact]) -> dict[str, Fact]:
    faults = check_facts(facts)
    if faults:
        raise ValueError("; ".join(faults))
    return facts


_MOST_FACTS = 200  # a row has room for those of the recipe, the group and the folder's name

Facts = Annotated[
    dict[str, Annotated[Fact, either("a finite number, text, true or false")]],
    Field(max_length=_MOST_FACTS),
    AfterValidator(_checked_facts),
    _KnownFacts(),
]


SpecT = TypeVar("SpecT", bound=Part)


def bind(part: SpecT, facts: Mapping[str, Fact]) -> SpecT:
    """Replace each `$name` in a part of a recipe by the group's fact of that name.

    Raises:
        RecipeError: The group does not have the fact, or its value is not allowed there.
    """

    def bound(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: bound(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(bound(inner) for inner in value)
        if isinstance(value, str) and re.fullmatch(r"\$\w+", value):
            if value[1:] not in facts:
                raise RecipeError(
                    f"the recipe uses the fact {value[1:]!r}, but the group has "
                    f"{'only ' + ', '.join(facts) if facts else 'no facts'}"
                )
            return facts[value[1:]]
        return value

    raw = part.model_dump()
    filled = bound(raw)
    if filled == raw:
        return part
    try:
        return type(part).model_validate(filled)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(name) for name in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        got = "" if ", got " in message else f", got {first['input']!r:.100}"
        raise RecipeError(
            f"with the facts of the group filled in, {place}: {message}{got}"
        ) from error


@dataclass(frozen=True)
class Keyed(Generic[SpecT]):
    """A part of a recipe as the key of a cache: equal parts have equal digests."""

    digest: str
    part: SpecT = field(compare=False)

    @classmethod
    def of(cls, part: SpecT) -> Keyed[SpecT]:
        """Compute the digest of a part."""
        return cls(fingerprint(part), part)


def fingerprint(*parts: Part | str | None) -> str:
    """Hash parts of a recipe; comments, order of keys and explicit defaults do not matter."""
    content = [part.model_dump(mode="json") if isinstance(part, Part) else part for part in parts]
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()

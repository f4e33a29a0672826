"""A part of a recipe: its validation, the facts of a group in it, and its hash."""

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
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from mdtree.exceptions import RecipeError
from mdtree.rows import Fact, check_facts

__all__ = ["FactRef", "Facts", "Keyed", "Part", "bind", "either", "fingerprint"]


class Part(BaseModel):
    """A part of a recipe: frozen, and every unknown key is an error."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        ser_json_inf_nan="constants",  # an argument of a factory may be infinite
    )


FactRef = Annotated[str, Field(pattern=r"^\$\w+$")]  # `$width` stands for the fact of that name


def either(wanted: str) -> WrapValidator:
    """Say what is wanted in one sentence, where pydantic complains once for each alternative."""

    def check(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
        try:
            return validate(value)
        except ValidationError as error:
            raise ValueError(f"must be {wanted}, got {value!r:.100}") from error

    return WrapValidator(check)


def _checked_facts(facts: dict[str, Fact]) -> dict[str, Fact]:
    faults = check_facts(facts)
    if faults:
        raise ValueError("; ".join(faults))
    return facts


_MOST_FACTS = 200  # a row has room for those of the recipe, of the group and of its folder's name

Facts = Annotated[
    dict[str, Annotated[Fact, either("a finite number, a text, true or false")]],
    Field(max_length=_MOST_FACTS),
    AfterValidator(_checked_facts),
]


SpecT = TypeVar("SpecT", bound=Part)


def bind(part: SpecT, facts: Mapping[str, Fact]) -> SpecT:
    """Put a group's facts in the place of `$name`, everywhere in a part of the recipe."""

    def bound(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: bound(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(bound(inner) for inner in value)
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
            f"with the facts of the group in its place, {place}: {message}{got}"
        ) from error


@dataclass(frozen=True)
class Keyed(Generic[SpecT]):
    """A part of a recipe that a cache can look up: equal parts have equal digests."""

    digest: str
    part: SpecT = field(compare=False)

    @classmethod
    def of(cls, part: SpecT) -> Keyed[SpecT]:
        """Take the digest of what the part says."""
        return cls(fingerprint(part), part)


def fingerprint(*parts: Part | str | None) -> str:
    """Hash what parts of a recipe say: comments, order of keys and defaults make no difference."""
    content = [part.model_dump(mode="json") if isinstance(part, Part) else part for part in parts]
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()

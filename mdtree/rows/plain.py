"""Plain data read as dataclasses, as pydantic reads them, but in less time than importing it takes.

Only what needs no conversion is read, except that whole numbers become floats and lists tuples, as
the annotations say.  Of everything else nothing is said: None is returned, and pydantic decides.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from functools import cache, partial
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

__all__ = ["plain"]

_Read = Callable[[Any], Any]

_LARGEST = 1 << 53  # whole numbers up to here are floats without loss


class _NotPlainError(Exception):
    """What is left to pydantic."""


def plain(kind: Any, content: Any) -> Any:
    """Read data as a dataclass; None if they are not plain."""
    try:
        return _reader(kind)(content)
    except (_NotPlainError, ValueError, RecursionError):  # ValueError: of __post_init__
        return None


def _made(kind: Any, values: Mapping[str, Any]) -> Any:
    reads, defaults = _fields(kind)
    if not values.keys() <= reads.keys():
        raise _NotPlainError
    found = {name: reads[name](value) for name, value in values.items()}
    for name, default in defaults.items():
        if name not in found:
            found[name] = default()
    if len(found) < len(reads):
        raise _NotPlainError
    made = object.__new__(kind)
    made.__dict__.update(found)
    if hasattr(made, "__post_init__"):
        made.__post_init__()
    return made


@cache
def _fields(kind: Any) -> tuple[dict[str, _Read], dict[str, Callable[[], Any]]]:
    """Return how each field of a dataclass is read, and what makes the values of those left out."""
    hints = get_type_hints(kind, include_extras=True)
    defaults: dict[str, Callable[[], Any]] = {}
    for each in fields(kind):
        if each.default_factory is not MISSING:
            defaults[each.name] = each.default_factory
        elif each.default is not MISSING:
            defaults[each.name] = partial(_same, each.default)
    return {each.name: _reader(hints[each.name]) for each in fields(kind)}, defaults


def _same(value: Any) -> Any:
    return value


@cache
def _reader(kind: Any) -> _Read:
    """Return what reads a value of a type."""
    if kind in _READERS:
        return _READERS[kind]
    if is_dataclass(kind):
        return _instance(kind)
    return _READERS_OF[get_origin(kind)](*get_args(kind))


def _exactly(kind: type) -> _Read:
    def read(value: Any) -> Any:
        if type(value) is not kind:
            raise _NotPlainError
        return value

    return read


def _text(value: Any) -> str:
    if type(value) is not str or (not value.isascii() and _is_broken(value)):
        raise _NotPlainError
    return value


def _is_broken(text: str) -> bool:
    """Return whether a text holds halves of characters, which JSON can spell."""
    return any("\ud800" <= letter <= "\udfff" for letter in text)


def _int(value: Any) -> int:
    if type(value) is not int or not -_LARGEST <= value <= _LARGEST:
        raise _NotPlainError
    return value


def _float(value: Any) -> float:
    if type(value) is float and math.isfinite(value):
        return value
    return float(_int(value))


_READERS: dict[Any, _Read] = {
    bool: _exactly(bool),
    float: _float,
    int: _int,
    str: _text,
    NoneType: _exactly(NoneType),
}


def _instance(kind: Any) -> _Read:
    def read(value: Any) -> Any:
        if type(value) is kind:  # it was checked when it was made
            return value
        if type(value) is not dict:
            raise _NotPlainError
        return _made(kind, value)

    return read


def _within(kind: Any, *marks: Any) -> _Read:
    """Read a value that has limits; what else is in an annotation only concerns pydantic."""
    limits = _limits(marks)
    read = _reader(kind)
    checks = [_LIMITS[name](limit) for name, limit in limits.items() if name != "strict"]
    if not checks:
        return read

    def read_within(value: Any) -> Any:
        found = read(value)
        for check in checks:
            if not check(found):
                raise _NotPlainError
        return found

    return read_within


def _limits(marks: Iterable[Any]) -> dict[str, Any]:
    return {name: limit for mark in marks for name, limit in getattr(mark, "limits", {}).items()}


_LIMITS: dict[str, Callable[[float], Callable[[Any], bool]]] = {
    "ge": lambda limit: lambda value: value >= limit,
    "gt": lambda limit: lambda value: value > limit,
    "le": lambda limit: lambda value: value <= limit,
    "min_length": lambda limit: lambda value: len(value) >= limit,
    "max_length": lambda limit: lambda value: len(value) <= limit,
}


def _one_of(*kinds: Any) -> _Read:
    """Read a value as the type that it has already, or as the first that fits."""
    own = {kind: _READERS[kind] for kind in kinds if kind in _READERS}
    others = [_reader(kind) for kind in kinds]

    def read(value: Any) -> Any:
        if type(value) in own:
            return own[type(value)](value)
        for other in others:
            try:
                return other(value)
            except _NotPlainError:
                continue
        raise _NotPlainError

    return read


def _one_of_words(*words: Any) -> _Read:
    def read(value: Any) -> Any:
        for word in words:
            if type(value) is type(word) and value == word:
                return word
        raise _NotPlainError

    return read


def _named(name: Any, kind: Any) -> _Read:
    read_name, read = _reader(name), _reader(kind)

    def read_all(value: Any) -> dict[Any, Any]:
        if type(value) is not dict:
            raise _NotPlainError
        return {read_name(key): read(each) for key, each in value.items()}

    return read_all


def _list(kind: Any) -> _Read:
    read, ends = _reader(kind), _ends(kind)

    def read_all(value: Any) -> list[Any]:
        if type(value) is not list and type(value) is not tuple:
            raise _NotPlainError
        if ends is not None and _are_floats(value, *ends):
            return list(value)
        return [read(each) for each in value]

    return read_all


def _ends(kind: Any) -> tuple[float, float] | None:
    """Return the least and the largest float of a type; None if it has others or other limits."""
    if kind is float:
        return -math.inf, math.inf
    if get_origin(kind) is not Annotated or get_args(kind)[0] is not float:
        return None
    limits = _limits(get_args(kind)[1:])
    if not limits.keys() <= {"ge", "le"}:
        return None
    return limits.get("ge", -math.inf), limits.get("le", math.inf)


def _are_floats(values: Sequence[Any], least: float, most: float) -> bool:
    """Return whether all are floats within limits: long lists are checked as a whole."""
    return (
        set(map(type, values)) == {float}
        and all(map(math.isfinite, values))
        and least <= min(values)
        and max(values) <= most
    )


def _tuple(*kinds: Any) -> _Read:
    if kinds[1:] == (...,):
        read_list = _list(kinds[0])
        return lambda value: tuple(read_list(value))
    reads = [_reader(kind) for kind in kinds]

    def read_all(value: Any) -> tuple[Any, ...]:
        if (type(value) is not list and type(value) is not tuple) or len(value) != len(reads):
            raise _NotPlainError
        return tuple([read(each) for read, each in zip(reads, value, strict=True)])

    return read_all


_READERS_OF: dict[Any, Callable[..., _Read]] = {
    Annotated: _within,
    Literal: _one_of_words,
    Mapping: _named,
    Union: _one_of,
    UnionType: _one_of,
    dict: _named,
    list: _list,
    tuple: _tuple,
}

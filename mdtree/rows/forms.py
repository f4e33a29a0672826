"""Frozen dataclasses whose values are checked, by pydantic or, where they are plain, without it.

Importing pydantic and building its validators takes longer than a verdict.  So what is plain is
read by `mdtree.rows.plain` from the same annotations, and pydantic is asked about everything else:
what has to be converted, and what is wrong.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar, dataclass_transform

from mdtree.rows.plain import plain

if TYPE_CHECKING:
    from pydantic import ConfigDict, TypeAdapter

__all__ = ["STRICT", "Late", "Limits", "adapter_of", "checked", "read_as"]

KindT = TypeVar("KindT")

STRICT: ConfigDict = {"extra": "forbid", "allow_inf_nan": False}


class Late:
    """In an annotation: what pydantic is told about a type, made when it asks."""

    __is_annotated_types_grouped_metadata__: Literal[True] = True  # so pydantic iterates over it

    def __init__(self, make: Callable[[], Iterable[Any]]) -> None:
        self._make = make

    def __iter__(self) -> Iterator[Any]:
        """Yield pydantic's annotations."""
        yield from self._make()


class Limits(Late):
    """In an annotation: the limits of a number or of a length, in the words of pydantic's Field."""

    def __init__(self, **limits: Any) -> None:
        self.limits = limits

    def __iter__(self) -> Iterator[Any]:
        """Yield pydantic's annotations."""
        from pydantic.fields import FieldInfo

        yield from FieldInfo(**self.limits).metadata


@dataclass_transform(frozen_default=True, kw_only_default=True)
def checked(kind: type[KindT]) -> type[KindT]:
    """Make a frozen dataclass whose values are checked when it is created.

    Raises (when an object is created):
        pydantic.ValidationError: It lists every fault with its place.
    """
    made = dataclass(frozen=True, kw_only=True)(kind)
    made.__pydantic_config__ = STRICT  # type: ignore[attr-defined]

    @functools.wraps(made.__init__)
    def __init__(self: KindT, /, *unnamed: Any, **values: Any) -> None:  # noqa: N807
        found = None if unnamed else plain(made, values)
        if found is not None:
            self.__dict__.update(vars(found))
            return
        from pydantic_core import ArgsKwargs

        given = ArgsKwargs(unnamed, values)
        adapter_of(made).validator.validate_python(given, self_instance=self)

    made.__init__ = __init__  # type: ignore[assignment,method-assign,unused-ignore]
    return made


def read_as(kind: type[KindT], content: Any) -> KindT:
    """Read plain data as a dataclass.

    Raises:
        pydantic.ValidationError: It lists every fault with its place.
    """
    found: KindT | None = plain(kind, content)
    if found is None:
        found = adapter_of(kind).validate_python(content)
    return found


def adapter_of(kind: type[KindT]) -> TypeAdapter[KindT]:
    """Return pydantic's form of a class, which is built once."""
    key: Any = kind  # mypy takes no class for hashable
    return _adapter(key)


@functools.cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)

"""Notes: what stands in place of the values that a pickle would make, and what these would take.

Numbers, texts and None stand for themselves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from mdtree.scanning.archive_scan import FaultError

__all__ = [
    "CONTAINER",
    "ITEM",
    "POINTER",
    "SET",
    "TENSOR",
    "TUPLE",
    "Bytes",
    "Constant",
    "Ledger",
    "Many",
    "Name",
    "Storage",
    "Tensor",
    "Tuple",
    "are_sizes",
    "is_dict",
    "is_list",
    "is_size",
    "items_of",
    "keys_of",
    "parts_of",
]

_MOST = 1_000_000  # values in a tuple, nested tuples included
_MOST_IN_A_KEY = 1_000  # the same, in the key of a dictionary or a storage
_LETTERS = 100_000  # characters in a tuple key, which may repeat a long text
_DEEPEST = 100  # levels of nested tuples
_DIMENSIONS = 64  # of a tensor
_ALIKE = 100  # keys with the same hash in a dictionary: each is compared with all before it

POINTER = 8  # bytes
TENSOR, SET, CONTAINER, ITEM, TUPLE = 450, 216, 64, 150, 56  # bytes, at most


@dataclass(slots=True, eq=False)
class Name:
    """A class, a function or a constant."""

    path: str


@dataclass(slots=True, eq=False)
class Tuple:
    """A tuple, with what is in it."""

    parts: tuple[Any, ...]
    size: int = 1  # values in it
    depth: int = 1  # tuples in it


@dataclass(slots=True, eq=False)
class Many:
    """A list, dictionary or set, with its items or keys; or an object that is not created."""

    kind: str
    items: list[Any] = field(default_factory=list)
    hashes: Counter[int] | None = None
    has_attributes: bool = False


@dataclass(frozen=True, slots=True)
class Storage:
    """Bytes of numbers that lie in the file, or a part of them."""

    kind: str
    place: tuple[str, int, int]  # the key of what it is a view of, or its own; from; how many
    width: int  # bytes of a number

    @property
    def size(self) -> int:
        """Count its bytes."""
        return self.place[2] * self.width


@dataclass(slots=True, eq=False)
class Bytes:
    """A row of bytes."""

    size: int


@dataclass(slots=True, eq=False)
class Tensor:
    """A tensor, which is a view of a storage."""

    count: int  # of its numbers


class Constant:
    """A device or a layout, whose value does not matter."""


@dataclass(slots=True, eq=False)
class Ledger:
    """What has been made so far, in bytes."""

    made: int = 0

    def spend(self, size: int) -> None:
        """Count bytes that are made."""
        self.made += size

    def make_tuple(self, parts: Sequence[Any]) -> Tuple:
        """Make a tuple, unless it is too large or too deep."""
        self.spend(TUPLE)
        tuples = [part for part in parts if isinstance(part, Tuple)]
        size = 1 + len(parts) - len(tuples) + sum(part.size for part in tuples)
        depth = 1 + max((part.depth for part in tuples), default=0)
        if size > _MOST or depth > _DEEPEST:
            raise FaultError(f"it has a tuple of more than {_MOST} values or {_DEEPEST} levels")
        return Tuple(tuple(parts), size, depth)

    def add_keys(self, container: Many, keys: Iterable[Any]) -> None:
        """Add keys to a container; refuse keys that would take very long to hash or compare."""
        for key in keys:
            size = key.size if isinstance(key, Tuple) else 1
            if size > _MOST_IN_A_KEY:
                raise FaultError(f"it has a key of more than {_MOST_IN_A_KEY} values")
            if isinstance(key, Tuple) and _letters(key) > _LETTERS:
                raise FaultError(f"it has a key of more than {_LETTERS} characters")
            container.items.append(key)
            self.spend(16 * (size - 1))
            if not isinstance(key, str):  # the hashes of strings cannot be chosen
                container.hashes = container.hashes or Counter()
                container.hashes[value := hash(_real(key))] += 1
                if container.hashes[value] > _ALIKE:
                    raise FaultError(f"it has more than {_ALIKE} keys with the same hash")


def is_size(number: Any) -> bool:
    """Return whether a number can be a size."""
    return type(number) is int and number >= 0


def are_sizes(sizes: Any) -> bool:
    """Return whether a tensor can have these sizes."""
    return (
        isinstance(sizes, Tuple)
        and len(sizes.parts) <= _DIMENSIONS
        and all(map(is_size, sizes.parts))
    )


def items_of(value: Any) -> Sequence[Any]:
    """Return the items of a list, or the keys of a dictionary or a set."""
    return value.items if isinstance(value, Many) else ()


def is_list(value: Any) -> bool:
    """Return whether it is a list; None counts as an empty one."""
    return value is None or (isinstance(value, Many) and value.kind == "list")


def is_dict(value: Any) -> bool:
    """Return whether it is a dictionary; None counts as an empty one."""
    return value is None or (isinstance(value, Many) and value.kind == "dict")


def parts_of(value: Any) -> Sequence[Any]:
    """Return the items of a tuple, a list or a set."""
    if isinstance(value, Tuple):
        return value.parts
    return () if is_dict(value) else items_of(value)


def keys_of(pairs: Any) -> list[Any]:
    """Return the keys of a dictionary of pairs; in a set, either value may be one."""
    keys: list[Any] = []
    for pair in parts_of(pairs):
        parts = parts_of(pair)
        if len(parts) == 2:  # noqa: PLR2004
            keys += parts if getattr(pair, "kind", "") == "set" else parts[:1]
    return keys


def _real(key: Any) -> Any:
    """Return a value with the same hash as a key: the hash of numbers and their tuples is known.

    Values whose hash is unknown here, or always the same, count as one value.
    """
    if isinstance(key, Tuple):
        return tuple(map(_real, key.parts))
    alike = isinstance(key, Constant) or (isinstance(key, Bytes) and key.size == 0)
    return 0 if alike else key


def _letters(key: Any) -> int:
    """Count the characters of a key when it is printed, as in a message."""
    if isinstance(key, Tuple):
        return sum(map(_letters, key.parts))
    return len(key) if isinstance(key, str) else key.size if isinstance(key, Bytes) else 0

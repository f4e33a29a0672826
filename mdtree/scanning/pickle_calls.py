"""The calls of a pickle, each held to what it is given."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from typing import Any

from mdtree.scanning.archive_scan import FaultError
from mdtree.scanning.pickle_names import CALLS, CLASSES, is_known, settable, width_of
from mdtree.scanning.pickle_notes import (
    CONTAINER,
    ITEM,
    POINTER,
    SET,
    TENSOR,
    TUPLE,
    Bytes,
    Constant,
    Ledger,
    Many,
    Name,
    Tensor,
    Tuple,
    are_sizes,
    is_dict,
    is_list,
    is_size,
    items_of,
    keys_of,
)
from mdtree.scanning.pickle_storages import Storages

__all__ = ["Calls"]

_LATIN = ("latin1", "latin-1")


class Calls:
    """What plain checkpoints call; each gives None if it is asked for more than it is given."""

    def __init__(self, ledger: Ledger, storages: Storages) -> None:
        self._ledger = ledger
        self._storages = storages

    def made_by(self, function: Any, arguments: Any) -> Any:
        """Record a call; refuse one that creates more than its arguments contain."""
        if not isinstance(function, Name) or not isinstance(arguments, Tuple):
            raise FaultError("it calls something without a name")
        self._ledger.spend(POINTER * len(arguments.parts))
        if not is_known(function.path):
            self._ledger.spend(ITEM)
            return Many("object")
        made = None
        if call := CALLS.get(function.path):
            with contextlib.suppress(TypeError):  # another number of arguments
                made = getattr(self, call)(*arguments.parts)
        if made is None:
            raise FaultError(f"it calls {function.path:.100} for more than it contains")
        return made

    def _ordered(self, pairs: Any = None) -> Many | None:
        names, made = keys_of(pairs), Many("dict", has_attributes=True)
        fits = is_list(pairs) and len(names) == len(items_of(pairs))  # no text and no set is a pair
        return self._filled(made, names) if fits else None

    def _counter(self, counts: Any = None) -> Many | None:
        return self._filled(Many("dict"), items_of(counts)) if is_dict(counts) else None

    def _set(self, content: Any = None) -> Many | None:
        return self._filled(Many("set"), items_of(content)) if is_list(content) else None

    def _filled(self, made: Many, names: Sequence[Any]) -> Many:
        self._ledger.spend(SET + ITEM * len(names))
        self._ledger.add_keys(made, names)
        return made

    def _encode(self, text: Any, encoding: Any) -> Bytes | None:
        if not isinstance(text, str) or encoding not in _LATIN:  # so bytes are pickled
            return None
        self._ledger.spend(CONTAINER + len(text))
        return Bytes(len(text))

    def _bytearray(self, content: Any = "", encoding: Any = "latin1") -> Bytes | None:
        if isinstance(content, str) and (not content or encoding in _LATIN):
            content = Bytes(len(content))
        if not isinstance(content, Bytes):  # a number would be its length
            return None
        self._ledger.spend(CONTAINER + content.size)
        return content

    def _complex(self, real: Any, imaginary: Any) -> complex | None:
        are_numbers = {type(real), type(imaginary)} <= {int, float}
        return complex(real, imaginary) if are_numbers else None

    def _size(self, sizes: Any) -> Tuple | None:
        if not isinstance(sizes, Tuple):
            return None
        self._ledger.spend(TUPLE + POINTER * len(sizes.parts))
        return sizes

    def _constant(self, text: Any, number: Any = 0) -> Constant | None:
        self._ledger.spend(TUPLE)
        return Constant() if (type(text), type(number)) == (str, int) else None

    def _rebuilt(  # noqa: PLR0917 - as torch writes them
        self, storage: Any, offset: Any, sizes: Any, strides: Any, _: Any = 0, hooks: Any = None,
        metadata: Any = None,
    ) -> Tensor | None:  # fmt: skip
        fits = is_dict(hooks) and is_dict(metadata)
        return self._storages.tensor(storage, offset, sizes, strides) if fits else None

    def _rebuilt_typed(  # noqa: PLR0917
        self, storage: Any, offset: Any, sizes: Any, strides: Any, _: Any, hooks: Any, dtype: Any,
        metadata: Any = None,
    ) -> Tensor | None:  # fmt: skip
        width = width_of(dtype)
        fits = width and is_dict(hooks) and is_dict(metadata)
        return self._storages.tensor(storage, offset, sizes, strides, width) if fits else None

    def _quantized(  # noqa: PLR0917
        self, storage: Any, offset: Any, sizes: Any, strides: Any, how: Any, _: Any, hooks: Any
    ) -> Tensor | None:
        made = self._storages.tensor(storage, offset, sizes, strides) if is_dict(hooks) else None
        if made is None or made.count * storage.width > storage.size:
            return None  # torch makes room for all of it first
        match how.parts if isinstance(how, Tuple) else ():
            case (Name(), int() | float(), int()):
                return made
            case (Name(), Tensor(count=scales), Tensor(count=zeros), axis) if is_size(axis):
                self._ledger.spend(16 * scales)  # they are copied
                return made if [scales, zeros] == [*sizes.parts[axis : axis + 1] * 2] else None
        return None

    def _meta(self, dtype: Any, sizes: Any, strides: Any, _: Any) -> Tensor | None:
        self._ledger.spend(TENSOR)
        fits = width_of(dtype) and are_sizes(sizes) and are_sizes(strides)
        return Tensor(math.prod(sizes.parts)) if fits else None

    def _parameter(self, data: Any, _: Any, hooks: Any, state: Any = None) -> Tensor | None:
        self._ledger.spend(TENSOR)
        fits = isinstance(data, Tensor) and is_dict(hooks) and self._is_state(state)
        return data if fits else None

    def _of_a_class(self, call: Any, kind: Any, arguments: Any, state: Any) -> Tensor | None:
        """Record a tensor with attributes, or of a subclass."""
        made = self.made_by(call, arguments)
        is_kind = isinstance(kind, Name) and kind.path in CLASSES
        return made if is_kind and isinstance(made, Tensor) and self._is_state(state) else None

    def _is_state(self, state: Any) -> bool:
        """Return whether attributes are additions: torch's own could change the numbers."""
        parts = state.parts if isinstance(state, Tuple) else (state,)
        names = [name for part in parts for name in items_of(part)]
        self._ledger.spend(ITEM * len(names))
        return all(map(is_dict, parts)) and all(
            isinstance(name, str) and name not in settable() for name in names
        )

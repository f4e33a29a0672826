"""A scan of a torch.save pickle, step by step, with records instead of objects.

torch's weights-only reader runs no foreign code, but the functions that it calls are enough to fill
the memory, or to create tensors on uninitialised memory.  So the calls that plain checkpoints need
are listed here, with the arguments that each may get.  The objects may take only a limited number
of bytes per byte of the pickle, and the numbers of a tensor must be in the file.
"""

from __future__ import annotations

import pickle
import pickletools
from collections.abc import Collection, Mapping
from typing import IO, Any

from mdtree.scanning.archive_scan import FaultError
from mdtree.scanning.pickle_calls import Calls
from mdtree.scanning.pickle_names import named
from mdtree.scanning.pickle_notes import (
    CONTAINER,
    ITEM,
    SET,
    Ledger,
    Many,
    Tuple,
    is_dict,
    items_of,
    keys_of,
    parts_of,
)
from mdtree.scanning.pickle_storages import Storages

__all__ = ["PickleScan"]

_FREE = 1 << 26  # bytes that a pickle may always allocate,
_RATIO = 32  # or this many per byte of it: `[]` allocates 64 for 3, and so does `{}`

_PUSHED = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_PUSHING = ("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE")
_EMPTY = {"EMPTY_LIST": "list", "EMPTY_DICT": "dict", "EMPTY_SET": "set"}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class PickleScan:
    """Scans one pickle, or several that belong together, like torch would read them.

    `passed_over` are names of classes that will be replaced by placeholders; `records` are the
    sizes of an archive's entries, without which the file is of the older form.
    """

    def __init__(
        self, passed_over: Collection[str] = (), records: Mapping[str, int] | None = None
    ) -> None:
        self._passed_over = passed_over
        self._ledger = Ledger()
        self._storages = Storages(self._ledger, records)
        self._calls = Calls(self._ledger, self._storages)
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []  # stacks, each up to a mark
        self._memo: dict[int, Any] = {}

    def through(self, pickled: IO[bytes]) -> Any:
        """Scan one pickle, and return a record of its content."""
        start = pickled.tell()
        for operation, argument, place in pickletools.genops(pickled):
            if operation.name == "STOP":
                break
            self._step(operation, argument)
            if self._ledger.made > _FREE + _RATIO * ((place or start) - start):
                raise FaultError(
                    f"it makes {self._ledger.made} bytes of {(place or start) - start}"
                )
        return self._stack.pop()

    def check_filled(self, keys: Any, left: int) -> None:
        """Check the storages of the older form against the keys and bytes after the pickle."""
        self._storages.check_filled(keys, left)

    def _step(self, operation: pickletools.OpcodeInfo, argument: Any) -> None:
        name, stack = operation.name, self._stack
        if name in _PUSHED:
            stack.append(_PUSHED[name])
        elif name in _PUSHING:
            stack.append(argument)
        elif name == "SHORT_BINSTRING":
            stack.append(argument.encode("latin-1").decode("utf-8"))
        elif name in ("BINPUT", "LONG_BINPUT"):
            self._memo[argument] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(self._memo[argument])
        elif name in _EMPTY:
            self._ledger.spend(SET if name == "EMPTY_SET" else CONTAINER)
            stack.append(Many(_EMPTY[name]))
        elif name == "MARK":
            self._ledger.spend(CONTAINER)
            self._below.append(stack)
            self._stack = []
        elif not (self._combine(name) or self._refer(name, argument)):
            raise pickle.UnpicklingError(f"Weights only: unsupported operand {ord(operation.code)}")

    def _combine(self, name: str) -> bool:
        """Run an opcode that combines values on the stack."""
        if name == "EMPTY_TUPLE":
            self._stack.append(Tuple(()))
        elif name in _TUPLES:
            self._stack.append(self._ledger.make_tuple(self._last(_TUPLES[name])))
        elif name == "TUPLE":
            parts = self._marked()  # first: it goes back to the stack below
            self._stack.append(self._ledger.make_tuple(parts))
        elif name in ("APPEND", "APPENDS"):
            values = self._marked() if name == "APPENDS" else self._last(1)
            self._top("list").items.extend(values)
        elif name in ("SETITEM", "SETITEMS"):
            values = self._marked() if name == "SETITEMS" else self._last(2)
            self._ledger.add_keys(self._top("dict", "object"), values[::2])
        else:
            return False
        return True

    def _refer(self, name: str, argument: Any) -> bool:
        """Run an opcode that refers to something outside the pickle."""
        if name == "GLOBAL":
            self._stack.append(named(argument, self._passed_over))
        elif name in ("REDUCE", "NEWOBJ"):
            function, arguments = self._last(2)
            self._stack.append(self._calls.made_by(function, arguments))
        elif name == "BUILD":
            self._build(*self._last(1))
        elif name == "BINPERSID":
            self._stack.append(self._storages.named(*self._last(1)))
        else:
            return name == "PROTO"
        return True

    def _build(self, state: Any) -> None:
        """Set attributes, only of dictionaries and of objects that are not created."""
        target, names = self._stack[-1], items_of(state)
        self._ledger.spend(ITEM * len(parts_of(state) or names))
        if isinstance(target, Many) and target.kind == "object":  # it may be a kind of dictionary
            self._ledger.add_keys(target, names if is_dict(state) else keys_of(state))
        elif not (
            getattr(target, "has_attributes", False)
            and is_dict(state)
            and all(isinstance(name, str) for name in names)
        ):
            raise FaultError("it changes objects after creating them, like the oldest files")

    def _last(self, count: int) -> list[Any]:
        if len(self._stack) < count:
            raise IndexError("the stack is empty")
        last = self._stack[-count:]
        del self._stack[-count:]
        return last

    def _marked(self) -> list[Any]:
        self._ledger.spend(-CONTAINER)
        marked, self._stack = self._stack, self._below.pop()
        return marked

    def _top(self, *kinds: str) -> Many:
        top = self._stack[-1]
        if not isinstance(top, Many) or top.kind not in kinds:
            raise pickle.UnpicklingError(f"a {kinds[0]} is needed and there is none")
        return top

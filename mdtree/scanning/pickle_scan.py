"""A pickle of torch.save, gone through step by step, with notes in place of what it would make.

torch's reader of weights runs no foreign code, and the functions that it does call are enough to
fill the memory, or to make tensors of memory that nobody has written.  So the calls that plain
checkpoints need are listed here, with what each may be given.  All that is made takes at most so
many bytes for each byte of the pickle, and a tensor has its numbers in the file.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import math
import pickle
import pickletools
import re
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

from mdtree.scanning.archive_scan import FaultError

__all__ = ["PickleScan"]

_MOST = 1_000_000  # values in a tuple, those of tuples in it counted wherever they stand
_MOST_IN_A_KEY = 1_000  # the same, of what a dictionary or a storage is known by
_LETTERS = 100_000  # of a key that is a tuple, one text in it may be long and stand in it often
_DEEPEST = 100  # tuples in tuples
_DIMENSIONS = 64  # of a tensor
_LENGTH = 8  # bytes before each storage of the older form
_ALIKE = 100  # keys of one dictionary that have one hash: each is compared with all before it

_FREE = 1 << 26  # bytes that a pickle may make, however short it is,
_RATIO = 32  # or how many for each of its own: `[]` makes 64 of 3, `{}` as many
_POINTER = 8  # bytes
_TENSOR, _SET, _CONTAINER, _ITEM, _TUPLE = 450, 216, 64, 150, 56  # bytes, at most
_SHARED = 64  # how often tensors may show the bytes of a file: as layers that share their weights
_REPEATED = 1 << 26  # bytes of masks and positions that are expanded views of a few numbers

_LATIN = ("latin1", "latin-1")
_STORAGE = re.compile(r"torch\.(?:cuda\.)?(\w+)Storage")
_SIZES = {
    **dict.fromkeys(("Char", "Byte", "Bool", "QInt8", "QUInt8", "QUInt4x2", "QUInt2x4"), 1),
    **dict.fromkeys(("Half", "BFloat16", "Short"), 2),
    **dict.fromkeys(("Float", "Int", "QInt32"), 4),
    **dict.fromkeys(("Double", "Long", "ComplexFloat"), 8),
    "ComplexDouble": 16,
}  # of storages: bytes of a number
_UNTYPED = "torch.storage.UntypedStorage"
_OLDEST = re.compile(r"torch\.(cuda\.)?(sparse\.|storage\.)?\w+(Tensor|Storage)")
_CLASSES = ("torch.Tensor", "torch.nn.parameter.Parameter")
_CONSTANT = re.compile(
    r"torch\.((q?u?int|b?float|complex|bits)\d\w*|bool|per_(tensor|channel)_\w+)"
)

# what plain checkpoints call -> what looks at the call here
_CALLS = {
    "collections.OrderedDict": "_ordered",
    "collections.Counter": "_counter",
    "builtins.set": "_set",
    "builtins.bytearray": "_bytearray",
    "builtins.complex": "_complex",
    "_codecs.encode": "_encode",
    "torch.Size": "_size",
    "torch.device": "_constant",
    "torch.serialization._get_layout": "_constant",
    "torch._utils._rebuild_tensor": "_rebuilt",
    "torch._utils._rebuild_tensor_v2": "_rebuilt",
    "torch._utils._rebuild_tensor_v3": "_rebuilt_typed",
    "torch._utils._rebuild_qtensor": "_quantized",
    "torch._utils._rebuild_meta_tensor_no_storage": "_meta",
    "torch._utils._rebuild_parameter": "_parameter",
    "torch._utils._rebuild_parameter_with_state": "_parameter",
    "torch._tensor._rebuild_from_type_v2": "_of_a_class",
}

# what torch.save writes as well, and cannot be weights
_OTHERS = {
    "torch._utils._rebuild_sparse_tensor": "a sparse tensor, whose indices may lead anywhere",
    "torch._utils._rebuild_nested_tensor": "a nested tensor",
    "torch.nested._internal.nested_tensor._rebuild_njt": "a nested tensor",
    "torch._utils._rebuild_wrapper_subclass": "a tensor that stands for others",
    "torch._utils._rebuild_device_tensor_from_numpy": "a tensor of another device",
    "torch._utils._rebuild_device_tensor_from_cpu_tensor": "a tensor of another device",
}


# Numbers, texts and None stand for themselves among these.


@dataclass(slots=True, eq=False)
class _Name:
    """A class, a function or a constant."""

    path: str


@dataclass(slots=True, eq=False)
class _Tuple:
    parts: tuple[Any, ...]
    size: int = 1  # values in it
    depth: int = 1  # tuples in it


@dataclass(slots=True, eq=False)
class _Many:
    """A list, a dictionary or a set, with its items or its keys; or an object that is not made."""

    kind: str
    items: list[Any] = field(default_factory=list)
    hashes: Counter[int] | None = None
    has_attributes: bool = False


@dataclass(frozen=True, slots=True)
class _Storage:
    kind: str
    place: tuple[str, int, int]  # the key of what it is a view of, or its own; from; how many
    width: int  # bytes of a number

    @property
    def size(self) -> int:
        return self.place[2] * self.width


@dataclass(slots=True, eq=False)
class _Bytes:
    size: int


@dataclass(slots=True, eq=False)
class _Tensor:
    count: int  # of its numbers


class _Constant:
    """A device or a layout, at which nobody looks."""


_PUSHED = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_PUSHING = ("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE")
_EMPTY = {"EMPTY_LIST": "list", "EMPTY_DICT": "dict", "EMPTY_SET": "set"}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class PickleScan:
    """Goes through one pickle, or several that belong together, as torch would.

    `passed_over` are names of classes in whose place something empty will stand; `records` are the
    sizes of an archive's entries, without which the file is of the older form.
    """

    def __init__(
        self, passed_over: Collection[str] = (), records: Mapping[str, int] | None = None
    ) -> None:
        self._passed_over = passed_over
        self._records = records
        self._storages: dict[str, _Storage] = {}
        self._storage_bytes = 0  # bytes of them
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []  # stacks, each up to a mark
        self._memo: dict[int, Any] = {}
        self._made = 0  # bytes
        self._shown = self._repeated = 0  # bytes of tensors; those beyond their storages

    def through(self, pickled: IO[bytes]) -> Any:
        """Go through one pickle, and give a note of what it holds."""
        start = pickled.tell()
        for operation, argument, place in pickletools.genops(pickled):
            if operation.name == "STOP":
                break
            self._step(operation, argument)
            if self._made > _FREE + _RATIO * ((place or start) - start):
                raise FaultError(f"it makes {self._made} bytes of {(place or start) - start}")
        return self._stack.pop()

    def check_filled(self, keys: Any, left: int) -> None:
        """Hold the storages of the older form to the keys and the bytes that follow the pickle."""
        listed = keys.items if isinstance(keys, _Many) and keys.kind == "list" else ()
        filled = {key for key in listed if isinstance(key, str)}
        roots = {storage.place[0] for storage in self._storages.values()}
        if filled != roots:
            raise FaultError("it holds storages that it does not fill")
        needed = self._storage_bytes + _LENGTH * len(roots)
        if needed > left:
            raise EOFError(f"{left} bytes follow, and its storages ask for {needed}")

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
            self._spend(_SET if name == "EMPTY_SET" else _CONTAINER)
            stack.append(_Many(_EMPTY[name]))
        elif name == "MARK":
            self._spend(_CONTAINER)
            self._below.append(stack)
            self._stack = []
        elif not (self._combine(name) or self._refer(name, argument)):
            raise pickle.UnpicklingError(f"Weights only: unsupported operand {ord(operation.code)}")

    def _combine(self, name: str) -> bool:
        """Do a step that puts together what lies on the stack."""
        if name == "EMPTY_TUPLE":
            self._stack.append(_Tuple(()))
        elif name in _TUPLES:
            self._stack.append(self._tuple(self._last(_TUPLES[name])))
        elif name == "TUPLE":
            parts = self._marked()
            self._stack.append(self._tuple(parts))
        elif name in ("APPEND", "APPENDS"):
            items = self._marked() if name == "APPENDS" else self._last(1)
            self._top("list").items.extend(items)
        elif name in ("SETITEM", "SETITEMS"):
            items = self._marked() if name == "SETITEMS" else self._last(2)
            self._add_keys(self._top("dict", "object"), items[::2])
        else:
            return False
        return True

    def _refer(self, name: str, argument: Any) -> bool:
        """Do a step that leads out of the pickle."""
        if name == "GLOBAL":
            self._stack.append(self._named(argument))
        elif name in ("REDUCE", "NEWOBJ"):
            function, arguments = self._last(2)
            self._stack.append(self._called(function, arguments))
        elif name == "BUILD":
            self._build(*self._last(1))
        elif name == "BINPERSID":
            self._stack.append(self._storage(*self._last(1)))
        else:
            return name == "PROTO"
        return True

    def _spend(self, size: int) -> None:
        self._made += size

    def _last(self, count: int) -> list[Any]:
        if len(self._stack) < count:
            raise IndexError("the stack is empty")
        last = self._stack[-count:]
        del self._stack[-count:]
        return last

    def _marked(self) -> list[Any]:
        self._spend(-_CONTAINER)
        items, self._stack = self._stack, self._below.pop()
        return items

    def _top(self, *kinds: str) -> _Many:
        top = self._stack[-1]
        if not isinstance(top, _Many) or top.kind not in kinds:
            raise pickle.UnpicklingError(f"a {kinds[0]} is needed and there is none")
        return top

    def _tuple(self, parts: list[Any]) -> _Tuple:
        self._spend(_TUPLE)
        tuples = [part for part in parts if isinstance(part, _Tuple)]
        size = 1 + len(parts) - len(tuples) + sum(part.size for part in tuples)
        depth = 1 + max((part.depth for part in tuples), default=0)
        if size > _MOST or depth > _DEEPEST:
            raise FaultError(f"it holds a tuple of more than {_MOST} values or {_DEEPEST} levels")
        return _Tuple(tuple(parts), size, depth)

    def _add_keys(self, container: _Many, keys: Iterable[Any]) -> None:
        """Refuse keys at which one could look for ever."""
        for key in keys:
            size = key.size if isinstance(key, _Tuple) else 1
            if size > _MOST_IN_A_KEY:
                raise FaultError(f"it holds a key of more than {_MOST_IN_A_KEY} values")
            if isinstance(key, _Tuple) and _letters(key) > _LETTERS:
                raise FaultError(f"it holds a key of more than {_LETTERS} letters")
            container.items.append(key)
            self._spend(16 * (size - 1))
            if not isinstance(key, str):  # the hashes of texts are nobody's to choose
                container.hashes = container.hashes or Counter()
                container.hashes[value := hash(_real(key))] += 1
                if container.hashes[value] > _ALIKE:
                    raise FaultError(f"it holds more than {_ALIKE} keys that have one hash")

    def _named(self, argument: str) -> _Name:
        module, name = argument.split(" ")
        path = f"{module}.{name}"
        module, name = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))
        newer = f"{module}.{name}"  # that of Python 3
        if _is_known(newer):
            return _Name(newer)
        if newer in _OTHERS:
            raise FaultError(f"it holds {_OTHERS[newer]}: save plain tensors on the CPU")
        if _OLDEST.fullmatch(newer):
            raise FaultError(f"it names {newer:.100}, as the oldest files do")
        if not {path, newer} & {*self._passed_over}:
            raise pickle.UnpicklingError(f"Weights only: GLOBAL {newer} was not an allowed global")
        return _Name(newer)

    def _called(self, function: Any, arguments: Any) -> Any:
        """Refuse a call that makes more than it is given."""
        if not isinstance(function, _Name) or not isinstance(arguments, _Tuple):
            raise FaultError("it calls something that it does not name")
        self._spend(_POINTER * len(arguments.parts))
        if not _is_known(function.path):
            self._spend(_ITEM)
            return _Many("object")
        made = None
        if call := _CALLS.get(function.path):
            with contextlib.suppress(TypeError):  # another number of arguments
                made = getattr(self, call)(*arguments.parts)
        if made is None:
            raise FaultError(f"it calls {function.path:.100} for more than it holds")
        return made

    def _build(self, state: Any) -> None:
        """Set attributes: of dictionaries alone, and where nothing is made."""
        target, names = self._stack[-1], _items(state)
        self._spend(_ITEM * len(_parts(state) or names))
        if isinstance(target, _Many) and target.kind == "object":  # it may be a kind of dictionary
            self._add_keys(target, names if _is_dict(state) else _keys(state))
        elif not (
            getattr(target, "has_attributes", False)
            and _is_dict(state)
            and all(isinstance(name, str) for name in names)
        ):
            raise FaultError("it holds what is changed after it was made, as the oldest files do")

    def _storage(self, persistent_id: Any) -> _Storage:
        match persistent_id.parts if isinstance(persistent_id, _Tuple) else ():
            case ("storage", _Name(path=kind), str(key), str(), count, *view) if _is_size(count):
                width = _width_of_storage(kind)
            case ("storage", *_):
                raise FaultError("it names a storage by something that is no number and no text")
            case _:
                raise pickle.UnpicklingError("Only persistent_load of storage is allowed")
        self._spend(_TENSOR)
        storage = self._known(key, _Storage(kind, (key, 0, count), width))
        if self._records is None:
            match view:
                case [None]:
                    return storage
                case [_Tuple(parts=(str(name), start, part))] if _is_size(start) and _is_size(part):
                    if start + part <= count:
                        return self._known(name, _Storage(kind, (key, start, part), width))
            raise FaultError("it names a part of a storage that is not there")
        available = self._records.get(f"data/{key}", -1)
        if view or storage.size > available:
            raise FaultError(
                f"it names a storage of {storage.size} bytes, and has {available} of them"
            )
        return storage

    def _known(self, key: str, storage: _Storage) -> _Storage:
        """Hold a storage to what was said of it before: torch goes by the first that it sees."""
        if key not in self._storages:
            self._storages[key] = storage
            self._storage_bytes += storage.size if key == storage.place[0] else 0
        if self._storages[key] != storage:
            raise FaultError(f"it names the storage {key:.100} in two ways")
        return storage

    def _strided(
        self, storage: Any, offset: Any, sizes: Any, strides: Any, width: int = 0
    ) -> _Tensor | None:
        """Hold a tensor to its storage: torch would make that larger, with whatever lay there."""
        if not isinstance(storage, _Storage) or not _is_size(offset):
            return None
        if not (_are_sizes(sizes) and _are_sizes(strides)):
            return None
        if len(sizes.parts) != len(strides.parts):
            return None
        self._spend(_TENSOR)
        width = width or storage.width
        count = math.prod(sizes.parts)
        size = count * width
        steps = zip(sizes.parts, strides.parts, strict=True)
        end = (offset + sum((length - 1) * step for length, step in steps) + 1) * width
        self._shown += size
        self._repeated += max(0, size - storage.size)
        if (size and end > storage.size) or self._repeated > _REPEATED:
            raise FaultError(
                f"it holds a tensor of the size {sizes.parts!s:.80}, and {storage.size} bytes for "
                "it: save a contiguous copy"
            )
        if self._shown > _REPEATED + _SHARED * self._storage_bytes:
            raise FaultError(f"it holds tensors that show the same bytes more than {_SHARED} times")
        return _Tensor(count)

    # The calls, each of which gives None if it is asked for more than it is given.

    def _ordered(self, pairs: Any = None) -> _Many | None:
        keys, made = _keys(pairs), _Many("dict", has_attributes=True)
        fits = _is_list(pairs) and len(keys) == len(_items(pairs))  # no text and no set is a pair
        return self._filled(made, keys) if fits else None

    def _counter(self, counts: Any = None) -> _Many | None:
        return self._filled(_Many("dict"), _items(counts)) if _is_dict(counts) else None

    def _set(self, items: Any = None) -> _Many | None:
        return self._filled(_Many("set"), _items(items)) if _is_list(items) else None

    def _filled(self, made: _Many, keys: Sequence[Any]) -> _Many:
        self._spend(_SET + _ITEM * len(keys))
        self._add_keys(made, keys)
        return made

    def _encode(self, text: Any, encoding: Any) -> _Bytes | None:
        if not isinstance(text, str) or encoding not in _LATIN:  # so bytes are pickled
            return None
        self._spend(_CONTAINER + len(text))
        return _Bytes(len(text))

    def _bytearray(self, content: Any = "", encoding: Any = "latin1") -> _Bytes | None:
        if isinstance(content, str) and (not content or encoding in _LATIN):
            content = _Bytes(len(content))
        if not isinstance(content, _Bytes):  # a number would be its length
            return None
        self._spend(_CONTAINER + content.size)
        return content

    def _complex(self, real: Any, imaginary: Any) -> complex | None:
        are_numbers = {type(real), type(imaginary)} <= {int, float}
        return complex(real, imaginary) if are_numbers else None

    def _size(self, sizes: Any) -> _Tuple | None:
        if not isinstance(sizes, _Tuple):
            return None
        self._spend(_TUPLE + _POINTER * len(sizes.parts))
        return sizes

    def _constant(self, text: Any, number: Any = 0) -> _Constant | None:
        self._spend(_TUPLE)
        return _Constant() if (type(text), type(number)) == (str, int) else None

    def _rebuilt(  # noqa: PLR0917 - as torch writes them
        self, storage: Any, offset: Any, sizes: Any, strides: Any, _: Any = 0, hooks: Any = None,
        metadata: Any = None,
    ) -> _Tensor | None:  # fmt: skip
        fits = _is_dict(hooks) and _is_dict(metadata)
        return self._strided(storage, offset, sizes, strides) if fits else None

    def _rebuilt_typed(  # noqa: PLR0917
        self, storage: Any, offset: Any, sizes: Any, strides: Any, _: Any, hooks: Any, dtype: Any,
        metadata: Any = None,
    ) -> _Tensor | None:  # fmt: skip
        width = _width(dtype)
        fits = width and _is_dict(hooks) and _is_dict(metadata)
        return self._strided(storage, offset, sizes, strides, width) if fits else None

    def _quantized(  # noqa: PLR0917
        self, storage: Any, offset: Any, sizes: Any, strides: Any, how: Any, _: Any, hooks: Any
    ) -> _Tensor | None:
        made = self._strided(storage, offset, sizes, strides) if _is_dict(hooks) else None
        if made is None or made.count * storage.width > storage.size:
            return None  # torch makes room for all of it first
        match how.parts if isinstance(how, _Tuple) else ():
            case (_Name(), int() | float(), int()):
                return made
            case (_Name(), _Tensor(count=scales), _Tensor(count=zeros), axis) if _is_size(axis):
                self._spend(16 * scales)  # they are copied
                return made if [scales, zeros] == [*sizes.parts[axis : axis + 1] * 2] else None
        return None

    def _meta(self, dtype: Any, sizes: Any, strides: Any, _: Any) -> _Tensor | None:
        self._spend(_TENSOR)
        fits = _width(dtype) and _are_sizes(sizes) and _are_sizes(strides)
        return _Tensor(math.prod(sizes.parts)) if fits else None

    def _parameter(self, data: Any, _: Any, hooks: Any, state: Any = None) -> _Tensor | None:
        self._spend(_TENSOR)
        fits = isinstance(data, _Tensor) and _is_dict(hooks) and self._is_state(state)
        return data if fits else None

    def _of_a_class(self, call: Any, kind: Any, arguments: Any, state: Any) -> _Tensor | None:
        """Make a tensor that has attributes, or is of a class of its own."""
        made = self._called(call, arguments)
        is_kind = isinstance(kind, _Name) and kind.path in _CLASSES
        return made if is_kind and isinstance(made, _Tensor) and self._is_state(state) else None

    def _is_state(self, state: Any) -> bool:
        """Say whether attributes are mere additions: torch's own would change the numbers."""
        parts = state.parts if isinstance(state, _Tuple) else (state,)
        names = [name for part in parts for name in _items(part)]
        self._spend(_ITEM * len(names))
        return all(map(_is_dict, parts)) and all(
            isinstance(name, str) and name not in _settable() for name in names
        )


def _is_size(number: Any) -> bool:
    return type(number) is int and number >= 0


def _are_sizes(sizes: Any) -> bool:
    return (
        isinstance(sizes, _Tuple)
        and len(sizes.parts) <= _DIMENSIONS
        and all(map(_is_size, sizes.parts))
    )


def _items(value: Any) -> Sequence[Any]:
    return value.items if isinstance(value, _Many) else ()


def _is_list(value: Any) -> bool:
    return value is None or (isinstance(value, _Many) and value.kind == "list")


def _is_dict(value: Any) -> bool:
    return value is None or (isinstance(value, _Many) and value.kind == "dict")


def _parts(value: Any) -> Sequence[Any]:
    """Give what is in a tuple, a list or a set."""
    if isinstance(value, _Tuple):
        return value.parts
    return () if _is_dict(value) else _items(value)


def _keys(pairs: Any) -> list[Any]:
    """Give what a dictionary of pairs would be known by; of a set, either value may be the key."""
    keys: list[Any] = []
    for pair in _parts(pairs):
        parts = _parts(pair)
        if len(parts) == 2:  # noqa: PLR2004
            keys += parts if getattr(pair, "kind", "") == "set" else parts[:1]
    return keys


def _real(key: Any) -> Any:
    """Give what has the hash of a key: numbers choose theirs, and so do tuples of them.

    Of some values the hash is not known here, or it is always the same: they count as one value.
    """
    if isinstance(key, _Tuple):
        return tuple(map(_real, key.parts))
    alike = isinstance(key, _Constant) or (isinstance(key, _Bytes) and key.size == 0)
    return 0 if alike else key


def _letters(key: Any) -> int:
    """Count the letters that a key takes where it is spelled out, as in a message."""
    if isinstance(key, _Tuple):
        return sum(map(_letters, key.parts))
    return len(key) if isinstance(key, str) else key.size if isinstance(key, _Bytes) else 0


def _is_known(path: str) -> bool:
    return bool(
        path in _CALLS
        or path in _CLASSES
        or path == _UNTYPED
        or _CONSTANT.fullmatch(path)
        or _width_of_storage(path)
    )


def _width_of_storage(path: str) -> int:
    named = _STORAGE.fullmatch(path)
    return 1 if path == _UNTYPED else _SIZES.get(named[1], 0) if named else 0


def _width(dtype: Any) -> int:
    """Give the bytes of one number."""
    import torch

    name = dtype.path.removeprefix("torch.") if isinstance(dtype, _Name) else ""
    torch_dtype = getattr(torch, name, None)
    return torch_dtype.itemsize if isinstance(torch_dtype, torch.dtype) else 0


@functools.cache
def _settable() -> frozenset[str]:
    """Name the attributes of tensors behind which a function stands."""
    import torch

    return frozenset(
        name
        for name in dir(torch.nn.Parameter)
        if hasattr(type(inspect.getattr_static(torch.nn.Parameter, name, None)), "__set__")
    )

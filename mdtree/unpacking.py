"""What a file would become in memory: told before anything of it is unpacked.

torch reads pickles of tensors and plain values alone, and runs no other code.  But a file of a
hundred bytes may ask for an array of any size, for text that doubles with each step, or for tuples
inside each other, so deep that looking at them ends the program, or so often that it never ends.
And the entries of an archive may be a thousand times as large as the file.
"""

from __future__ import annotations

import errno
import io
import os
import pickletools
import stat
import zipfile
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import IO, Any

__all__ = ["is_zip", "opened", "pickle_fault", "zip_fault"]

_MOST = 1_000_000  # values in a tuple, those of tuples in it counted wherever they stand
_MOST_IN_A_KEY = 1_000  # the same, of what a dictionary or a storage is known by
_DEEPEST = 100  # tuples in tuples
_LARGEST = 1 << 30  # bytes that compressed entries may become, however small the file is,
_RATIO = 20  # or how many times its size; pictures reach 5, one-hot labels 1,000


@dataclass(frozen=True, eq=False)
class _Value:
    """What is known of a value of a pickle without making it."""

    text: str | None = None
    name: str | None = None  # of a class or function
    parts: tuple[_Value, ...] | None = None  # of a tuple
    size: int = 1  # values in it
    depth: int = 0  # tuples in it
    plain: bool = True  # a number, a text, a name, or a tuple of such


_PLAIN = _Value()
_MADE = _Value(plain=False)  # a list, a dictionary, or what a call returned

_PUSHED = {
    **dict.fromkeys(("NONE", "NEWTRUE", "NEWFALSE", "BINFLOAT"), _PLAIN),
    **dict.fromkeys(("BININT", "BININT1", "BININT2", "LONG1"), _PLAIN),
    **dict.fromkeys(("EMPTY_LIST", "EMPTY_DICT", "EMPTY_SET"), _MADE),
    "EMPTY_TUPLE": _Value(parts=()),
}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_PICKLES = 5  # of the older form: magic number, version, machine, content, names of storages
_LATIN = ("latin1", "latin-1")


class _FaultError(Exception):
    """What keeps a pickle from being read."""


def opened(path: Path) -> BufferedReader:
    """Open a file; a pipe or a device, which may never end, cannot be read."""

    def ready(name: str, flags: int) -> int:
        return os.open(name, flags | getattr(os, "O_NONBLOCK", 0))  # a pipe waits for its writer

    file = open(path, "rb", opener=ready)  # noqa: SIM115 - Path.open takes no opener
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "it is a pipe or a device")
    return file


def is_zip(file: IO[bytes]) -> bool:
    """Tell an archive by its first bytes, as torch and NumPy do; the file is at its start after."""
    file.seek(0)
    start = file.read(4)
    file.seek(0)
    return start in (b"PK\x03\x04", b"PK\x05\x06")  # the second of one without entries


def zip_fault(archive: zipfile.ZipFile, size: int, *, compressed: bool = False) -> str | None:
    """Say what keeps an archive of `size` bytes from being unpacked, which may be `compressed`."""
    entries = archive.infolist()
    total = sum(entry.file_size for entry in entries)
    if len({entry.filename for entry in entries}) < len(entries):
        return "it holds two entries of one name"
    if compressed:
        bomb = total > max(_LARGEST, _RATIO * size)
    elif any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        return "its entries are compressed, as torch.save never leaves them"
    else:
        bomb = total > size
    return f"its {size} bytes would become {total}" if bomb else None


def pickle_fault(file: IO[bytes]) -> str | None:
    """Say what keeps a file of torch.save from being read, of either form."""
    if not is_zip(file):
        return next(filter(None, (_fault(file) for _ in range(_PICKLES))), None)
    with zipfile.ZipFile(file) as archive:
        names = [name for name in archive.namelist() if name.partition("/")[2] == "data.pkl"]
        return next(filter(None, (_fault(io.BytesIO(archive.read(name))) for name in names)), None)


def _fault(pickled: IO[bytes]) -> str | None:
    """Go through one pickle with notes of its values in their place, as far as torch reads it."""
    stack: list[_Value] = []
    marks: list[int] = []
    memo: dict[Any, _Value] = {}
    try:
        for operation, argument, _ in pickletools.genops(pickled):
            if operation.name == "MARK":
                marks.append(len(stack))
            elif operation.name in ("BINPUT", "LONG_BINPUT"):
                memo[argument] = stack[-1]
            elif operation.name in ("BINGET", "LONG_BINGET"):
                stack.append(memo[argument])
            elif not (
                _pushed(operation.name, argument, stack) or _made(operation.name, stack, marks)
            ):
                return None  # the end, or what torch refuses
    except _FaultError as fault:
        return str(fault)
    except (ValueError, IndexError, KeyError, OverflowError, MemoryError):
        pass  # damaged, as torch will tell
    return None


def _pushed(operation: str, argument: Any, stack: list[_Value]) -> bool:
    """Do a step that takes nothing from the stack."""
    if operation in _PUSHED:
        stack.append(_PUSHED[operation])
    elif operation in ("BINUNICODE", "SHORT_BINSTRING"):
        stack.append(_Value(text=argument))
    elif operation == "GLOBAL":
        stack.append(_Value(name=argument.replace(" ", ".")))
    else:
        return operation == "PROTO"
    return True


def _made(operation: str, stack: list[_Value], marks: list[int]) -> bool:
    """Do a step that makes something of what lies on the stack."""
    if operation in _TUPLES:
        stack.append(_tuple(_popped(stack, len(stack) - _TUPLES[operation])))
    elif operation == "TUPLE":
        stack.append(_tuple(_popped(stack, marks.pop())))
    elif operation in ("REDUCE", "NEWOBJ"):
        function, arguments = _popped(stack, len(stack) - 2)
        stack.append(_called(function, arguments))
    elif operation == "BINPERSID":
        storage = stack.pop()
        _check_key(storage)
        if not storage.plain:
            raise _FaultError("it names a storage by something that is no number and no text")
        stack.append(_MADE)
        return any(part.text == "storage" for part in (storage.parts or ())[:1])  # no other is read
    elif operation in ("SETITEM", "SETITEMS"):
        start = marks.pop() if operation == "SETITEMS" else len(stack) - 2
        for key in _popped(stack, start)[::2]:
            _check_key(key)
    elif operation == "APPENDS":
        _popped(stack, marks.pop())
    elif operation in ("APPEND", "BUILD"):
        stack.pop()
    else:
        return False
    return True


def _popped(stack: list[_Value], start: int) -> list[_Value]:
    if start < 0:
        raise IndexError("the stack is empty")
    popped = stack[start:]
    del stack[start:]
    return popped


def _tuple(parts: list[_Value]) -> _Value:
    size = 1 + sum(part.size for part in parts)
    depth = 1 + max((part.depth for part in parts), default=0)
    if size > _MOST or depth > _DEEPEST:
        raise _FaultError(f"it holds a tuple of more than {_MOST} values or {_DEEPEST} levels")
    plain = all(part.plain for part in parts)
    return _Value(parts=tuple(parts), size=size, depth=depth, plain=plain)


def _check_key(key: _Value) -> None:
    """Refuse a key at which one could look for ever."""
    if key.size > _MOST_IN_A_KEY:
        raise _FaultError(f"it holds a key of more than {_MOST_IN_A_KEY} values")


def _called(function: _Value, arguments: _Value) -> _Value:
    """Refuse a call that torch admits and that makes more than it was given."""
    parts = arguments.parts
    if function.name is None or parts is None:
        raise _FaultError("it calls something that it does not name")
    package, _, name = function.name.rpartition(".")
    if name == "_rebuild_from_type_v2" and len(parts) == 4:  # noqa: PLR2004 - calls the first of them
        _called(parts[0], parts[2])
    texts = [part.text for part in parts]
    fits = True
    if name == "encode":  # so bytes are pickled
        fits = len(texts) == 2 and texts[0] is not None and texts[1] in _LATIN  # noqa: PLR2004
    elif name == "bytearray":
        fits = None not in texts  # a number would be its length
    elif package.startswith("torch") and name.endswith(("Tensor", "Storage")):
        fits = not texts
    if not fits:
        raise _FaultError(f"it calls {function.name:.100} for more than it holds")
    return parts[0] if name == "encode" else _MADE

"""Settings in a pickle, such as `training_args.bin`, read off its opcodes: nothing is built.

Scripts such as torchvision's keep their arguments in each checkpoint, as an argparse.Namespace.

A pickle is a program that builds objects by calling functions by name.  Here it is only listed: a
text that is followed by a number is a setting and its value, wherever they stand.  So nothing runs,
and nothing takes more memory or time than the file has bytes.
"""

from __future__ import annotations

import io
import pickletools
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from mdtree.exceptions import UnreadableError
from mdtree.regular_file import open_regular
from mdtree.scanning import is_zip

__all__ = ["read_arguments", "read_pickled_settings"]

_LARGEST = 1 << 20  # bytes; the settings of a trainer take five thousand
_PICKLE = "/data.pkl"  # in the archive that torch.save writes
_ARGUMENTS = "argparse Namespace"
_NUMBERS = {"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "INT", "LONG", "FLOAT"}
_TEXTS = {"BINUNICODE", "SHORT_BINUNICODE", "UNICODE"}
_KEPT = {"BINPUT", "LONG_BINPUT", "PUT"}  # under the number that follows
_TAKEN = {"BINGET", "LONG_BINGET", "GET"}


def read_pickled_settings(path: Path) -> dict[str, Any]:
    """Read the numbers of a small file of torch.save, by their names.

    Raises:
        UnreadableError: It is not such a file, or is damaged.

    """
    try:
        with open_regular(path) as file:
            content = file.read(_LARGEST)
        pairs = list(_pairs(_pickle_in(io.BytesIO(content))))
    except Exception as error:  # a damaged archive or pickle may raise anything
        raise UnreadableError("it is not a small file of torch.save, or is damaged") from error
    return _unique(pairs)


def read_arguments(path: Path) -> dict[str, Any]:
    """Read the numbers among the arguments of a script that a checkpoint of torch.save holds.

    Other numbers of it, such as those of the optimizer, are not read.  What is not such a file, or
    holds no arguments, has none.
    """
    try:
        with open_regular(path) as file:
            pickled = _pickle_in(file) if is_zip(file) else b""
        return _unique(_pairs(pickled, inside=_ARGUMENTS))
    except Exception:  # noqa: BLE001 - as above; damaged weights are told where they are loaded
        return {}


def _pickle_in(file: IO[bytes]) -> bytes:
    """Return the pickle of a file of torch.save, unless it is large."""
    with zipfile.ZipFile(file) as archive:
        entry = next(i for i in archive.infolist() if i.filename.endswith(_PICKLE))
        return archive.read(entry) if entry.file_size <= _LARGEST else b""


def _unique(pairs: Iterable[tuple[str, float]]) -> dict[str, Any]:
    """Keep the names that have one value, wherever they stand."""
    values: dict[str, set[float]] = {}
    for name, value in pairs:
        values.setdefault(name, set()).add(value)
    return {name: known.pop() for name, known in values.items() if len(known) == 1}


def _pairs(pickled: bytes, inside: str | None = None) -> Iterator[tuple[str, float]]:
    """Yield each text with the number that comes right after it.

    Args:
        pickled: The pickle.
        inside: The class of the objects that count, "module name"; None: all of the pickle counts.

    """
    if inside is not None and inside.replace(" ", "\n").encode() not in pickled:
        return
    texts: dict[int, str] = {}  # those that the pickle refers to again, by its numbers for them
    count = 0
    text: str | None = None
    counts = inside is None
    for opcode, argument, _ in pickletools.genops(pickled):
        if opcode.name in _KEPT or opcode.name == "MEMOIZE":
            if text is not None:
                texts[count if argument is None else int(str(argument))] = text
            count += 1
        elif opcode.name in _TEXTS:
            text = str(argument)
        elif opcode.name in _TAKEN:
            text = texts.get(int(str(argument)))
        else:
            if counts and text is not None and opcode.name in _NUMBERS:
                yield text, float(str(argument))
            text = None
        if inside is not None and opcode.name in ("GLOBAL", "BUILD"):
            counts = argument == inside or (counts and opcode.name == "GLOBAL")

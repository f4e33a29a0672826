"""Settings in a pickle, such as `training_args.bin`, read off its opcodes: nothing is built.

Scripts such as torchvision's keep their arguments in each checkpoint, as an argparse.Namespace.

A pickle is a program that builds objects by calling functions by name.  Here it is only listed: a
text that is followed by a number is a setting and its value, wherever they stand.  So is one that
is called as a setting of words (`optim`, `lr_scheduler`, ...) and followed by a text, or by an enum
that would be made of a text.  So nothing runs, and nothing takes more memory or time than the file
has bytes.
"""

from __future__ import annotations

import io
import pickletools
import zipfile
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import IO, Any, NamedTuple

from mdtree.exceptions import UnreadableError
from mdtree.regular_file import open_regular
from mdtree.runs.settings import is_telling
from mdtree.scanning import is_zip

__all__ = ["read_arguments", "read_pickled_settings"]

_LARGEST = 1 << 20  # bytes; the settings of a trainer take five thousand
_PICKLE = "/data.pkl"  # in the archive that torch.save writes
_ARGUMENTS = "argparse Namespace"
_KINDS = {
    **dict.fromkeys(
        ("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "INT", "LONG", "FLOAT"), "number"
    ),
    **dict.fromkeys(("BINUNICODE", "SHORT_BINUNICODE", "UNICODE"), "text"),
    **dict.fromkeys(("GLOBAL", "STACK_GLOBAL"), "class"),
}
_KEPT = {"BINPUT", "LONG_BINPUT", "PUT", "MEMOIZE"}  # under the number that follows
_TAKEN = {"BINGET", "LONG_BINGET", "GET"}
_USED_AGAIN = {"text", "class"}
_PLAIN = {"PROTO", "FRAME"}  # these push nothing
_NAMES_OF_CLASS = 2  # texts before STACK_GLOBAL: module and name
# what a setting is followed by where its value is a word: the end of it, or the next setting
_WORDS: tuple[tuple[str, ...], ...] = (
    *(("text", after) for after in ("text", "SETITEM", "SETITEMS")),
    # an enum
    ("class", "text", "TUPLE1", "REDUCE"),
    ("class", "MARK", "text", "TUPLE", "REDUCE"),  # of protocol 1
    ("class", "class", "text", "TUPLE2", "REDUCE"),  # getattr, as Python 3.11.0 wrote it
)
_LONGEST = max(map(len, _WORDS)) + 1  # with the name of the setting


class _Token(NamedTuple):
    """What is pushed: a text, a number, a class; or any other opcode, by its name."""

    kind: str
    value: object = None
    counts: bool = True


_END = _Token("end")


def read_pickled_settings(path: Path) -> dict[str, Any]:
    """Read numbers and words of a small file of torch.save, by their names.

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
    """Read numbers and words of the arguments of a script that a checkpoint of torch.save holds.

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


def _unique(pairs: Iterable[tuple[str, float | str]]) -> dict[str, Any]:
    """Keep the names that have one value, wherever they stand."""
    values: dict[str, set[float | str]] = {}
    for name, value in pairs:
        values.setdefault(name, set()).add(value)
    return {name: known.pop() for name, known in values.items() if len(known) == 1}


def _pairs(pickled: bytes, inside: str | None = None) -> Iterator[tuple[str, float | str]]:
    """Yield each text with the number, or the word, that comes right after it.

    Args:
        pickled: The pickle.
        inside: The class of the objects that count, "module name"; None: all of the pickle counts.

    """
    if inside is not None and inside.replace(" ", "\n").encode() not in pickled:
        return
    window = deque([_END] * _LONGEST, maxlen=_LONGEST)
    for token in chain(_tokens(pickled, inside), [_END] * _LONGEST):
        window.append(token)
        name, *after = window
        if name.kind == "text" and after[0].counts:
            yield from _values(str(name.value), after)


def _values(name: str, after: Sequence[_Token]) -> Iterator[tuple[str, float | str]]:
    """Yield a name with its value, if what comes after it is one."""
    if after[0].kind == "number" and not isinstance(after[0].value, bool):  # INT may be a switch
        yield name, float(str(after[0].value))
    kinds = tuple(token.kind for token in after)
    if any(kinds[: len(word)] == word for word in _WORDS):
        text = str(after[kinds.index("text")].value)
        if is_telling(name, text):
            yield name, text


def _tokens(pickled: bytes, inside: str | None) -> Iterator[_Token]:
    """Yield what a pickle pushes, without what it keeps for later; a class is one token.

    Two tokens are kept back: that texts name a class is known by what comes after them.
    """
    kept: dict[int, _Token] = {}  # what the pickle refers to again, by its numbers for them
    count = 0
    counts = inside is None
    recent = [_END]
    for opcode, argument, _ in pickletools.genops(pickled):
        if opcode.name in _KEPT:
            if recent[-1].kind in _USED_AGAIN:
                kept[count if argument is None else int(str(argument))] = recent[-1]
            count += 1
        elif opcode.name not in _PLAIN:
            if inside is not None and opcode.name in ("GLOBAL", "BUILD"):
                counts = argument == inside or (counts and opcode.name == "GLOBAL")
            token = _token(opcode.name, argument, kept)._replace(counts=counts)
            if opcode.name == "STACK_GLOBAL":
                del recent[-2:]
            recent.append(token)
            while len(recent) > _NAMES_OF_CLASS:
                yield recent.pop(0)
    yield from recent


def _token(opcode: str, argument: object, kept: Mapping[int, _Token]) -> _Token:
    if opcode in _TAKEN:
        return kept.get(int(str(argument)), _END)
    return _Token(_KINDS.get(opcode, opcode), argument)

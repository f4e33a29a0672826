"""Sequences of ids: padded to one length, from examples in memory or from lines of JSON.

An example is a dictionary: `{"input_ids": [..], "labels": [..] or a class}`, with one number for
each token where an entry belongs to tokens.  Padding has attention mask 0 and label -100.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from mdtree.batch import IDS, IGNORED, LABELS, MASK, describe
from mdtree.exceptions import DataError
from mdtree.messages import printable

__all__ = ["check_padding", "from_lines", "is_blank", "is_lines", "is_sequence", "padded"]

_LONGEST_LINE = 64 << 20  # bytes of one example
_LARGEST = 1 << 30  # bytes that data may always take in memory,
_RATIO = 100  # or this many times the file
_BYTES = 8  # of an int64
_MOST_BLANK = 65536  # bytes in which the first line begins
_MARK = b"\xef\xbb\xbf"  # that Windows writes at the start of a text


def is_lines(file: IO[bytes]) -> bool:
    """Return whether a file begins like lines of JSON."""
    file.seek(0)
    start = file.read(_MOST_BLANK).removeprefix(_MARK).lstrip()[:1]
    file.seek(0)
    return start == b"{"


def is_blank(file: IO[bytes]) -> bool:
    """Return whether a file begins with nothing but white space, or is empty."""
    file.seek(0)
    start = file.read(_MOST_BLANK).removeprefix(_MARK)
    file.seek(0)
    return not start.strip()


def is_sequence(example: Any) -> bool:
    """Return whether an example of a data set consists of ids."""
    return isinstance(example, Mapping) and IDS in example


def from_lines(path: Path, file: IO[bytes], size: int) -> dict[str, Tensor]:
    """Read one example from each line.

    Raises:
        DataError: A line is not an example, or padding would take far more memory than the file.
    """
    examples: list[dict[str, Any]] = []
    longest = 0
    for number, line in _lines(path, file):
        try:
            example = json.loads(line.decode("utf-8-sig"))
        except (ValueError, RecursionError) as error:
            raise DataError(f"data file {path}, line {number} is not JSON: {error}") from error
        place = f"data file {path}, line {number}"
        if not isinstance(example, dict) or IDS not in example:
            raise DataError(f'{place} must be {{"{IDS}": [...]}}, got {describe(example)}')
        examples.append(_entries(example, place))
        longest = max(longest, len(example[IDS]))
        needed = _BYTES * len(examples) * longest * (len(examples[0]) + 1)
        check_padding(needed, longest, size, f"data file {path}")
    if not examples:
        raise DataError(f"data file {path} is empty: it must hold at least one item")
    return padded(examples, f"data file {path}")


def check_padding(needed: int, longest: int, size: int, place: str) -> None:
    """Refuse to pad what would become far larger in memory.

    Args:
        needed: The bytes of the padded sequences.
        longest: The tokens of the longest one.
        size: The bytes of the file.
        place: Where they come from, for errors.

    Raises:
        DataError: It would.
    """
    if needed > max(_LARGEST, _RATIO * size):
        raise DataError(
            f"{place} would take {needed} bytes of memory when padded to {longest} tokens, more "
            f"than {_RATIO} times its size: cut long sequences into parts"
        )


def padded(examples: Sequence[Mapping[str, Any]], place: str = "data") -> dict[str, Tensor]:
    """Pad examples to the longest, and join them; what is no number is left out.

    Args:
        examples: At least one.
        place: Where they come from, for errors.

    Raises:
        DataError: An example has other entries than the first, or entries of another length.
    """
    if not examples:
        raise DataError(f"{place} has no examples")
    entries = [_entries(example, f"{place}, example {n}") for n, example in enumerate(examples, 1)]
    names = entries[0].keys()
    for number, entry in enumerate(entries, 1):
        if entry.keys() != names:
            raise DataError(
                f"{place}, example {number} has {_listed(entry)}, but the first has "
                f"{_listed(names)}: all must have the same entries"
            )
    lengths = [len(entry[IDS]) for entry in entries]
    tensors = {name: _joined(name, [e[name] for e in entries], lengths, place) for name in names}
    if MASK not in tensors and len(set(lengths)) > 1:
        tensors[MASK] = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
        tensors[MASK] = tensors[MASK].long()
    return tensors


def _lines(path: Path, file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    number = 0
    while line := file.readline(_LONGEST_LINE + 1):
        number += 1
        if len(line) > _LONGEST_LINE:
            raise DataError(
                f"data file {path}, line {number} is longer than {_LONGEST_LINE >> 20} MiB: write "
                "one example to a line"
            )
        if line.removeprefix(_MARK).strip():
            yield number, line


def _entries(example: Mapping[str, Any], place: str) -> dict[str, Any]:
    """Check the numbers of an example; texts beside them are left out."""
    entries: dict[str, Any] = {}
    for name, value in example.items():
        plain = value.tolist() if hasattr(value, "tolist") else value
        if isinstance(plain, int | float):
            entries[name] = plain
        elif isinstance(plain, list | tuple) and all(isinstance(p, int | float) for p in plain):
            is_id = name == IDS  # true and false are no ids, but may be a mask
            entries[name] = [int(p) if isinstance(p, bool) and not is_id else p for p in plain]
    ids = entries.get(IDS)
    if not isinstance(ids, list) or not ids or not all(type(part) is int for part in ids):
        raise DataError(f"{place}: {IDS} must be a list of whole numbers, got {_shown(example)}")
    for name, value in entries.items():
        if name in (*LABELS, MASK) and isinstance(value, list) and len(value) != len(ids):
            if name in LABELS and any(type(part) is float for part in value):
                continue  # several targets of a sequence
            raise DataError(
                f"{place}: {name} has {len(value)} numbers for {len(ids)} tokens of {IDS}"
            )
    for name in LABELS:
        if name in example and name not in entries:
            raise DataError(f"{place}: {name} must be a number, or a number for each token")
    return entries


def _listed(names: Iterable[str]) -> str:
    return printable(", ".join(names))


def _shown(example: Mapping[str, Any]) -> str:
    return f"{example.get(IDS)!r:.60}"


def _joined(name: str, values: list[Any], lengths: list[int], place: str) -> Tensor:
    try:
        if not any(isinstance(value, list) for value in values):
            return torch.tensor(values)
        per_token = all(
            isinstance(value, list) and len(value) == length
            for value, length in zip(values, lengths, strict=True)
        )
        if not per_token:
            return torch.tensor(values)
        blank = IGNORED if name in LABELS else 0
        longest = max(lengths)
        return torch.tensor([value + [blank] * (longest - len(value)) for value in values])
    except (ValueError, TypeError, OverflowError, RuntimeError) as error:
        raise DataError(
            f"{place}: {printable(name)} cannot be joined to one tensor: {error}"
        ) from error

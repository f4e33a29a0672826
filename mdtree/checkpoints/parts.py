"""The files of a checkpoint: its parts, their digest, and whether they lie within a folder."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from mdtree.checkpoints.adapters import ADAPTER_CONFIG, is_adapter
from mdtree.checkpoints.detect import INDEX
from mdtree.exceptions import UnreadableError, UnsafeError
from mdtree.regular_file import open_regular

__all__ = ["check_within", "file_digest", "joined", "parts_of"]

T = TypeVar("T")

_LARGEST_INDEX = 1 << 26  # bytes


def file_digest(path: Path) -> str:
    """Hash a weights file (as `sha256sum` does); for a sharded one, its index and all parts.

    Raises:
        UnreadableError: A file cannot be read.
    """
    digests = []
    for part in parts_of(path):
        try:
            with open_regular(part) as file:
                digests.append(hashlib.file_digest(file, "sha256"))
        except OSError as error:
            raise UnreadableError(f"{part} cannot be read: {error.strerror or error}") from error
    if len(digests) == 1:
        return digests[0].hexdigest()
    return hashlib.sha256(b"".join(digest.digest() for digest in digests)).hexdigest()


def parts_of(path: Path) -> list[Path]:
    """List the files of a checkpoint: the file itself, and the parts if it is an index.

    An adapter is described by the config beside it.

    Raises:
        UnreadableError: The index cannot be read.
        UnsafeError: The index names files outside its folder.
    """
    if is_adapter(path):
        return [path, path.with_name(ADAPTER_CONFIG)]
    if not path.name.endswith(INDEX):
        return [path]
    return [path, *(path.with_name(name) for name in sorted(set(_places(path).values())))]


def _places(path: Path) -> dict[str, str]:
    """Read an index: tensor name -> the part that contains it."""
    try:
        with open_regular(path) as file:
            text = file.read(_LARGEST_INDEX + 1)
        if len(text) > _LARGEST_INDEX:
            raise UnreadableError(f"{path} is too large for an index: over {_LARGEST_INDEX} bytes")
        places: dict[str, str] = dict(json.loads(text.decode("utf-8"))["weight_map"].items())
        names = sorted(set(places.values()))
        inside = all(re.fullmatch(r"[^/\\\0]+\.(safetensors|bin)", name) for name in names)
        for name in names:
            os.fsencode(name)  # a lone surrogate cannot be in a path
    except OSError as error:
        raise UnreadableError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UnreadableError(f"{path} is not an index of weights files") from error
    if not inside:
        raise UnsafeError(
            f"{path} names parts that are not weights files in its own folder: "
            f"{', '.join(map(str, names)):.500}"
        )
    return places


def joined(path: Path, content_of: Callable[[Path], Mapping[str, T]]) -> dict[str, T]:
    """Join the parts of a checkpoint, each tensor taken from the part that the index names.

    As in transformers, tensors that the index does not name are included, if only one part
    contains them.
    """
    places, tensors = _places(path), dict[str, T]()
    names_by_part: dict[str, list[str]] = {}
    for name, place in places.items():
        names_by_part.setdefault(place, []).append(name)
    for part in map(path.with_name, sorted(names_by_part)):
        content = content_of(part)
        for name in names_by_part[part.name]:
            if name not in content:
                raise UnreadableError(
                    f"{part} lacks {name:.200}, which it should contain according to {path.name}"
                )
        for name in content:
            if name in tensors or places.get(name, part.name) != part.name:
                raise UnreadableError(
                    f"{part} contains {name!s:.200}, which is also in another part or belongs "
                    "there: save the checkpoint again, with each tensor in one part"
                )
        tensors |= content
    return tensors


def check_within(path: Path, folder: Path) -> None:
    """Check that a checkpoint and all its parts are inside `folder`.

    A directory from a stranger may contain links to any file of the user.  The links of a snapshot
    in the Hugging Face cache lead to the `blobs` folder next to it, which is allowed.

    Raises:
        UnsafeError: The checkpoint, or a part of it, is outside the folder.
        UnreadableError: A link leads nowhere.
    """
    homes = list(_homes(folder))
    for part in parts_of(path):
        try:
            real = part.resolve(strict=True)
        except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links
            reason = getattr(error, "strerror", None) or error
            raise UnreadableError(f"{part} cannot be read: {reason}") from error
        if not any(real.is_relative_to(home) for home in homes):
            raise UnsafeError(
                f"{part} links to {real}, outside {folder}: copy the file into the directory "
                "or, if you trust the link, pass the recipe yourself with --recipe"
            )


def _homes(folder: Path) -> Iterator[Path]:
    real = folder.resolve()
    yield real
    for place in (real, real.parent):
        if place.name == "snapshots":  # models--NAME/snapshots/REVISION
            yield place.parent / "blobs"

"""Reading a weights file without running code from it: the only place that loads weights."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import re
import warnings
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load, load_file
from torch import Tensor

from mdtree.checkpoints.adapters import ADAPTER_CONFIG, is_adapter
from mdtree.checkpoints.detect import INDEX, Kind, kind_of
from mdtree.checkpoints.refusal_message import refusal
from mdtree.exceptions import CheckpointError, UnreadableError, UnsafeError
from mdtree.regular_file import open_regular
from mdtree.runtime.requirements import refuse_older
from mdtree.scanning import damage, pickle_fault

__all__ = ["file_digest", "is_text", "joined", "parts_of", "read"]

T = TypeVar("T")

_LARGEST_INDEX = 1 << 26  # bytes


class Placeholder:
    """Stands for an object beside the weights: ignores all arguments and state."""

    def __init__(self, *_: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


class _DictPlaceholder:
    """Stands for an object that may be a kind of dictionary: torch fills only true dictionaries."""

    def __new__(cls, *_: Any) -> Any:
        return OrderedDict()


# Plain values that training scripts put beside the weights: command-line arguments (torchvision's
# and timm's scripts), a best accuracy of NumPy, paths, dates.  Nobody needs to trust them by name.
_PLAIN = (
    "argparse.Namespace",
    *(f"builtins.{name}" for name in ("bool", "dict", "float", "int", "list", "str")),
    *(f"datetime.{name}" for name in ("date", "datetime", "timedelta", "timezone")),
    *(f"numpy.{name}" for name in ("dtype", "ndarray")),
    *(f"numpy.{c}.multiarray.{n}" for c in ("_core", "core") for n in ("scalar", "_reconstruct")),
    *(f"{m}.{s}Path" for m in ("pathlib", "pathlib._local") for s in ("Posix", "Windows")),
)


def read(path: Path, *, trust: Iterable[str] = ()) -> Any:
    """Read the content of a weights file onto the CPU: usually a nested dictionary of tensors.

    Only tensors and containers are created.  Plain values, and objects of the classes in `trust`,
    are replaced by empty placeholders (the items of dictionary-like objects are kept).  A file with
    any other object is refused.

    Raises:
        UnreadableError: The file cannot be read, is damaged, or is not a weights file.
        UnsafeError: Reading the file would run code.
    """
    kind = kind_of(path)
    if kind is Kind.SAFETENSORS:
        return _safetensors(path)
    if kind is Kind.SHARDED:
        return joined(path, lambda part: _by_name(part, trust))
    return _torch(path, tuple(trust))


def _by_name(part: Path, trust: Iterable[str]) -> dict[str, Any]:
    content = read(part, trust=trust)
    if not isinstance(content, dict):
        raise UnreadableError(f"{part} does not contain named weights")
    return content


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


def is_text(path: Path) -> bool:
    """Return whether a path is valid UTF-8: safetensors cannot open any other."""
    return not any("\udc80" <= letter <= "\udcff" for letter in str(path))


def _safetensors(path: Path) -> dict[str, Tensor]:
    """Read all tensors as copies: a training run may overwrite the file while it is measured.

    safetensors maps the file into memory, so its numbers would change under us, and a file that
    gets shorter would crash the process.
    """
    try:
        if not is_text(path):
            return load(path.read_bytes())
        return {name: mapped.clone() for name, mapped in load_file(path, device="cpu").items()}
    except (SafetensorError, OSError, ValueError, LookupError, RuntimeError, TypeError) as error:
        raise UnreadableError(f"{path} is a damaged safetensors file: {error!s:.500}") from error


def _torch(path: Path, trust: tuple[str, ...]) -> Any:
    refuse_older("torch", torch.__version__)
    places: dict[str, Any] = dict.fromkeys(("collections.defaultdict", *trust), _DictPlaceholder)
    places |= dict.fromkeys(_PLAIN, Placeholder)
    with _admitted(places), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Detected pickle protocol")  # if it fails, we say so
        try:
            with open_regular(path) as file:  # of a path, torch would look at the suffix
                _check(path, file, places)
                content = torch.load(file, map_location="cpu", weights_only=True)
                check_held(path, content, os.fstat(file.fileno()).st_size)
                return content
        except CheckpointError:
            raise
        except pickle.UnpicklingError as error:
            raise refusal(path, error) from error
        except OSError as error:
            raise UnreadableError(f"{path} cannot be read: {error.strerror or error}") from error
        except Exception as error:
            # damage shows itself anywhere in the readers: EOFError, RuntimeError, BadZipFile, ...
            reason = (str(error).strip() or type(error).__name__).splitlines()[0][:500]
            raise UnreadableError(
                f"{path} is a truncated or damaged torch.save file: {reason}"
            ) from error


@contextmanager
def _admitted(places: Mapping[str, Any]) -> Iterator[None]:
    """Admit placeholders for these names, and none of the classes that other packages admitted."""
    before = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals([(place, name) for name, place in places.items()])
    try:
        yield
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(before)


def _check(path: Path, file: IO[bytes], passed_over: Collection[str]) -> None:
    """Refuse a file that is damaged, would fill the memory, or would never finish loading."""
    if name := damage(file):
        raise UnreadableError(
            f"{path} is damaged: {name:.100} does not match its checksum; copy the file again"
        )
    if fault := pickle_fault(file, passed_over=passed_over):
        raise UnsafeError(f"{path} was not loaded: {fault}")


def check_held(path: Path, content: Any, size: int) -> None:
    """Refuse tensors that take more memory than a file of this size can fill."""
    total = end = 0
    for start, length in sorted(set(_places_in_memory(content))):
        total += max(0, start + length - max(start, end))
        end = max(end, start + length)
    if total > size:
        raise UnreadableError(f"{path} has {size} bytes, but its tensors take {total}")


def _places_in_memory(content: Any) -> Iterator[tuple[int, int]]:
    waiting, seen = [content], set[int]()
    while waiting:
        value = waiting.pop()
        if id(value) in seen:  # lists may hold themselves
            continue
        seen.add(id(value))
        if isinstance(value, dict):
            waiting += dict.values(value)
        elif isinstance(value, list | tuple):
            waiting += value
        elif isinstance(value, Tensor) and not value.is_meta and value.layout is torch.strided:
            storage = Tensor.untyped_storage(value)
            yield storage.data_ptr(), storage.nbytes()

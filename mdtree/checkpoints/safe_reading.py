"""Reading a weights file without running code from it: the only place that loads weights."""

from __future__ import annotations

import hashlib
import os
import pickle
import re
import sys
import warnings
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, load_file
from torch import Tensor

from mdtree.checkpoints.detect import Kind, kind_of
from mdtree.checkpoints.parts import file_digest, joined
from mdtree.exceptions import CheckpointError, UnreadableError, UnsafeError
from mdtree.messages import listed
from mdtree.regular_file import open_regular
from mdtree.runtime.requirements import refuse_older
from mdtree.scanning import damage, pickle_fault

__all__ = ["is_text", "read", "read_with_digest"]

_AT_ONCE = 1 << 26  # bytes of a file that is held in memory beside its tensors
_SHOWN = 3  # names in a message; more would bury the advice

_LONGEST = 300  # characters of a name or a reason

# how torch words its refusal of the first class or function that is not admitted
_NAMED = re.compile(r"GLOBAL (\S+) (?:was not an allowed global|whose module)")


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


def read_with_digest(path: Path, *, trust: Iterable[str] = ()) -> tuple[Any, str]:
    """Read the content of a weights file, and hash what was read, like `file_digest`.

    A small safetensors file is read once.  Other files are hashed before and after.

    Raises:
        UnreadableError: The file cannot be read, is damaged, or was changed meanwhile.
        UnsafeError: Reading the file would run code.
    """
    if kind_of(path) is Kind.SAFETENSORS and _is_small(path):
        return _small_safetensors(path)
    sha256 = file_digest(path)
    content = read(path, trust=trust)
    if file_digest(path) != sha256:
        raise UnreadableError(f"{path} was changed while it was being read: measure it again")
    return content, sha256


def _by_name(part: Path, trust: Iterable[str]) -> dict[str, Any]:
    content = read(part, trust=trust)
    if not isinstance(content, dict):
        raise UnreadableError(f"{part} does not contain named weights")
    return content


def is_text(path: Path) -> bool:
    """Return whether a path is valid UTF-8: safetensors cannot open any other."""
    return not any("\udc80" <= letter <= "\udcff" for letter in str(path))


def _safetensors(path: Path) -> dict[str, Tensor]:
    """Read all tensors as copies: a training run may overwrite the file while it is measured.

    safetensors maps the file into memory, so its numbers would change under us, and a file that
    gets shorter would crash the process.
    """
    with _damage_told(path):
        if not is_text(path):
            return load(path.read_bytes())
        return {name: mapped.clone() for name, mapped in load_file(path, device="cpu").items()}


def _is_small(path: Path) -> bool:
    try:
        return path.stat().st_size <= _AT_ONCE
    except OSError:  # whoever reads it says why
        return False


def _small_safetensors(path: Path) -> tuple[dict[str, Tensor], str]:
    """Read all tensors, and hash the file, from one copy of it in memory."""
    with _damage_told(path):
        with open_regular(path) as file:
            content = file.read(_AT_ONCE + 1)
        return load(content), hashlib.sha256(content).hexdigest()


@contextmanager
def _damage_told(path: Path) -> Iterator[None]:
    try:
        yield
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
            raise _refusal(path, error) from error
        except OSError as error:
            raise UnreadableError(f"{path} cannot be read: {error.strerror or error}") from error
        except Exception as error:
            # damage shows itself anywhere in the readers: EOFError, RuntimeError, BadZipFile, ...
            reason = (str(error).strip() or type(error).__name__).splitlines()[0][:500]
            raise UnreadableError(
                f"{path} is a truncated or damaged torch.save file: {reason}"
            ) from error


def _refusal(path: Path, error: Exception) -> UnsafeError | UnreadableError:
    """Turn torch's refusal into an error of mdtree; currently admitted names are not blamed."""
    names = [name[:_LONGEST] for name in _refused(path, str(error))]
    if not names:
        return UnreadableError(
            f"{path} is damaged, or was saved with settings that cannot be read without running "
            f"code, such as pickle_protocol: {_reason(str(error))}; "
            "save the state_dict again with plain torch.save"
        )
    shown = listed(names, most=_SHOWN)
    if any(name.startswith("torch.nn.modules.") for name in names):
        return UnsafeError(
            f"{path} contains a whole pickled module ({shown}), and loading it would run code: "
            "save model.state_dict() instead"
        )
    advice = "save the state_dict alone"
    if len(names) <= _SHOWN and all(_is_plain_class(name) for name in names):
        advice += ", or add " + " ".join(f"--trust {name}" for name in names) + " to skip them"
    return UnsafeError(
        f"{path} contains objects that could run code: {shown}; nothing was loaded; {advice}"
    )


def _refused(path: Path, message: str) -> list[str]:
    named: list[str] = _NAMED.findall(message)
    try:
        return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path)) or named
    except Exception:  # noqa: BLE001 - damaged, or legacy, which has no such list
        return named


def _is_plain_class(name: str) -> bool:
    """Guess from a name whether it is a class of some project, without importing anything."""
    package, _, rest = name.partition(".")
    attribute = rest.rpartition(".")[2]
    return attribute[:1].isupper() and package not in sys.stdlib_module_names


def _reason(message: str) -> str:
    """Extract the reason from torch's message, without its advice to load the file unsafely."""
    core = message.partition("WeightsUnpickler error: ")[2] or message
    lines = (line.strip() for line in core.splitlines() if line.strip())
    return next(lines, "no reason given")[:_LONGEST]


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

"""Settings in a pickle, such as `training_args.bin`, without running anything that it names.

A pickle is a program that builds objects by calling functions by name.  Here every name leads to
the same inert class, so that what is built has attributes and no behaviour; plain numbers, texts,
lists and dictionaries are as they are.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from pickle import _Unpickler
from typing import Any, Self

from mdtree.exceptions import UnreadableError
from mdtree.regular_file import open_regular

__all__ = ["read_pickled_settings"]

_LARGEST = 1 << 20  # bytes; the settings of a trainer take five thousand
_PICKLE = "/data.pkl"  # in the archive that torch.save writes


class _Inert:
    """What stands for every class and every function that a pickle names."""

    def __new__(cls, *_args: Any, **_options: Any) -> Self:
        """Make one, whatever it is called with."""
        return super().__new__(cls)

    def __init__(self, *_args: Any, **_options: Any) -> None:
        """Ignore what it is called with."""

    def __call__(self, *_args: Any, **_options: Any) -> Self:
        """Stand for the result as well, where what was built is a function."""
        return self

    def __setstate__(self, state: Any) -> None:
        """Keep the attributes that are plain."""
        if isinstance(state, dict):
            self.__dict__ = {name: value for name, value in state.items() if type(name) is str}

    def __setitem__(self, key: Any, value: Any) -> None:
        """Ignore an item."""

    def append(self, item: Any) -> None:
        """Ignore an item."""

    def extend(self, items: Any) -> None:
        """Ignore items."""

    def add(self, item: Any) -> None:
        """Ignore an item."""


class _Reader(_Unpickler):
    """The reader in Python: the one in C reserves memory for whatever number it meets."""

    def find_class(self, _module: str, _name: str) -> Any:
        """Lead every name to the same class."""
        return _Inert

    def persistent_load(self, _key: Any) -> Any:
        """Stand for the numbers of a tensor."""
        return None


def read_pickled_settings(path: Path) -> dict[str, Any]:
    """Read the attributes of the object in a small file of torch.save."""
    try:
        with open_regular(path) as file:
            content = file.read(_LARGEST)
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entry = next(i for i in archive.infolist() if i.filename.endswith(_PICKLE))
            pickled = archive.read(entry) if entry.file_size <= _LARGEST else b""
            settings = _Reader(io.BytesIO(pickled)).load()
    except Exception as error:  # a damaged pickle may raise anything
        raise UnreadableError("it is not a small file of torch.save, or is damaged") from error
    plain = settings if isinstance(settings, dict) else getattr(settings, "__dict__", {})
    return {name: value for name, value in plain.items() if isinstance(name, str)}

"""Packages whose names are imported when they are asked for: a command loads what it uses."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

__all__ = ["late"]


def late(
    package: str, table: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return `__getattr__` and `__dir__` of a package.

    Type checkers read the imports beside the table; `tests/test_late.py` holds both together.

    Args:
        package: Its name.
        table: Module -> the names that the package takes from it.

    >>> get, names = late("json", {"decoder": "JSONDecoder JSONDecodeError"})
    >>> get("JSONDecoder").__module__, "JSONDecodeError" in names()
    ('json.decoder', True)
    """
    modules = {name: module for module, names in table.items() for name in names.split()}

    def imported(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(f"{package}.{modules[name]}"), name)
        setattr(sys.modules[package], name, value)  # from now on it is found without us
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *modules})

    return imported, names

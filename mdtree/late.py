"""Packages whose names are imported when they are asked for: a command loads what it uses."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

__all__ = ["late"]


def late(package: str, table: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the `__getattr__` of a package: module -> the names that the package takes from it.

    Type checkers read the imports beside the table; `tests/test_late.py` holds both together.

    >>> late("json", {"decoder": "JSONDecoder JSONDecodeError"})("JSONDecoder").__module__
    'json.decoder'
    """
    modules = {name: module for module, names in table.items() for name in names.split()}

    def imported(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(f"{package}.{modules[name]}"), name)
        setattr(sys.modules[package], name, value)  # from now on it is found without us
        return value

    return imported

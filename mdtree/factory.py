"""Factories: from a name such as `pkg.module:make` to the object that it makes."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from mdtree import vision
from mdtree.config import KNOWN_PACKAGES, Trust
from mdtree.exceptions import RecipeError, UntrustedError
from mdtree.spelling import nearest

__all__ = ["call", "find"]


def find(name: str, trust: Trust) -> Callable[..., Any]:
    """Import the factory `pkg.module:name`, if this recipe may use it."""
    module_name, colon, attribute = name.partition(":")
    if not (colon and attribute.isidentifier() and _is_dotted(module_name)):
        raise RecipeError(f"a factory is named as pkg.module:name, got {name!r}")
    vouched = trust.admits(module_name, attribute)
    package = module_name.partition(".")[0]
    if not vouched and package not in KNOWN_PACKAGES:
        raise _untrusted(name, module_name)
    with _importable(trust if vouched else Trust()):
        module = _module(module_name, name)
    factory = getattr(module, attribute, None)
    if factory is None:
        raise RecipeError(
            f"module {module_name!r} has no {attribute!r}{nearest(attribute, dir(module))}"
        )
    if not callable(factory):
        raise RecipeError(f"{name!r} is a {type(factory).__name__}, not a function or class")
    if not vouched:
        _check_known(name, factory, package)
    return factory  # type: ignore[no-any-return]


def call(factory: Callable[..., Any], kwargs: Mapping[str, Any], name: str) -> Any:
    """Call a factory; wrong arguments are reported with the nearest right ones."""
    try:
        inspect.signature(factory).bind(**kwargs)
    except TypeError as error:
        known = [
            parameter.name
            for parameter in inspect.signature(factory).parameters.values()
            if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        ]
        hints = "".join(nearest(key, known) for key in kwargs if key not in known)
        raise RecipeError(
            f"{name}: {error}{hints}; it takes {', '.join(known) or 'nothing'}"
        ) from error
    except ValueError:
        pass  # some built-in callables have no signature: the call itself tells
    try:
        return factory(**kwargs)
    except Exception as error:
        raise RecipeError(
            f"{name} with {dict(kwargs)!r} failed: {type(error).__name__}: {error}"
        ) from error


def _module(module_name: str, name: str) -> ModuleType:
    try:
        with vision.usable():
            return importlib.import_module(module_name)
    except ImportError as error:
        raise RecipeError(
            f"factory {name!r}: {error}; is the package installed, "
            "and does mdtree run in the folder where the module lies?"
        ) from error
    except Exception as error:
        raise RecipeError(
            f"factory {name!r}: importing {module_name} failed: {type(error).__name__}: {error}"
        ) from error


def _check_known(name: str, factory: Callable[..., Any], package: str) -> None:
    """Hold a name in a known package to what is meant by it.

    `torchvision.models:os` is an attribute of a known module too: what counts is where the object
    itself was defined.
    """
    home = getattr(factory, "__module__", None) or ""
    rooms = KNOWN_PACKAGES[package]
    if not any(home == room or home.startswith(f"{room}.") for room in rooms):
        raise UntrustedError(
            f"{name!r} is defined in {home or 'nowhere'!r}, and a recipe found inside the "
            f"directory may only use {', '.join(rooms)} of {package}; "
            f"to allow it, add --trust {name}"
        )


def _untrusted(name: str, module: str) -> UntrustedError:
    return UntrustedError(
        f"the recipe found inside the directory names {name!r}, and may only name factories of "
        f"{', '.join(KNOWN_PACKAGES)}; if you know this code, add --trust {module}, "
        "or name the recipe yourself with --recipe"
    )


def _is_dotted(name: str) -> bool:
    return all(part.isidentifier() for part in name.split("."))


@contextmanager
def _importable(trust: Trust) -> Iterator[None]:
    """Let the user's own modules be found, after all installed ones."""
    before = list(sys.path)
    sys.path.extend(str(folder) for folder in trust.folders)
    try:
        yield
    finally:
        sys.path[:] = before

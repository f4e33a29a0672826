"""Factories: from a name such as `pkg.module:make` to the object that it builds."""

from __future__ import annotations

import functools
import importlib
import inspect
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from itertools import islice
from pathlib import Path
from typing import Any

from mdtree.exceptions import MdtreeError, RecipeError, UntrustedError
from mdtree.messages import MOST_FAULTS, nearest
from mdtree.runtime import torchvision as vision
from mdtree.runtime.offline import offline
from mdtree.trust import KNOWN_PACKAGES, Trust

__all__ = ["asked_to_fetch", "call", "fetching_nothing", "find", "needs_trust"]

# arguments that make a factory of torchvision or timm read a file, or download one
_FETCHING = re.compile(r"weights(_\w+)?|(use_)?pretrained(_\w+)?|checkpoint(_path|_url)?")


def find(name: str, trust: Trust) -> Callable[..., Any]:
    """Import the factory `pkg.module:name`, if this recipe may use it.

    Raises:
        RecipeError: The name is malformed, or the factory cannot be imported.
        UntrustedError: The recipe may not use this factory.
    """
    module_name, colon, attribute = name.partition(":")
    if not (colon and attribute.isidentifier() and _is_dotted(module_name)):
        raise RecipeError(f"a factory must be written as pkg.module:name, got {name!r}")
    if trust.admits(module_name, attribute):
        with _importable(trust.folders):
            return _import_factory(module_name, attribute)
    package = module_name.partition(".")[0]
    modules = KNOWN_PACKAGES.get(package, ())
    if module_name not in KNOWN_PACKAGES and not _lies_in(module_name, modules):
        raise _untrusted(name)
    factory = _import_factory(module_name, attribute, offline(name))
    # `torchvision.models:partial` is a name in a known module too: what counts is where the
    # object itself was defined
    defining_module = getattr(factory, "__module__", None) or ""
    if attribute.startswith("_") or not _lies_in(defining_module, modules):
        raise _untrusted(name)
    return factory if package == "mdtree" else _reading_no_files(factory, name)


def needs_trust(name: str) -> bool:
    """Return whether a recipe found in a directory may name this factory only if it is trusted."""
    try:
        find(name, Trust())
    except UntrustedError:
        return True
    return False


def asked_to_fetch(kwargs: Mapping[str, Any]) -> list[str]:
    """List the arguments that would make a factory read or download weights."""
    return [key for key, value in kwargs.items() if _FETCHING.fullmatch(key) and value]


def fetching_nothing(factory: Callable[..., Any], name: str) -> Callable[..., Any]:
    """Wrap a factory so that it fetches no weights by default and has no network access."""
    overrides = {
        key: None for key, default in _defaults(factory) if _FETCHING.fullmatch(key) and default
    }

    @functools.wraps(factory)
    def guarded(**kwargs: Any) -> Any:
        with offline(name):
            return factory(**{**overrides, **kwargs})

    return guarded


def call(factory: Callable[..., Any], kwargs: Mapping[str, Any], name: str) -> Any:
    """Call a factory; for a misspelt argument, the error suggests the nearest valid one.

    Raises:
        RecipeError: An argument is unknown or missing, or the factory failed.
    """
    try:
        inspect.signature(factory).bind(**kwargs)
    except TypeError as error:
        accepted = [
            parameter.name
            for parameter in inspect.signature(factory).parameters.values()
            if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        ]
        faults = [
            f"no argument {key!r:.100}{nearest(key, accepted)}"
            for key in islice((key for key in kwargs if key not in accepted), MOST_FAULTS)
        ]
        fault = "; ".join(faults) or f"{error!s:.1000}"
        raise RecipeError(
            f"{name}: {fault} (it takes {', '.join(accepted) or 'nothing'})"
        ) from error
    except ValueError:
        pass  # some built-in callables have no signature: the call itself will fail
    try:
        return factory(**kwargs)
    except MdtreeError:
        raise
    except (Exception, SystemExit) as error:
        raise RecipeError(
            f"{name} with {dict(kwargs)!r:.500} failed: {type(error).__name__}: {error}"
        ) from error


def _import_factory(
    module_name: str, attribute: str, limit: AbstractContextManager[None] | None = None
) -> Callable[..., Any]:
    """Import a factory, inside the context `limit` if there is one."""
    name = f"{module_name}:{attribute}"
    try:
        # our own modules go through the door to torchvision themselves, if they need it
        others = nullcontext() if _lies_in(module_name, ("mdtree",)) else vision.usable()
        with others, limit or nullcontext():
            module = importlib.import_module(module_name)
            factory = getattr(module, attribute, None)  # which may import as well
    except ImportError as error:
        raise RecipeError(
            f"factory {name!r}: {error}; check that the package is installed, "
            "or run mdtree in the folder of the module"
        ) from error
    except SystemExit as error:
        raise RecipeError(
            f"factory {name!r}: {module_name} exits when it is imported; "
            'move the code that runs as a script under `if __name__ == "__main__":`'
        ) from error
    except MdtreeError:
        raise
    except Exception as error:
        raise RecipeError(
            f"factory {name!r}: importing {module_name} failed: {type(error).__name__}: {error}"
        ) from error
    if factory is None:
        raise RecipeError(
            f"module {module_name!r} ({getattr(module, '__file__', None) or 'built in'}) "
            f"has no {attribute!r}{nearest(attribute, dir(module))}"
        )
    if not callable(factory):
        raise RecipeError(f"{name!r} is a {type(factory).__name__}, not a function or class")
    return factory  # type: ignore[no-any-return]


def _reading_no_files(factory: Callable[..., Any], name: str) -> Callable[..., Any]:
    """Prevent a factory of another package from reading weights: timm would unpickle them."""
    guarded_factory = fetching_nothing(factory, name)

    @functools.wraps(factory)
    def guarded(**kwargs: Any) -> Any:
        if arguments := asked_to_fetch(kwargs):
            raise UntrustedError(
                f"{name}: leave out {', '.join(arguments)}, mdtree loads your own weights; "
                f"if you know what the factory would read, add --trust {name}"
            )
        return guarded_factory(**kwargs)

    return guarded


def _defaults(factory: Callable[..., Any]) -> Iterator[tuple[str, Any]]:
    """Yield the parameters of a factory that have defaults."""
    with suppress(ValueError):  # some built-in callables have no signature
        for key, parameter in inspect.signature(factory).parameters.items():
            if parameter.default is not parameter.empty:
                yield key, parameter.default


def _untrusted(name: str) -> UntrustedError:
    modules = ", ".join(module for modules in KNOWN_PACKAGES.values() for module in modules)
    return UntrustedError(
        f"the recipe found inside the directory names {name!r}, but may only use code from "
        f"{modules}; if you trust this code, add --trust {name}, "
        "or pass the recipe yourself with --recipe"
    )


def _lies_in(module: str, modules: Iterable[str]) -> bool:
    """Return whether a module is public and inside `modules`; `timm.models._hub` is private."""
    return "._" not in module and any(
        f"{module}.".startswith(f"{known_module}.") for known_module in modules
    )


def _is_dotted(name: str) -> bool:
    return all(part.isidentifier() for part in name.split("."))


@contextmanager
def _importable(folders: Iterable[Path]) -> Iterator[None]:
    """Make the user's own modules importable, after all installed ones."""
    added = [str(folder) for folder in folders if str(folder) not in sys.path]
    sys.path += added
    try:
        yield
    finally:
        for folder in added:
            if folder in sys.path:  # the module may have changed it, and may rely on that
                sys.path.remove(folder)

"""The only place that imports torchvision, and only when it is needed.

The package index offers torchvision only as a CUDA build.  With a CPU-only torch its compiled
operators cannot load, and then `import torchvision` fails at `operator torchvision::nms does not
exist`, although networks, transforms and data sets are plain Python.  Declaring the two operators
(name and signature, no code) is enough for all of these; detection models stay out of reach.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import torch

from mdtree.exceptions import MissingExtraError

__all__ = ["torchvision", "usable"]

_FAULT = "operator torchvision::nms does not exist"
_SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_declared: list[Any] = []  # a declaration lasts as long as its library object


def torchvision(module: str = "torchvision") -> ModuleType:
    """Import torchvision, or one of its modules."""
    try:
        with usable():
            return importlib.import_module(module)
    except (ImportError, RuntimeError) as error:
        raise MissingExtraError(
            f"{module} cannot be imported ({error}); "
            "install the build that matches your torch: pip install torchvision"
        ) from error


@contextmanager
def usable() -> Iterator[None]:
    """Make `import torchvision` work inside the context, also in other packages."""
    if "torchvision" not in sys.modules and not _declared and _is_broken():
        library: Any = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
        for name in ("nms", "qnms"):
            library.define(name + _SIGNATURE)
        _declared.append(library)
    yield


def _is_broken() -> bool:
    """Try the import once, and clean up after a failure.

    Other faults are reported when torchvision is needed: a user's own network may not need it.
    """
    try:
        importlib.import_module("torchvision")
    except (ImportError, RuntimeError) as error:
        for name in [n for n in sys.modules if n.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        return _FAULT in str(error)
    return False

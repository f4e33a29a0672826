"""Training goes on as if nothing had been measured: random numbers, precision, and states of data.

To read data with a state would change it, so copies are read.
"""

from __future__ import annotations

import copy
import inspect
import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mdtree.exceptions import DataError

__all__ = ["copied", "copied_collate", "fresh", "undisturbed"]

_LARGE = 2**20  # bytes


@contextmanager
def undisturbed() -> Iterator[None]:
    """Restore the random states of Python, NumPy and torch after the context.

    Inside, autocast is off: what is measured is measured in the precision of the weights.
    """
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - that of training
    cuda: Any = torch.cuda
    is_on_gpu = cuda.is_available() and cuda.is_initialized()
    devices = range(cuda.device_count()) if is_on_gpu else ()
    try:
        with ExitStack() as stack:
            stack.enter_context(torch.random.fork_rng(devices=devices))
            for kind in ("cpu", "cuda") if is_on_gpu else ("cpu",):
                stack.enter_context(torch.autocast(kind, enabled=False))
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002


def copied(data: Any) -> Any:
    """Copy a map-style data set with its random states and counters.

    Large tensors and arrays are shared with the original: they are the data, not the state.

    Raises:
        DataError: It cannot be copied.

    """
    return _deep_copy(data, _large_parts(data))


def copied_collate(collate: Any) -> Any:
    """Copy a collator that is an object; functions, and methods with all behind them, stay."""
    return collate if inspect.isroutine(collate) else copied(collate)


def fresh(data: Any) -> Iterator[Any]:
    """Go through a copy of iterable data, which may reorder even its large arrays.

    Raises:
        DataError: It cannot be copied, or is gone through only once.

    """
    iterator: Iterator[Any] = iter(_deep_copy(data, {}))
    return iterator


def _deep_copy(data: Any, shared: dict[int, Any]) -> Any:
    try:
        return copy.deepcopy(data, shared)
    except Exception as error:
        raise DataError(
            f"{type(data).__name__} cannot be copied ({error!s:.200}), and reading it would change "
            "the training: give the callback data of its own, train=... and test=..."
        ) from error


def _large_parts(data: Any) -> dict[int, Any]:
    """Find large tensors and arrays in attributes and containers, by their identity."""
    large: dict[int, Any] = {}
    seen: set[int] = set()
    left = [data]
    while left:
        part = left.pop()
        if id(part) in seen or isinstance(part, str | bytes | int | float | type | ModuleType):
            continue
        seen.add(id(part))
        if isinstance(part, Tensor | np.ndarray):
            if _bytes(part) > _LARGE:
                large[id(part)] = part
        elif isinstance(part, dict):
            left.extend(part.values())
        elif isinstance(part, list | tuple | set):
            left.extend(part)
        elif not inspect.isroutine(part):
            left.extend(getattr(part, "__dict__", {}).values())
    return large


def _bytes(array: Tensor | np.ndarray[Any, Any]) -> int:
    """Return what a copy would take; that of a view of a tensor takes all of it."""
    if isinstance(array, Tensor) and array.layout == torch.strided:
        return array.untyped_storage().nbytes()
    return array.nbytes

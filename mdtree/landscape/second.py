"""Second derivatives of modules whose fast kernels have none."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from mdtree.exceptions import MdtreeError

__all__ = ["Derived", "NotTwiceError", "twice"]

ResultT = TypeVar("ResultT")


class NotTwiceError(MdtreeError):
    """The network or the loss has no second derivative."""


@dataclass(frozen=True)
class Derived(Generic[ResultT]):
    """A result, and the kernels that were passed over for it."""

    result: ResultT
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Detour:
    mark: str  # in the error of the fast kernel
    without: Callable[[], AbstractContextManager[object]]
    note: str


_DETOURS = (
    _Detour(
        "scaled_dot_product",
        lambda: sdpa_kernel(SDPBackend.MATH),
        "attention ran under the math kernel: the fused one has no second derivative",
    ),
    _Detour(
        "cudnn",
        lambda: torch.backends.cudnn.flags(enabled=False),
        "recurrent layers ran without cuDNN: it has no second derivative",
    ),
)
_NONE = ("differentiate twice", "is not implemented", "only be called in training mode")


def twice(work: Callable[[], ResultT]) -> Derived[ResultT]:
    """Do work that differentiates twice; where a fused kernel cannot, go around it and say so."""
    try:
        return Derived(work())
    except (RuntimeError, NotImplementedError) as error:
        for detour in _DETOURS:
            if detour.mark in str(error).lower() and _is_about_it(error):
                break
        else:
            raise _as_told(error) from error
    with detour.without():
        try:
            return Derived(work(), (detour.note,))
        except (RuntimeError, NotImplementedError) as error:
            raise _as_told(error) from error


def _is_about_it(error: Exception) -> bool:
    return any(mark in str(error) for mark in (*_NONE, "not supported"))


def _as_told(error: Exception) -> Exception:
    if isinstance(error, torch.OutOfMemoryError) or not _is_about_it(error):
        return error
    first = str(error).strip().splitlines()[0]
    return NotTwiceError(f"the network or the loss has no second derivative: {first}")

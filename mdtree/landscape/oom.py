"""Out of memory: work that halves its batches until it fits, or says that it does not."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable
from typing import TypeVar

import torch

from mdtree.exceptions import DataError

__all__ = ["within_memory"]

ResultT = TypeVar("ResultT")

_MARKS = (  # in errors that have no name of their own
    "can't allocate memory",  # the CPU
    "CUDA error: out of memory",  # the driver
    "ALLOC_FAILED",  # cuBLAS and cuDNN, for which the allocator has left no room
)


def within_memory(
    work: Callable[[int], ResultT], batch_size: int, *, least: int = 1, what: str = ""
) -> ResultT:
    """Do `work(batch_size)`; where memory runs out, begin again with half the batch."""
    while True:
        with contextlib.suppress(torch.OutOfMemoryError):
            return _unify_memory_errors(work, batch_size)
        if batch_size <= least:
            items = "even with one item" if batch_size == 1 else f"with {batch_size} items"
            raise DataError(
                f"memory runs out {items} at a time{what and f' {what}'}: "
                "take a device with more of it, or a smaller network"
            )
        batch_size = (batch_size + 1) // 2
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _unify_memory_errors(work: Callable[[int], ResultT], batch_size: int) -> ResultT:
    """Raise one error for what the CPU and the GPU call by different names."""
    try:
        return work(batch_size)
    except MemoryError as error:
        raise torch.OutOfMemoryError(str(error)) from None
    except (RuntimeError, DataError) as error:  # the network's, or a DataError made of it
        if any(mark in str(error) for mark in _MARKS):
            raise torch.OutOfMemoryError(str(error)) from None
        raise

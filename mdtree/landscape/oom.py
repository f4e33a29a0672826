"""Out of memory: retry with smaller batches until the work fits."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable
from typing import TypeVar

import torch

from mdtree.exceptions import DataError

__all__ = ["within_memory"]

ResultT = TypeVar("ResultT")

_MARKS = (  # of errors without a class of their own
    "can't allocate memory",  # the CPU
    "CUDA error: out of memory",  # the driver
    "ALLOC_FAILED",  # cuBLAS and cuDNN, if the allocator has left them no room
)


def within_memory(
    work: Callable[[int], ResultT], batch_size: int, *, least: int = 1, what: str = ""
) -> ResultT:
    """Run `work(batch_size)`, and start again with half the batch if memory runs out.

    Args:
        work: The computation, as a function of the batch size.
        batch_size: The batch size of the first attempt.
        least: The smallest batch size to try.
        what: What is computed, for the error.

    Raises:
        DataError: Memory runs out even with the smallest batch size.
    """
    while True:
        with contextlib.suppress(torch.OutOfMemoryError):
            return _unify_memory_errors(work, batch_size)
        if batch_size <= least:
            items = "even with one item" if batch_size == 1 else f"with {batch_size} items"
            raise DataError(
                f"out of memory {items} at a time{what and f' {what}'}: "
                "use a device with more memory, or a smaller network"
            )
        batch_size = (batch_size + 1) // 2
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _unify_memory_errors(work: Callable[[int], ResultT], batch_size: int) -> ResultT:
    """Raise one error for running out of memory on the CPU and on the GPU."""
    try:
        return work(batch_size)
    except MemoryError as error:
        raise torch.OutOfMemoryError(str(error)) from None
    except (RuntimeError, DataError) as error:  # from the network, or a DataError around it
        if any(mark in str(error) for mark in _MARKS):
            raise torch.OutOfMemoryError(str(error)) from None
        raise

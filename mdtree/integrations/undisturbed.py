"""Training goes on as if nothing had been measured: random numbers and precision are restored."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch

__all__ = ["undisturbed"]


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

"""Loading modules without looking for garbage: they make many objects, and nearly all stay."""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Iterator

__all__ = ["loading"]


@contextlib.contextmanager
def loading() -> Iterator[None]:
    """Import in this block what loads many modules; after torch, the block does nothing.

    While objects become more, Python looks through all of them again and again for cycles that
    nobody uses, a seventh of the time that `import torch` takes.  Here it waits until the block
    ends, and leaves out what was loaded from then on.
    """
    if "torch" in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()

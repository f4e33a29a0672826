"""Decoding pictures: the common formats alone, each by Pillow's own code.

Pillow tells a format by content, knows forty, and gives PostScript to Ghostscript, which runs it:
a file that is called 0.png may be any of them.  A picture of more pixels than Pillow warns of is
refused: a hundred kilobytes become gigabytes.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch.utils.data import Dataset

from mdtree.regular_file import open_regular

__all__ = ["FORMATS", "Guarded", "picture"]

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")

_limited: ContextVar[bool] = ContextVar("_limited", default=False)


@dataclass(frozen=True)
class Guarded(Dataset[Any]):
    """A data set of others, whose items are decoded under these rules."""

    dataset: Any

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        with limited():
            return self.dataset[index]

    @property
    def targets(self) -> Any:
        """Get the labels of all items, where the data set has a list of them."""
        return self.dataset.targets


def picture(path: str) -> Any:
    """Read a picture in colour."""
    from PIL import Image

    with limited(), open_regular(Path(path)) as file, Image.open(file) as image:
        return image.convert("RGB")


@contextmanager
def limited() -> Iterator[None]:
    """Let Pillow open the named formats alone, and no bombs, whoever calls it in this thread."""
    from PIL import Image

    if not isinstance(vars(Image)["open"], _Limited):
        vars(Image)["open"] = _Limited(Image.open)
    token = _limited.set(True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    finally:
        _limited.reset(token)


class _Limited:
    """Pillow's `open`, as it is outside of `limited`; data sets of others name no formats."""

    def __init__(self, original: Callable[..., Any]) -> None:
        functools.update_wrapper(self, original)
        self._original = original

    def __call__(self, fp: Any, mode: str = "r", formats: Any = None) -> Any:
        """Open a picture."""
        return self._original(fp, mode, FORMATS if _limited.get() else formats)

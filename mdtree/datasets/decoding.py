"""Decoding images: only common formats, each decoded by Pillow itself.

Pillow detects forty formats by content, and passes PostScript to Ghostscript, which runs it: a file
named 0.png may be any of them.  An image with more pixels than Pillow warns about is refused, and
so is one that would become too large an input, since ten kilobytes can become gigabytes.  The
header reveals this before decoding, unless the user's own transform decides the size.
"""

from __future__ import annotations

import functools
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.utils.data import Dataset

from mdtree.exceptions import DataError
from mdtree.regular_file import open_regular

__all__ = ["FORMATS", "LARGEST", "Guarded", "megabytes", "picture"]

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
LARGEST = 256 << 20  # bytes of one image as the network's input: 4,700 x 4,700 pixels in colour
_LARGEST_BATCH = 4 << 30  # bytes of a batch: 256 images of 1,024 x 1,024 take 3 GiB

Fault = Callable[[int, int], str | None]  # what is wrong with an image of this width and height


def _none(_width: int, _height: int) -> None:
    """Accept any size."""


# None outside `limited`, where Pillow must work as usual
_fault: ContextVar[Fault | None] = ContextVar("_fault", default=None)


@dataclass(frozen=True)
class Guarded(Dataset[Any]):
    """Any data set, with its images decoded under these limits."""

    dataset: Any
    fault: Fault = _none

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        with limited(self.fault):
            item = self.dataset[index]
        if (taken := _bytes(item)) > LARGEST:
            raise DataError(
                f"item {index} takes {megabytes(taken)}, but one image may take at most "
                f"{megabytes(LARGEST)}: make it smaller, with transform.size in the recipe or in "
                "your transform"
            )
        return item

    def __getitems__(self, indices: list[int]) -> list[Any]:
        """Read the items of a batch, all of one size; called by torch's DataLoader."""
        items = []
        for index in indices:
            item = self[index]
            if (taken := _bytes(item) * len(indices)) > _LARGEST_BATCH:
                raise DataError(
                    f"{len(indices)} images such as item {index} take {megabytes(taken)}, but a "
                    f"batch may take at most {megabytes(_LARGEST_BATCH)}: lower batch_size (in the "
                    "recipe, or --batch-size), or make images smaller with transform.size in the "
                    "recipe"
                )
            items.append(item)
        return items

    @property
    def targets(self) -> Any:
        """The labels of all items, if the data set has a list of them."""
        return self.dataset.targets


def picture(path: str) -> Any:
    """Read an image in colour."""
    from PIL import Image

    with limited(), open_regular(Path(path)) as file, Image.open(file) as image:
        return image.convert("RGB")


def megabytes(count: int) -> str:
    """Format a number of bytes in MiB."""
    return f"{count / (1 << 20):,.0f} MiB"


def _bytes(item: Any) -> int:
    parts = item if isinstance(item, tuple | list) else (item,)
    return sum(part.nbytes for part in parts if isinstance(part, Tensor))


@contextmanager
def limited(fault: Fault | None = None) -> Iterator[None]:
    """Restrict Pillow in this thread to the listed formats, and refuse decompression bombs.

    An image with a fault is not decoded; without `fault`, that of the enclosing context applies.
    """
    from PIL import Image

    if not isinstance(vars(Image)["open"], _Limited):
        vars(Image)["open"] = _Limited(Image.open)
    token = _fault.set(fault or _fault.get() or _none)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    finally:
        _fault.reset(token)


class _Limited:
    """Pillow's `open`, restricted inside `limited`: other packages do not restrict formats."""

    def __init__(self, original: Callable[..., Any]) -> None:
        functools.update_wrapper(self, original)
        self._original = original

    def __call__(self, fp: Any, mode: str = "r", formats: Any = None) -> Any:
        """Open an image: read its header, which contains its size."""
        from PIL import Image

        fault = _fault.get()
        if fault is None:
            return self._original(fp, mode, formats)
        try:
            image = self._original(fp, mode, FORMATS)
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise DataError(
                f"{_named(fp)} was not decoded: {str(error).rstrip('.')}; "
                "store it with fewer pixels"
            ) from error
        if (reason := fault(*image.size)) is not None:
            image.close()
            raise DataError(f"{_named(fp)} was not decoded: {reason}")
        return image


def _named(fp: Any) -> str:
    name = fp if isinstance(fp, str | bytes | os.PathLike) else getattr(fp, "name", None)
    if isinstance(name, str | bytes | os.PathLike):
        return f"image {os.fsdecode(name)}"
    return "an image"  # inside an archive

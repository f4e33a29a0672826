"""Decoding pictures: the common formats alone, each by Pillow's own code.

Pillow tells a format by content, knows forty, and gives PostScript to Ghostscript, which runs it:
a file that is called 0.png may be any of them.  A picture of more pixels than Pillow warns of is
refused, and so is one that becomes too large an input: ten kilobytes become gigabytes.  Its header
tells that before it is decoded, unless a transform of the user's own decides.
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
LARGEST = 256 << 20  # bytes of one picture as the network's input: 4,700 x 4,700 pixels in colour
_LARGEST_BATCH = 4 << 30  # bytes of all of a batch: 256 pictures of 1,024 x 1,024 take 3 GiB

Fault = Callable[[int, int], str | None]  # what is wrong with a picture of that width and height


def _none(_width: int, _height: int) -> None:
    """Find nothing wrong."""


# None outside of `limited`: there, Pillow is the user's own
_fault: ContextVar[Fault | None] = ContextVar("_fault", default=None)


@dataclass(frozen=True)
class Guarded(Dataset[Any]):
    """A data set of others, whose items are decoded under these rules."""

    dataset: Any
    fault: Fault = _none

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        with limited(self.fault):
            item = self.dataset[index]
        if (taken := _bytes(item)) > LARGEST:
            raise DataError(
                f"item {index} takes {megabytes(taken)}, and one picture may take "
                f"{megabytes(LARGEST)}: make it smaller, with transform.size in the recipe or in "
                "your transform"
            )
        return item

    def __getitems__(self, indices: list[int]) -> list[Any]:
        """Read the items of a batch, all of one size; torch's DataLoader asks for them here."""
        items = []
        for index in indices:
            item = self[index]
            if (taken := _bytes(item) * len(indices)) > _LARGEST_BATCH:
                raise DataError(
                    f"{len(indices)} pictures such as item {index} take {megabytes(taken)}, and a "
                    f"batch may take {megabytes(_LARGEST_BATCH)}: lower batch_size (in the recipe, "
                    "or --batch-size), or make pictures smaller with transform.size in the recipe"
                )
            items.append(item)
        return items

    @property
    def targets(self) -> Any:
        """Get the labels of all items, where the data set has a list of them."""
        return self.dataset.targets


def picture(path: str) -> Any:
    """Read a picture in colour."""
    from PIL import Image

    with limited(), open_regular(Path(path)) as file, Image.open(file) as image:
        return image.convert("RGB")


def megabytes(count: int) -> str:
    """Write a number of bytes for people."""
    return f"{count / (1 << 20):,.0f} MiB"


def _bytes(item: Any) -> int:
    parts = item if isinstance(item, tuple | list) else (item,)
    return sum(part.nbytes for part in parts if isinstance(part, Tensor))


@contextmanager
def limited(fault: Fault | None = None) -> Iterator[None]:
    """Let Pillow open the named formats alone, and no bombs, whoever calls it in this thread.

    A picture with a fault is not decoded; without one that is named, that around it holds.
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
    """Pillow's `open`, as it is outside of `limited`; data sets of others name no formats."""

    def __init__(self, original: Callable[..., Any]) -> None:
        functools.update_wrapper(self, original)
        self._original = original

    def __call__(self, fp: Any, mode: str = "r", formats: Any = None) -> Any:
        """Open a picture: read its header, which tells its size."""
        from PIL import Image

        fault = _fault.get()
        if fault is None:
            return self._original(fp, mode, formats)
        try:
            image = self._original(fp, mode, FORMATS)
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise DataError(
                f"{_named(fp)} is not decoded: {str(error).rstrip('.')}; store it with fewer pixels"
            ) from error
        if (found := fault(*image.size)) is not None:
            image.close()
            raise DataError(f"{_named(fp)} is not decoded: {found}")
        return image


def _named(fp: Any) -> str:
    name = fp if isinstance(fp, str | bytes | os.PathLike) else getattr(fp, "name", None)
    if isinstance(name, str | bytes | os.PathLike):
        return f"picture {os.fsdecode(name)}"
    return "a picture"  # that lies in an archive

"""Augmentation: random changes of the images in every epoch.

shift        by up to an eighth of the sides (at least one pixel) in each direction, zeros filled in
shift_flip   the same, and half of the images are mirrored
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mdtree.batch import Batch, describe
from mdtree.exceptions import DataError

__all__ = ["augmented"]


def augmented(batch: Batch, how: str, generator: torch.Generator) -> Batch:
    """Augment the images of a batch (x, y) at random; `none` leaves them as they are.

    Raises:
        DataError: The inputs are not images.
    """
    if how == "none":
        return batch
    if not isinstance(batch, tuple) or batch[0].dim() != 4:  # noqa: PLR2004 - (n, c, h, w)
        raise DataError(f"augmentation needs images (n, channels, h, w), got {describe(batch)}")
    x, y = batch
    moved = _shifted(x, generator)
    return (_flipped(moved, generator) if how == "shift_flip" else moved), y


def _shifted(x: Tensor, generator: torch.Generator) -> Tensor:
    count, _, height, width = x.shape
    reach = (max(height // 8, 1), max(width // 8, 1))
    padded = F.pad(x, (reach[1], reach[1], reach[0], reach[0]))
    rows, columns = (
        torch.randint(2 * far + 1, (count, 1), generator=generator).to(x.device)
        + torch.arange(side, device=x.device)
        for far, side in zip(reach, (height, width), strict=True)
    )
    item = torch.arange(count, device=x.device)[:, None, None]
    picked = padded.permute(0, 2, 3, 1)[item, rows[:, :, None], columns[:, None, :]]
    return picked.permute(0, 3, 1, 2).contiguous()


def _flipped(x: Tensor, generator: torch.Generator) -> Tensor:
    chosen = torch.rand(len(x), generator=generator).to(x.device) < 0.5  # noqa: PLR2004
    return torch.where(chosen[:, None, None, None], x.flip(3), x)

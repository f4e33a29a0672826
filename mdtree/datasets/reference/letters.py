"""Letters of the DejaVu fonts: drawn once, then rotated, sheared, scaled and shifted at random.

The six fonts are those of Debian's fonts-dejavu-core, which are also in matplotlib (version 2.37 in
both).  Another release of Pillow, or of the FreeType inside, may render single pixels differently.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from mdtree.datasets.packages import python_file, read_file
from mdtree.exceptions import DataError

__all__ = ["LETTERS", "drawn_letters", "moved", "random_moves"]

# capitals, small letters unlike their capitals, and Greek capitals unlike Latin ones
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghijmnqrtyΓΔΘΛΞΠΣΦΨΩ"
_FONTS = tuple(f"DejaVu{f}{b}.ttf" for f in ("Sans", "SansMono", "Serif") for b in ("", "-Bold"))
_SYSTEM = Path("/usr/share/fonts/truetype/dejavu")
_DRAWN, _KEPT, _SIZE = 96, 32, 84  # pixels: drawn, averaged to, of the font
_BRIGHTEST = 255
_LARGEST = 16 << 20  # bytes of a font


def drawn_letters(first: int, count: int) -> Tensor:
    """Draw letters from number `first` on, from 0 to 1: (fonts, letters, 32, 32)."""
    if first + count > len(LETTERS):
        raise DataError(f"there are only {len(LETTERS)} letters, got {first} + {count}")
    return torch.stack([_drawn(font, LETTERS[first : first + count]) for font in _fonts()])


def random_moves(count: int, strength: float, random: torch.Generator) -> Tensor:
    """Draw a random 2x3 matrix for each image.

    At strength 1, they rotate (+-20 degrees), shear (+-0.2), scale (0.8 to 1.2) and shift (+-0.1
    of the image).
    """

    def within(largest: float) -> Tensor:
        return largest * strength * (2 * torch.rand(count, generator=random) - 1)

    turn, shear, scale = within(0.35), within(0.2), 1 + within(0.2)
    cos, sin = scale * turn.cos(), scale * turn.sin()
    rows = [[cos, -sin + shear, within(0.2)], [sin, cos, within(0.2)]]
    return torch.stack([torch.stack(row, dim=1) for row in rows], dim=1)


def moved(letters: Tensor, moves: Tensor, side: int) -> Tensor:
    """Move each letter (n, 32, 32) by its matrix, and scale it to (n, 1, side, side)."""
    grid = F.affine_grid(moves, [len(moves), 1, side, side], False)  # noqa: FBT003 - torch's
    return F.grid_sample(letters.unsqueeze(1), grid, align_corners=False)


def _drawn(font: ImageFont.FreeTypeFont, letters: str) -> Tensor:
    """Draw each letter in the middle of an image of 32x32 pixels, from 0 to 1."""
    pictures = []
    for letter in letters:
        picture = Image.new("L", (_DRAWN, _DRAWN))
        middle = (_DRAWN / 2, _DRAWN / 2)
        ImageDraw.Draw(picture).text(middle, letter, fill=_BRIGHTEST, font=font, anchor="mm")
        pictures.append(torch.from_numpy(np.asarray(picture, dtype=np.float32) / _BRIGHTEST))
    return F.avg_pool2d(torch.stack(pictures).unsqueeze(1), _DRAWN // _KEPT).squeeze(1)


def _fonts() -> list[ImageFont.FreeTypeFont]:
    basic = ImageFont.Layout.BASIC  # the other engine is not available everywhere
    return [
        ImageFont.truetype(io.BytesIO(_font(name)), _SIZE, layout_engine=basic) for name in _FONTS
    ]


def _font(name: str) -> bytes:
    """Read a font from the system, or from matplotlib."""
    system = _SYSTEM / name
    if system.is_file():
        return read_file(system, _LARGEST)
    return python_file("matplotlib", f"matplotlib/mpl-data/fonts/ttf/{name}")

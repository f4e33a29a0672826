"""Numbers of a tree file: which it may hold, so that nothing computed from them overflows.

Many of them are packed as short text: little-endian, compressed, in base64.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from mdtree.rows.forms import STRICT, Limits

__all__ = ["STRICT", "Count", "Limits", "Number", "Positive", "Share", "packed", "unpacked"]

Number = Annotated[float, Limits(ge=-1e300, le=1e300)]
Positive = Annotated[float, Limits(ge=1e-12, le=1e12)]
Count = Annotated[float, Limits(ge=0, le=1e12)]
Share = Annotated[float, Limits(ge=0, le=1)]

_SIZES = {"m2": 2, "f4": 4, "f8": 8}  # bytes of a number
_THOUSAND = 1000  # m2 holds thousandths
_MOST_THOUSANDTHS = 32_000


def packed(numbers: NDArray[np.float64]) -> str:
    """Write a table column by column, which puts equal numbers together.

    >>> unpacked(packed(np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])), (2, 3)).tolist()
    [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
    """
    columns = np.ascontiguousarray(numbers.T)
    with np.errstate(over="ignore"):  # a number too large for a kind fails the comparison below
        thousandths = np.rint(columns * _THOUSAND)
        if (
            (np.abs(thousandths) <= _MOST_THOUSANDTHS) & (thousandths / _THOUSAND == columns)
        ).all():
            kind, plain = "m2", thousandths.astype("<i2")
        elif (columns.astype(np.float32) == columns).all():
            kind, plain = "f4", columns.astype("<f4")
        else:
            kind, plain = "f8", columns.astype("<f8")
    return f"{kind}:{base64.b64encode(zlib.compress(plain.tobytes(), 9)).decode()}"


def unpacked(text: str, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Read a table of that shape; raise ValueError if the text holds anything else."""
    kind, _, content = text.partition(":")
    if kind not in _SIZES:
        raise ValueError(f"packed numbers are m2, f4 or f8, got {kind!r:.60}")
    lines, columns = shape
    size = _SIZES[kind] * lines * columns
    try:
        unzip = zlib.decompressobj()
        plain = unzip.decompress(base64.b64decode(content, validate=True), size + 1)
    except (binascii.Error, zlib.error) as error:
        raise ValueError(f"packed numbers cannot be read: {error}") from error
    if len(plain) != size or not unzip.eof or unzip.unused_data:
        raise ValueError(f"packed numbers must be {lines} x {columns}")
    if kind == "m2":
        numbers = np.frombuffer(plain, dtype="<i2") / _THOUSAND
    else:
        numbers = np.frombuffer(plain, dtype=f"<{kind}").astype(np.float64)
    return numbers.reshape(columns, lines).T

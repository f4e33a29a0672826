"""Arrays of numbers, and how precisely trees compare them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["DECIMALS", "Floats", "Ints", "first_best"]

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

DECIMALS = 12  # of a logarithm, as trees compare it
_TIE = 1e-9  # precision of sums of probabilities and their logarithms


def first_best(values: Floats) -> Ints:
    """Return the first of the largest along the last axis; rounding does not break a tie."""
    return np.asarray((values >= values.max(axis=-1, keepdims=True) - _TIE).argmax(axis=-1))

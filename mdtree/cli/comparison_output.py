"""Printing comparisons, for `mdtree compare` and `mdtree confirm`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mdtree.cli.screens import say

if TYPE_CHECKING:
    from mdtree.diagnosis import Comparison

__all__ = ["WHOLE", "print_comparisons"]

WHOLE = 3  # comparisons that are written out in full; more become a table


def print_comparisons(found: Sequence[Comparison], *, how_to_see_one: str) -> None:
    """Print comparisons: a table where there are several, and each in full where they are few."""
    from mdtree.render.comparison import comparison_text, comparisons_table

    if len(found) > 1:
        say(comparisons_table(found))
    if len(found) <= WHOLE:
        for each in found:
            say(("\n" if len(found) > 1 else "") + comparison_text(each))
    else:
        say(f"\nto see one of them in full, {how_to_see_one}")

"""Recipes and measurements near a directory that was read without them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from mdtree.messages import listed, printable, shortened
from mdtree.recipes import RECIPE_NAME
from mdtree.rows import ROWS_NAME

__all__ = ["not_read"]

_MOST_FOLDERS = 1000  # that are looked into
_NAMED = 3  # of those that were found
_LONGEST = 100  # characters of a path


def not_read(paths: Sequence[str | Path]) -> Iterator[str]:
    """Say which directories within or above have a recipe or measurements, which were not read."""
    for path in filter(Path.is_dir, map(Path, paths)):
        near = sorted(islice(path.iterdir(), _MOST_FOLDERS))
        within = [each for each in near if _tells_more(each)]
        if within:
            names = [printable(shortened(str(each), _LONGEST)) for each in within]
            verb = "has" if len(within) == 1 else "have"
            yield (
                f"not read: {listed(names, most=_NAMED)} {verb} a recipe or measurements; diagnose "
                "such a directory by itself"
            )
        above = path.resolve().parent
        if not within and _tells_more(above):
            yield (
                f"not read: the recipe or the measurements of {printable(str(above))}, one "
                f"directory above; to use them: mdtree diagnose {printable(str(above))} --group "
                f"{printable(path.resolve().name)}"
            )


def _tells_more(folder: Path) -> bool:
    return any((folder / name).is_file() for name in (RECIPE_NAME, ROWS_NAME))

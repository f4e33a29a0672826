"""Whether a recipe lies with what is measured, or rows alone: found out without reading either."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mdtree.exceptions import OutputError
from mdtree.rows import (
    WEIGHTS,
    home_of,
    is_address,
    is_rows,
    is_table,
    joint_rows,
    measured_file,
)

if TYPE_CHECKING:
    from mdtree.recipes.recipe import Recipe

__all__ = ["RECIPE_NAME", "RowsAlone", "has_recipe", "holds_only_rows", "rows_alone"]

RECIPE_NAME = "mdtree.yaml"


def holds_only_rows(source: str | Path, named: str | Path | Recipe | None) -> bool:
    """Return whether a path holds rows, and nothing that could be measured further."""
    if named is not None or is_address(source):
        return False
    path = Path(source)
    if path.name.lower().endswith((".jsonl", ".jsonl.gz")) or is_table(path) or is_rows(path):
        return True
    # Path.is_file fails for names that are too long
    rows, recipe = measured_file(path), path / RECIPE_NAME
    if rows == path or not os.path.isfile(rows) or os.path.isfile(recipe):  # noqa: PTH113
        return False
    return not _has_newer_weights(path, os.path.getmtime(rows))  # noqa: PTH204


@dataclass(frozen=True, kw_only=True)
class RowsAlone:
    """Rows of what cannot be measured further."""

    path: Path
    is_source: bool = False  # it is what the user asks about, not a directory of networks
    is_named: bool = False  # the user names it beside directories, so it may hold anything else


def rows_alone(
    sources: Sequence[str | Path],
    named: str | Path | Recipe | None,
    *,
    rows: str | Path | None = None,
) -> RowsAlone | None:
    """Return where the rows are of what cannot be measured further, or None.

    Several sources are runs that were measured as one group: their rows lie beside them.  `rows` is
    the file that the user names for those of directories.
    """
    first, *others = sources
    holds_rows = not others and holds_only_rows(first, named)
    is_source = holds_rows and not os.path.isdir(first)  # noqa: PTH112
    if rows is not None and not is_source and _is_of_sources(rows, sources, named):
        return RowsAlone(path=Path(rows), is_named=True)
    if not others:
        return RowsAlone(path=Path(first), is_source=is_source) if holds_rows else None
    if any(map(is_address, sources)) or has_recipe(first, named):
        return None
    if not all(os.path.exists(source) for source in sources):  # noqa: PTH110 - as in holds_only_rows
        return None  # an error where the networks are looked for
    with contextlib.suppress(OSError, OutputError):  # one that must not be written is not ours
        joint = joint_rows(first, others)
        time = os.path.getmtime(joint)  # noqa: PTH204
        if not any(_has_newer_weights(Path(source), time) for source in sources):
            return RowsAlone(path=joint)
    return None


def _is_of_sources(
    rows: str | Path, sources: Sequence[str | Path], named: str | Path | Recipe | None
) -> bool:
    """Return whether a file is there, and may hold rows of what is there and is not measured."""
    if any(map(is_address, sources)) or has_recipe(sources[0], named):
        return False
    if os.path.realpath(rows) == os.path.realpath(measured_file(Path(sources[0]))):
        return False  # its own, as if it were not named
    return all(os.path.exists(path) for path in (rows, *sources))  # noqa: PTH110


def _has_newer_weights(folder: Path, time: float) -> bool:
    """Return whether weights below a folder were saved after its rows were measured."""
    with contextlib.suppress(OSError):
        if os.path.isfile(folder):  # noqa: PTH113 - one checkpoint of several
            return os.path.getmtime(folder) > time  # noqa: PTH204
        for here, _, names in os.walk(folder):
            for name in names:
                if name.endswith(WEIGHTS) and os.path.getmtime(Path(here, name)) > time:  # noqa: PTH204
                    return True
    return False


def has_recipe(measured: str | Path, named: str | Path | Recipe | None) -> bool:
    """Return whether a recipe is named, or lies with the checkpoints."""
    if named is not None or is_address(measured):
        return True  # what lies at an address is an error when it is asked for
    return os.path.isfile(home_of(measured) / RECIPE_NAME)  # noqa: PTH113 - as in holds_only_rows

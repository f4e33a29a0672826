"""Where the recipe comes from: the one that the user names, or the one beside the checkpoints."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mdtree.exceptions import RecipeError
from mdtree.recipes.presence import RECIPE_NAME
from mdtree.recipes.reader import changed_recipe, checked_facts, read_recipe
from mdtree.recipes.recipe import ModelSpec, Recipe
from mdtree.rows import Fact, home_of
from mdtree.trust import Trust

__all__ = ["NO_RECIPE", "RecipeSource", "find_recipe"]

NO_RECIPE = Recipe(model=ModelSpec(factory="huggingface"))  # where nothing is run


@dataclass(frozen=True, kw_only=True)
class RecipeSource:
    """A recipe, the folder where its relative paths begin, and the code that it may run."""

    recipe: Recipe
    folder: Path
    trust: Trust


def find_recipe(
    measured: str | Path,
    named: str | Path | Recipe | None,
    *,
    trusted: Iterable[str] = (),
    facts: Mapping[str, Fact] | None = None,
    changes: Mapping[str, Any] | None = None,
) -> RecipeSource:
    """Find the recipe of what is measured; facts and single changes win over what it says.

    A recipe that the user names may name any factory; one that lies with the checkpoints may come
    from anybody.
    """
    here = Path.cwd()
    if isinstance(named, Recipe):
        recipe, folder = named, here
    else:
        path = _beside(measured) if named is None else Path(named)
        recipe, folder = read_recipe(path), path.parent
    changed = {key: value for key, value in (changes or {}).items() if value is not None}
    if facts:
        changed["facts"] = {**recipe.facts, **checked_facts(facts)}
    return RecipeSource(
        recipe=changed_recipe(recipe, changed) if changed else recipe,
        folder=folder,
        trust=Trust(
            names=frozenset(trusted),
            any_factory=named is not None,
            folders=tuple(dict.fromkeys((here, folder.resolve()))),
        ),
    )


def _beside(measured: str | Path) -> Path:
    """Return the recipe that lies with the checkpoints."""
    path = home_of(measured) / RECIPE_NAME
    if not os.path.isfile(path):  # noqa: PTH113 - as in has_recipe
        raise RecipeError(
            f"{path.parent} has no {RECIPE_NAME}, and weights alone do not say what network they "
            "belong to: write one (see configs/), name one with --recipe (in Python recipe=...), "
            "or give --model and --data"
        )
    return path

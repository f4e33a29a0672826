"""Recipes: the user's description of a directory of checkpoints."""

from typing import TYPE_CHECKING

from mdtree.late import late
from mdtree.trust import KNOWN_PACKAGES, Trust

if TYPE_CHECKING:
    from mdtree.recipes.data import (
        DATA_KINDS,
        Animals,
        DataSpec,
        Digits,
        FactoryData,
        Images,
        Tensors,
        TorchvisionData,
        Transform,
    )
    from mdtree.recipes.part import Keyed, bind, fingerprint
    from mdtree.recipes.presence import (
        RECIPE_NAME,
        RowsAlone,
        has_recipe,
        holds_only_rows,
        rows_alone,
    )
    from mdtree.recipes.reader import (
        checked_facts,
        read_recipe,
        read_zoo,
        recipe_from_words,
        words,
    )
    from mdtree.recipes.recipe import GroupSpec, LossSpec, ModelSpec, Recipe, TrainingSpec
    from mdtree.recipes.source import NO_RECIPE, RecipeSource, find_recipe
    from mdtree.recipes.zoo import Zoo, ZooTraining
else:
    __getattr__, __dir__ = late(
        __name__,
        {
            "data": (
                "DATA_KINDS Animals DataSpec Digits FactoryData Images Tensors "
                "TorchvisionData Transform"
            ),
            "part": "Keyed bind fingerprint",
            "presence": "RECIPE_NAME RowsAlone has_recipe holds_only_rows rows_alone",
            "reader": "checked_facts read_recipe read_zoo recipe_from_words words",
            "recipe": "GroupSpec LossSpec ModelSpec Recipe TrainingSpec",
            "source": "NO_RECIPE RecipeSource find_recipe",
            "zoo": "Zoo ZooTraining",
        },
    )

__all__ = [
    "DATA_KINDS",
    "KNOWN_PACKAGES",
    "NO_RECIPE",
    "RECIPE_NAME",
    "Animals",
    "DataSpec",
    "Digits",
    "FactoryData",
    "GroupSpec",
    "Images",
    "Keyed",
    "LossSpec",
    "ModelSpec",
    "Recipe",
    "RecipeSource",
    "RowsAlone",
    "Tensors",
    "TorchvisionData",
    "TrainingSpec",
    "Transform",
    "Trust",
    "Zoo",
    "ZooTraining",
    "bind",
    "checked_facts",
    "find_recipe",
    "fingerprint",
    "has_recipe",
    "holds_only_rows",
    "read_recipe",
    "read_zoo",
    "recipe_from_words",
    "rows_alone",
    "words",
]

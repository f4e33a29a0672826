"""Recipes: the user's description of a directory of checkpoints."""

from mdtree.recipes.data import (
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
from mdtree.recipes.reader import RECIPE_NAME, read_recipe, read_zoo, recipe_from_words, words
from mdtree.recipes.recipe import GroupSpec, LossSpec, ModelSpec, Recipe, TrainingSpec
from mdtree.recipes.trust import KNOWN_PACKAGES, Trust
from mdtree.recipes.zoo import Zoo, ZooTraining

__all__ = [
    "KNOWN_PACKAGES",
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
    "Tensors",
    "TorchvisionData",
    "TrainingSpec",
    "Transform",
    "Trust",
    "Zoo",
    "ZooTraining",
    "bind",
    "fingerprint",
    "read_recipe",
    "read_zoo",
    "recipe_from_words",
    "words",
]

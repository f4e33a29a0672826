"""Recipes: what the user says about a directory of checkpoints."""

from mdtree.config.data import (
    Animals,
    DataSpec,
    Digits,
    FactoryData,
    Images,
    Tensors,
    TorchvisionData,
    Transform,
)
from mdtree.config.part import Keyed, bind, fingerprint
from mdtree.config.reader import RECIPE_NAME, read_recipe, read_zoo, recipe_from_words, words
from mdtree.config.recipe import GroupSpec, LossSpec, ModelSpec, Recipe, TrainingSpec
from mdtree.config.trust import KNOWN_PACKAGES, Trust
from mdtree.config.zoo import Zoo, ZooTraining

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

"""Trees: fitted by scikit-learn or by us, kept as data, read by eye.

The estimators are imported when they are asked for: judging needs no scikit-learn, and starts in a
third of the time without it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from mdtree.trees.answer import Answer, answers, probabilities
from mdtree.trees.draw import tree_svg, tree_text
from mdtree.trees.feature import (
    FACT_FEATURES,
    FEATURES,
    LANDSCAPE,
    SPECTRUM,
    Feature,
    feature_matrix,
)
from mdtree.trees.node import Leaf, Node, Split, Step, Way, ends, leaves, walk, with_gains
from mdtree.trees.population import Population, mixed, population_of
from mdtree.trees.reading import read_tree
from mdtree.trees.saved import SavedTree, write_tree
from mdtree.trees.shape import FAMILIES, PUBLISHED, shape_features

if TYPE_CHECKING:
    from mdtree.trees.averaged import PosteriorTree
    from mdtree.trees.cart import CartTree
    from mdtree.trees.estimator import TreeEstimator
    from mdtree.trees.published import PublishedTree

__all__ = [
    "FACT_FEATURES",
    "FAMILIES",
    "FEATURES",
    "LANDSCAPE",
    "PUBLISHED",
    "SPECTRUM",
    "Answer",
    "CartTree",
    "Feature",
    "Leaf",
    "Node",
    "Population",
    "PosteriorTree",
    "PublishedTree",
    "SavedTree",
    "Split",
    "Step",
    "TreeEstimator",
    "Way",
    "answers",
    "ends",
    "feature_matrix",
    "leaves",
    "mixed",
    "population_of",
    "probabilities",
    "read_tree",
    "shape_features",
    "tree_svg",
    "tree_text",
    "walk",
    "with_gains",
    "write_tree",
]

_ESTIMATORS = {
    "CartTree": "cart",
    "PosteriorTree": "averaged",
    "PublishedTree": "published",
    "TreeEstimator": "estimator",
}


def __getattr__(name: str) -> Any:
    if name in _ESTIMATORS:
        return getattr(importlib.import_module(f"mdtree.trees.{_ESTIMATORS[name]}"), name)
    raise AttributeError(f"module 'mdtree.trees' has no attribute {name!r}")

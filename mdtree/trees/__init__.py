"""Decision trees: fitted by scikit-learn or by our own estimators, and kept as plain data.

Estimators are imported only when they are used: diagnosing does not need scikit-learn, and starts
in a third of the time without it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from mdtree.trees.feature import Feature
from mdtree.trees.feature_matrix import feature_matrix
from mdtree.trees.feature_sets import COMPARABLE, FACT_FEATURES, LANDSCAPE, TRAINING
from mdtree.trees.features import FEATURES, SPECTRUM
from mdtree.trees.node import Leaf, Node, RemedyGain, Split, Step, ends, leaves, walk, with_gains
from mdtree.trees.ood import TrainingDistribution, mixed, training_distribution
from mdtree.trees.reading import read_tree
from mdtree.trees.saved_tree import SavedTree, probabilities
from mdtree.trees.template import FAMILIES, PUBLISHED, template_features
from mdtree.trees.writing import write_tree

if TYPE_CHECKING:
    from mdtree.trees.estimators.base import TreeEstimator
    from mdtree.trees.estimators.cart import CartTree
    from mdtree.trees.estimators.gains import GainRegression
    from mdtree.trees.estimators.posterior import PosteriorTree
    from mdtree.trees.estimators.published import PublishedTree

__all__ = [
    "COMPARABLE",
    "FACT_FEATURES",
    "FAMILIES",
    "FEATURES",
    "LANDSCAPE",
    "PUBLISHED",
    "SPECTRUM",
    "TRAINING",
    "CartTree",
    "Feature",
    "GainRegression",
    "Leaf",
    "Node",
    "PosteriorTree",
    "PublishedTree",
    "RemedyGain",
    "SavedTree",
    "Split",
    "Step",
    "TrainingDistribution",
    "TreeEstimator",
    "ends",
    "feature_matrix",
    "leaves",
    "mixed",
    "probabilities",
    "read_tree",
    "template_features",
    "training_distribution",
    "walk",
    "with_gains",
    "write_tree",
]

_ESTIMATORS = {
    "CartTree": "cart",
    "GainRegression": "gains",
    "PosteriorTree": "posterior",
    "PublishedTree": "published",
    "TreeEstimator": "base",
}


def __getattr__(name: str) -> Any:
    if name in _ESTIMATORS:
        return getattr(
            importlib.import_module(f"mdtree.trees.estimators.{_ESTIMATORS[name]}"), name
        )
    raise AttributeError(f"module 'mdtree.trees' has no attribute {name!r}")

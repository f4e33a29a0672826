"""Decision trees: fitted by scikit-learn or by our own estimators, and kept as plain data."""

from typing import TYPE_CHECKING

from mdtree.late import late

if TYPE_CHECKING:
    from mdtree.trees.estimators.base import TreeEstimator
    from mdtree.trees.estimators.cart import CartTree
    from mdtree.trees.estimators.gains import GainRegression
    from mdtree.trees.estimators.posterior import PosteriorTree
    from mdtree.trees.estimators.published import PublishedTree
    from mdtree.trees.feature import Feature
    from mdtree.trees.feature_sets import COMPARABLE, FACT_FEATURES, LANDSCAPE, TRAINING
    from mdtree.trees.feature_values import feature_matrix
    from mdtree.trees.features import FEATURES, SPECTRUM
    from mdtree.trees.node import (
        Leaf,
        Node,
        RemedyGain,
        Split,
        Step,
        ends,
        leaves,
        walk,
        with_gains,
    )
    from mdtree.trees.ood import TrainingDistribution, mixed, training_distribution
    from mdtree.trees.reading import read_tree
    from mdtree.trees.saved_tree import SavedTree, probabilities
    from mdtree.trees.template import FAMILIES, PUBLISHED, template_features
    from mdtree.trees.writing import write_tree
else:
    __getattr__, __dir__ = late(
        __name__,
        {
            "estimators.base": "TreeEstimator",
            "estimators.cart": "CartTree",
            "estimators.gains": "GainRegression",
            "estimators.posterior": "PosteriorTree",
            "estimators.published": "PublishedTree",
            "feature": "Feature",
            "feature_sets": "COMPARABLE FACT_FEATURES LANDSCAPE TRAINING",
            "feature_values": "feature_matrix",
            "features": "FEATURES SPECTRUM",
            "node": "Leaf Node RemedyGain Split Step ends leaves walk with_gains",
            "ood": "TrainingDistribution mixed training_distribution",
            "reading": "read_tree",
            "saved_tree": "SavedTree probabilities",
            "template": "FAMILIES PUBLISHED template_features",
            "writing": "write_tree",
        },
    )

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

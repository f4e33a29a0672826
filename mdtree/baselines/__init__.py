"""Simple classifiers that are fitted to the same data: what can be reached without the network."""

from mdtree.baselines.inputs import Inputs, Pictures, Tokens, Vectors, as_inputs, read_items
from mdtree.baselines.least_squares import LinearClassifier, least_squares
from mdtree.baselines.random_features import random_features

__all__ = [
    "Inputs",
    "LinearClassifier",
    "Pictures",
    "Tokens",
    "Vectors",
    "as_inputs",
    "least_squares",
    "random_features",
    "read_items",
]

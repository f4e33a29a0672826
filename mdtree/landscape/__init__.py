"""The landscape around trained weights: curvature, paths, similarity. No quantities, no protocols.

Everything here takes a setup (how a network is run) and weights, and gives plain numbers and
tensors.  What is measured with it, on how many items and how long, the metrics decide.
"""

from mdtree.landscape.chance import draw, generator, number
from mdtree.landscape.effort import Effort, Meter
from mdtree.landscape.score import Score, score
from mdtree.landscape.setup import Setup
from mdtree.landscape.undisturbed import undisturbed

__all__ = [
    "Effort",
    "Meter",
    "Score",
    "Setup",
    "draw",
    "generator",
    "number",
    "score",
    "undisturbed",
]

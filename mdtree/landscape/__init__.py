"""The landscape around trained weights: curvature, paths, similarity. No quantities, no protocols.

Everything here takes a setup (how a network is run) and weights, and gives plain numbers and
tensors.  What is measured with it, on how many items and how long, the metrics decide.
"""

from mdtree.landscape.bend import Bending, Check, Trained, train_bend
from mdtree.landscape.chance import draw, generator, number
from mdtree.landscape.effort import Effort, Meter
from mdtree.landscape.hessian import Hessian, LossError, mean_loss
from mdtree.landscape.initial import random_weights
from mdtree.landscape.kernel import MIN_ITEMS, Kernel, cka, cka_stderr
from mdtree.landscape.lanczos import Ritz, lanczos
from mdtree.landscape.memory import fitting
from mdtree.landscape.normalisation import has_statistics, reestimate
from mdtree.landscape.outputs import Outputs, mixed_sample, outputs
from mdtree.landscape.path import Path, straight
from mdtree.landscape.profile import Figure, Point, Profile, profile
from mdtree.landscape.published import Published, published_hessian
from mdtree.landscape.score import Score, score
from mdtree.landscape.second import Derived, NotTwiceError, twice
from mdtree.landscape.setup import Setup
from mdtree.landscape.summit import sharpness
from mdtree.landscape.trace import Trace, estimate_trace
from mdtree.landscape.undisturbed import undisturbed
from mdtree.landscape.vector import Layout, trainable

__all__ = [
    "MIN_ITEMS",
    "Bending",
    "Check",
    "Derived",
    "Effort",
    "Figure",
    "Hessian",
    "Kernel",
    "Layout",
    "LossError",
    "Meter",
    "NotTwiceError",
    "Outputs",
    "Path",
    "Point",
    "Profile",
    "Published",
    "Ritz",
    "Score",
    "Setup",
    "Trace",
    "Trained",
    "cka",
    "cka_stderr",
    "draw",
    "estimate_trace",
    "fitting",
    "generator",
    "has_statistics",
    "lanczos",
    "mean_loss",
    "mixed_sample",
    "number",
    "outputs",
    "profile",
    "published_hessian",
    "random_weights",
    "reestimate",
    "score",
    "sharpness",
    "straight",
    "train_bend",
    "trainable",
    "twice",
    "undisturbed",
]

"""The landscape around trained weights: curvature, paths, similarity. No quantities, no protocols.

Everything here takes a setup (how a network is run) and weights, and gives plain numbers and
tensors.  What is measured with it, on how many items and how long, the metrics decide.
"""

from mdtree.landscape.cost import Effort, Meter
from mdtree.landscape.curvature.double_backward import Derived, NotTwiceError, twice
from mdtree.landscape.curvature.lanczos import Ritz, lanczos
from mdtree.landscape.curvature.operator import Hessian, LossError, mean_loss
from mdtree.landscape.curvature.pyhessian import Published, published_hessian
from mdtree.landscape.curvature.sharpness import sharpness
from mdtree.landscape.curvature.trace import Trace, estimate_trace
from mdtree.landscape.curves.batchnorm import has_statistics, reestimate
from mdtree.landscape.curves.bezier import Path, straight
from mdtree.landscape.curves.init import random_weights
from mdtree.landscape.curves.profile import Figure, Point, Profile, profile
from mdtree.landscape.curves.training import Bending, Check, Trained, train_bend
from mdtree.landscape.oom import fitting
from mdtree.landscape.parameters import Layout, trainable
from mdtree.landscape.preserve import undisturbed
from mdtree.landscape.runner import Setup
from mdtree.landscape.score import Score, score
from mdtree.landscape.seeding import draw, generator, number
from mdtree.landscape.similarity.cka import MIN_ITEMS, Kernel, cka, cka_stderr
from mdtree.landscape.similarity.outputs import Outputs, mixed_sample, outputs

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

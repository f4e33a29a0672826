"""The loss landscape around trained weights: curvature, paths, similarity.

Everything here takes a model runner and weights, and returns plain numbers and tensors.  The
metrics decide which quantities are measured, on how many items and for how long.
"""

from mdtree.landscape.channels_last import with_suited_layout
from mdtree.landscape.curvature.double_backward import (
    DoubleBackwardResult,
    NoSecondDerivativeError,
    double_backward,
)
from mdtree.landscape.curvature.gradient_graph import GradientGraph
from mdtree.landscape.curvature.lanczos import LanczosResult, Space, lanczos
from mdtree.landscape.curvature.operator import Hessian, LossError, mean_loss
from mdtree.landscape.curvature.pyhessian import PyHessianResult, published_hessian
from mdtree.landscape.curvature.trace import Trace, estimate_trace, forms_outside
from mdtree.landscape.curves.batchnorm import has_statistics, reestimate
from mdtree.landscape.curves.bezier import BezierCurve, random_weights, straight_line
from mdtree.landscape.curves.profile import Point, Profile, ProfileValue, profile
from mdtree.landscape.curves.training import (
    ConvergenceCheck,
    CurveTraining,
    TrainedCurve,
    train_curve,
)
from mdtree.landscape.oom import within_memory
from mdtree.landscape.parameters import ParameterLayout, trainable_parameters
from mdtree.landscape.predictions import Predictions, item_means, predict
from mdtree.landscape.reproducibility import derive_seed, draw, generator, preserved_state
from mdtree.landscape.runner import ComputeCost, CostMeter, ModelRunner
from mdtree.landscape.score import Score, score
from mdtree.landscape.similarity.cka import MIN_ITEMS, Kernel, cka, cka_stderr
from mdtree.landscape.similarity.outputs import Outputs, mixed_sample, outputs
from mdtree.landscape.surface import (
    MOST_ANCHORS,
    Plane,
    SurfacePoint,
    anchor_points,
    filter_normalised,
    grid_points,
    plane_through,
)

__all__ = [
    "MIN_ITEMS",
    "MOST_ANCHORS",
    "BezierCurve",
    "ComputeCost",
    "ConvergenceCheck",
    "CostMeter",
    "CurveTraining",
    "DoubleBackwardResult",
    "GradientGraph",
    "Hessian",
    "Kernel",
    "LanczosResult",
    "LossError",
    "ModelRunner",
    "NoSecondDerivativeError",
    "Outputs",
    "ParameterLayout",
    "Plane",
    "Point",
    "Predictions",
    "Profile",
    "ProfileValue",
    "PyHessianResult",
    "Score",
    "Space",
    "SurfacePoint",
    "Trace",
    "TrainedCurve",
    "anchor_points",
    "cka",
    "cka_stderr",
    "derive_seed",
    "double_backward",
    "draw",
    "estimate_trace",
    "filter_normalised",
    "forms_outside",
    "generator",
    "grid_points",
    "has_statistics",
    "item_means",
    "lanczos",
    "mean_loss",
    "mixed_sample",
    "outputs",
    "plane_through",
    "predict",
    "preserved_state",
    "profile",
    "published_hessian",
    "random_weights",
    "reestimate",
    "score",
    "straight_line",
    "train_curve",
    "trainable_parameters",
    "with_suited_layout",
    "within_memory",
]

"""Features: the numbers that trees ask about, computed from the quantities and facts of a row.

Trees use natural logarithms of the Hessian's values, as the published ones do.
"""

from __future__ import annotations

from mdtree.rows import QUANTITIES
from mdtree.trees.baseline_features import BASELINE
from mdtree.trees.feature import (
    Feature,
    gap,
    identity,
    log,
    log_distance,
    log_epochs,
    log_gradient_noise,
    log_noise,
    log_product,
    log_ratio,
    peak_ratio,
    ratio,
)

__all__ = ["FEATURES", "OTHERS", "SHARES", "SPECTRUM"]


_PLAIN = ("train_error", "train_loss", "test_error", "test_loss")
_PAIRS = ("connectivity", "connectivity_peak", "cka")

OTHERS = ("agreement", "loss_tail", "train_loss_tail", "random_like", "traps", "chance_loss")

# What the weights alone tell; trees ask for these only on request.
SPECTRUM: tuple[str, ...] = (
    "alpha",
    "alpha_hat",
    "log_norm",
    "log_spectral_norm",
    "log_alpha_norm",
    "stable_rank",
    "soft_rank",
)

# unit -> what it is, and the quantities that are measured in it
SHARES = (
    (
        "chance_error",
        "the chance-level error",
        (
            "train_error",
            "test_error",
            "connectivity",
            "connectivity_peak",
            "barrier",
            "linear_barrier",
            "train_ensemble_gain",
            "train_disagreement",
            "train_overconfidence",
            "overconfidence",
            "baseline_error",
        ),
    ),
    ("chance_loss", "the chance-level loss", ("barrier_loss", "linear_barrier_loss")),
    ("test_error", "the test error", ("ensemble_gain", "disagreement")),
)

_LIST = (
    *(
        Feature(
            name=name,
            needs=(name,),
            meaning=QUANTITIES[name].meaning,
            unit=QUANTITIES[name].unit,
            low=QUANTITIES[name].low,
            high=QUANTITIES[name].high,
            compute=identity,
        )
        for name in (*_PLAIN, *_PAIRS, *SPECTRUM, *OTHERS)
    ),
    Feature(
        name="log_hessian_top",
        needs=("hessian_top",),
        meaning="natural logarithm of the Hessian's largest eigenvalue",
        low=QUANTITIES["hessian_top"].low,
        high=QUANTITIES["hessian_top"].high,
        compute=log,
    ),
    Feature(
        name="log_hessian_trace",
        needs=("hessian_trace",),
        meaning="natural logarithm of the Hessian's trace",
        low=QUANTITIES["hessian_trace"].low,
        high=QUANTITIES["hessian_trace"].high,
        compute=log,
    ),
    Feature(
        name="log_hessian_share",
        needs=("hessian_top", "hessian_trace"),
        meaning="natural logarithm of the largest eigenvalue's share of the trace",
        low="the curvature is spread over many directions",
        high="a few directions hold most of the curvature",
        compute=log_ratio,
    ),
    Feature(
        name="log_peak_ratio",
        needs=("connectivity_peak", "train_error"),
        meaning="natural logarithm of the curve's highest training error over the networks' own",
        low="the curve between the networks has no more training error than they have",
        high="the curve between the networks has a barrier of training error",
        compute=peak_ratio,
    ),
    *(
        Feature(
            name=f"{name}_share",
            needs=(name, unit),
            meaning=f"{QUANTITIES[name].meaning}, relative to {what}",
            low=QUANTITIES[name].low,
            high=QUANTITIES[name].high,
            compute=ratio,
        )
        for unit, what, names in SHARES
        for name in names
    ),
    *(
        Feature(
            name=f"log_{name}_share",
            needs=(name, "chance_loss"),
            meaning=f"natural logarithm of the {name.replace('_', ' ')} over the chance-level loss",
            low=QUANTITIES[name].low,
            high=QUANTITIES[name].high,
            compute=log_ratio,
        )
        for name in ("train_loss", "test_loss")
    ),
    Feature(
        name="error_gap",
        needs=("test_error", "train_error", "chance_error"),
        meaning="test error minus training error, relative to the chance-level error",
        low="new items are as easy as those of the training",
        high="what was learnt does not carry over to new items",
        compute=gap,
    ),
    Feature(
        name="log_loss_gap",
        needs=("test_loss", "train_loss"),
        meaning="natural logarithm of the test loss over the training loss",
        low="new items are as easy as those of the training",
        high="what was learnt does not carry over to new items",
        compute=log_ratio,
    ),
    *BASELINE,
    Feature(
        name="log_distance",
        needs=("weight_distance", "parameters"),
        meaning="natural logarithm of the weight distance over the root of the parameter count",
        low=QUANTITIES["weight_distance"].low,
        high=QUANTITIES["weight_distance"].high,
        compute=log_distance,
    ),
    Feature(
        name="log_noise",
        needs=("test_error_stderr", "test_error"),
        meaning="natural logarithm of the gain that could be noise, relative to the test error",
        low="seeds agree, so even a small gain stands out from noise",
        high="seeds differ, so only a large gain stands out from noise",
        compute=log_noise,
    ),
    Feature(
        name="log_parameters",
        needs=("parameters",),
        meaning="natural logarithm of the number of weights",
        low="the network is small",
        high="the network is large",
        compute=log,
    ),
    Feature(
        name="log_data_amount",
        needs=("data_amount",),
        meaning="natural logarithm of the number of training items",
        low="there is little training data",
        high="there is a lot of training data",
        compute=log,
    ),
    Feature(
        name="log_parameters_per_item",
        needs=("parameters", "data_amount"),
        meaning="natural logarithm of the number of weights per training item",
        low="few weights for each training item",
        high="many weights for each training item",
        compute=log_ratio,
    ),
    Feature(
        name="conv_share",
        needs=("conv_parameters", "parameters"),
        meaning="share of the weights that lie in convolutions",
        low="each weight is used once for each item",
        high="most weights are used at many places of an item",
        compute=ratio,
    ),
    Feature(
        name="log_learning_rate",
        needs=("learning_rate",),
        meaning="natural logarithm of the learning rate",
        low="small training steps (low temperature)",
        high="large training steps (high temperature)",
        compute=log,
    ),
    Feature(
        name="adaptive",
        needs=("optimizer",),
        meaning="1 if each weight has a step of its own size, as in Adam; else 0",
        low="one learning rate for all weights, as in SGD",
        high="each weight has a step of its own size, as in Adam",
        compute=identity,
    ),
    Feature(
        name="decaying",
        needs=("schedule",),
        meaning="1 if the learning rate falls during training; else 0",
        low="the learning rate stays as it is",
        high="the last steps of training are small",
        compute=identity,
    ),
    Feature(
        name="log_batch_size",
        needs=("batch_size",),
        meaning="natural logarithm of the batch size",
        low="small batches make training noisy (high temperature)",
        high="large batches make training less noisy (low temperature)",
        compute=log,
    ),
    Feature(
        name="log_temperature",
        needs=("learning_rate", "batch_size"),
        meaning="natural logarithm of the learning rate over the batch size",
        low="little noise in training (low temperature)",
        high="much noise in training (high temperature)",
        compute=log_ratio,
    ),
    Feature(
        name="log_batch_share",
        needs=("batch_size", "data_amount"),
        meaning="natural logarithm of the batch size over the number of training items",
        low="many steps per epoch",
        high="few steps per epoch",
        compute=log_ratio,
    ),
    Feature(
        name="log_steps",
        needs=("steps",),
        meaning="natural logarithm of the number of training steps",
        low="training was short",
        high="training was long",
        compute=log,
    ),
    Feature(
        name="log_epochs",
        needs=("steps", "batch_size", "data_amount"),
        meaning="natural logarithm of the number of epochs",
        low="each training item was seen only a few times",
        high="each training item was seen many times",
        compute=log_epochs,
    ),
    Feature(
        name="log_training_time",
        needs=("learning_rate", "steps"),
        meaning="natural logarithm of the learning rate times the number of training steps",
        low="short training, or small steps",
        high="long training, or large steps",
        compute=log_product,
    ),
    Feature(
        name="log_edge",
        needs=("learning_rate", "hessian_top"),
        meaning="natural logarithm of the learning rate times the top eigenvalue",
        low="the minimum is flat relative to the step size",
        high="training is at the edge of stability (2) or beyond",
        compute=log_product,
    ),
    Feature(
        name="log_edge_trace",
        needs=("learning_rate", "hessian_trace"),
        meaning="natural logarithm of the learning rate times the trace",
        low="the minimum is flat relative to the step size",
        high="the minimum is sharp relative to the step size",
        compute=log_product,
    ),
    Feature(
        name="log_gradient_noise",
        needs=("learning_rate", "batch_size", "hessian_trace"),
        meaning="natural logarithm of the temperature times the trace",
        low="the noise of the training steps is small relative to the curvature",
        high="the noise of the training steps is large relative to the curvature",
        compute=log_gradient_noise,
    ),
)

FEATURES: dict[str, Feature] = {feature.name: feature for feature in _LIST}

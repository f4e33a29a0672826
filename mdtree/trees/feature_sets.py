"""Sets of features: what a tree may ask for, by what is known of the groups.

`COMPARABLE` features mean the same for every task: errors are relative to the chance-level error,
losses to the chance-level loss, weight distances to the square root of the parameter count.
"""

from __future__ import annotations

from mdtree.rows import QUANTITIES
from mdtree.trees.baseline_features import BASELINE
from mdtree.trees.features import FEATURES, OTHERS, SHARES, SPECTRUM

__all__ = [
    "COMPARABLE",
    "FACT_FEATURES",
    "LANDSCAPE",
    "LOGGED",
    "TRAINING",
    "is_in_files",
    "is_told",
    "known_from_files",
    "known_from_weights",
]

# What a tree may ask about any trained network, without facts and without test results.
LANDSCAPE: tuple[str, ...] = (
    "train_error",
    "train_loss",
    "log_hessian_top",
    "log_hessian_trace",
    "connectivity",
    "connectivity_peak",
    "cka",
    "log_hessian_share",
    "log_peak_ratio",
)

# What means the same for every task, network and data set; the only fact is the parameter count.
COMPARABLE: tuple[str, ...] = (
    *(f"{name}_share" for _, _, names in SHARES for name in names),
    "log_train_loss_share",
    "log_test_loss_share",
    "error_gap",
    "log_loss_gap",
    "log_hessian_top",
    "log_hessian_trace",
    "log_hessian_share",
    "log_peak_ratio",
    "cka",
    "log_distance",
    *(feature.name for feature in BASELINE),
    *OTHERS,
    *SPECTRUM,
)

FACT_FEATURES: tuple[str, ...] = ("log_parameters", "log_data_amount")

# What a recipe tells about training, alone and in relation to the curvature.
TRAINING: tuple[str, ...] = (
    *FACT_FEATURES,
    "log_parameters_per_item",
    "conv_share",
    "log_learning_rate",
    "adaptive",
    "decaying",
    "log_batch_size",
    "log_temperature",
    "log_batch_share",
    "log_steps",
    "log_epochs",
    "log_training_time",
    "log_edge",
    "log_edge_trace",
    "log_gradient_noise",
)

# What the log of a trainer and the number of classes tell where nothing was measured.
LOGGED: tuple[str, ...] = ("train_loss", "test_loss", "test_error", "chance_error", "chance_loss")

_IN_WEIGHTS = frozenset({"parameters", "conv_parameters", "chance_error", "chance_loss"})
_SETTINGS = frozenset({"learning_rate", "batch_size", "steps", "optimizer", "schedule"})


def is_in_files(name: str) -> bool:
    """Return whether a quantity or a fact needs only weights, settings and the log of a trainer."""
    return name in LOGGED or name not in QUANTITIES or QUANTITIES[name].metric == "spectrum"


def known_from_files(feature: str) -> bool:
    """Return whether a feature needs nothing else."""
    return feature in FEATURES and all(map(is_in_files, FEATURES[feature].needs))


def known_from_weights(feature: str) -> bool:
    """Return whether a feature needs no more than weights: spectra, sizes, classes."""
    return feature in FEATURES and all(
        need in _IN_WEIGHTS or (need in QUANTITIES and QUANTITIES[need].metric == "spectrum")
        for need in FEATURES[feature].needs
    )


def is_told(feature: str) -> bool:
    """Return whether a feature needs a setting of the training."""
    return feature in FEATURES and not _SETTINGS.isdisjoint(FEATURES[feature].needs)

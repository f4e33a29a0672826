"""Forests of one or two leaves, made by hand: what they expect is known."""

from __future__ import annotations

import numpy as np

from mdtree.failure_modes import FAILURE_MODES
from mdtree.trees import Leaf, SavedTree
from mdtree.trees.forest import Forest, RegressionTree
from mdtree.trees.gain_model import GainModel, GainScale

SCALE = GainScale(power=2.0, floor=0.1, none=1.5, noise=0.05)


def regression_tree(feature, number, high, missing):
    return RegressionTree(
        feature=np.array(feature, dtype=np.intp),
        number=np.array(number, dtype=float),
        high=np.array(high, dtype=np.intp),
        missing_high=np.array(missing, dtype=bool),
    )


def constant(value):
    """Expect the same of every group."""
    return regression_tree((-1,), (value,), (0,), (False,))


def question(column, threshold, low, high, *, missing_high=False):
    """Expect one of two gains."""
    return regression_tree(
        (column, -1, -1), (threshold, low, high), (2, 0, 0), (missing_high, False, False)
    )


def gain_model(trees, *, scale=SCALE, **given):
    return GainModel(forest=Forest(trees=trees), scale=scale, **given)


def gain_tree(trees, *, features=("cka", "log_noise"), leaf=None, **given):
    """Make a saved tree that answers by these trees (remedy -> trees), and explains by a leaf."""
    fields = {name: given.pop(name) for name in ("scale", "spread", "levels") if name in given}
    whole = {
        "task": "failure", "method": "gains", "protocol": "standard-1", "groups": 30,
        "classes": tuple(FAILURE_MODES), "ranges": {}, "provenance": {},
        "tree": leaf or Leaf(answer="none", counts={"none": 30.0}),
    }  # fmt: skip
    return SavedTree(
        features=features, gain_model=gain_model(trees, **fields), **{**whole, **given}
    )

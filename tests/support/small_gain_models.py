"""Regressions of one question, made by hand: what they expect is known."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from mdtree.failure_modes import FAILURE_MODES
from mdtree.trees import Leaf, SavedTree
from mdtree.trees.gain_model import GainModel
from mdtree.trees.gain_shares import GainScale
from mdtree.trees.kernel_regression import KernelRegression, QuantileScale

SCALE = GainScale(power=2.0, floor=0.1, none=1.5, noise=0.05)
FAR = 1e3  # a width at which two centres know nothing of each other: exp(-1800) is 0
PLACE = NormalDist().inv_cdf(0.75)  # of the second of two quantiles; the first has -PLACE


@dataclass(frozen=True)
class Expected:
    """What is expected up to a threshold in a column, above it, and where it is unknown."""

    low: float
    high: float
    unknown: float
    column: int = 0
    threshold: float = 0.5


def constant(value):
    """Expect the same of every group."""
    return Expected(value, value, value)


def question(column, threshold, low, high, *, missing_high=False):
    """Expect one of two gains."""
    return Expected(low, high, high if missing_high else low, column, threshold)


def regression(gains):
    """Make the regression of one question: a centre on either side of its threshold.

    The two quantiles are the threshold and the number behind it, so that the scale is a step, and
    the gain on a side is the mean and the weight of the centre there.
    """
    asked = {(each.column, each.threshold) for each in gains.values() if each.low != each.high}
    ((column, threshold),) = asked or {(0, 0.5)}
    quantiles = np.array([threshold, math.nextafter(threshold, math.inf)])
    return KernelRegression(
        scales={column: QuantileScale(quantiles=quantiles)},
        centres=np.array([[-PLACE], [PLACE]]),
        width=FAR,
        means={remedy: each.unknown for remedy, each in gains.items()},
        weights={
            remedy: np.array([each.low - each.unknown, each.high - each.unknown])
            for remedy, each in gains.items()
        },
    )


def gain_model(gains, *, scale=SCALE, **given):
    return GainModel(regression=regression(gains), scale=scale, **given)


def gain_tree(gains, *, features=("cka", "log_noise"), leaf=None, **given):
    """Make a saved tree that answers by these gains (remedy -> Expected), explained by a leaf."""
    fields = {name: given.pop(name) for name in ("scale", "spread", "levels") if name in given}
    whole = {
        "task": "failure", "method": "gains", "protocol": "standard-1", "groups": 30,
        "classes": tuple(FAILURE_MODES), "ranges": {}, "provenance": {},
        "tree": leaf or Leaf(answer="none", counts={"none": 30.0}),
    }  # fmt: skip
    return SavedTree(
        features=features, gain_model=gain_model(gains, **fields), **{**whole, **given}
    )

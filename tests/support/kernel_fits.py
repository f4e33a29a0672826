"""Kernel regressions that are fitted to lines of numbers."""

from __future__ import annotations

import numpy as np

from mdtree.trees.estimators.kernel_fit import KernelProblem
from mdtree.trees.kernel_regression import QuantileScale, kernel


def fit(lines, gains, weights=None, centres=None, **given):
    problem = stated({"add_data": gains}, lines, weights, centres, **given)
    return problem.solved(problem.sums())


def stated(targets, lines, weights=None, centres=None, **given):
    return KernelProblem(
        scales={
            column: QuantileScale(quantiles=np.array([-2.0, 0.0, 2.0]))
            for column in range(lines.shape[1])
        },
        lines=lines,
        targets=targets,
        weights=np.ones(len(lines)) if weights is None else weights,
        centres=lines if centres is None else centres,
        **{"width": 0.3, "ridge": 0.5, **given},
    )


def told(model, lines):
    return model.means["add_data"] + kernel(lines, model.centres, 0.3) @ model.weights["add_data"]

"""Kernels and fits of a kernel regression are those of scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics.pairwise import nan_euclidean_distances

from mdtree.trees.kernel_regression import kernel
from tests.support.cases import holed
from tests.support.kernel_fits import fit, told


@pytest.mark.parametrize("seed", range(3))
def test_distances_are_those_of_scikit_learn_also_where_numbers_are_unknown(seed):
    """It scales the mean square of what is known up to all 5; their sum errs by 1e-13."""
    rng = np.random.default_rng(seed)
    lines, centres = holed(rng, 41, 5), rng.normal(size=(17, 5))
    assert np.isnan(lines).any()
    expected = np.exp(-0.2 / 5 * nan_euclidean_distances(lines, centres, squared=True))
    assert kernel(lines, centres, 0.2) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_with_all_lines_as_centres_it_is_the_kernel_ridge_of_scikit_learn(seed):
    """(K'K + r K) w = K'y is (K + r) w = y; ours adds e = 1e-6 to the diagonal.

    For an eigenvalue k of K that changes w by e / (k^2 + r k + e) of it.  On the lines themselves
    predictions change by k times as much, e / r at most; elsewhere, in the norm of the kernel's
    functions, by the root of k times as much, which is half of the root of e / r at most.
    """
    rng = np.random.default_rng(seed)
    lines, gains = rng.normal(size=(37, 4)), rng.uniform(0.2, 0.8, 37)
    others, jitter, ridge = rng.normal(size=(23, 4)), 1e-6, 0.5
    ours = fit(lines, gains, ridge=ridge)
    theirs = KernelRidge(alpha=ridge, kernel="rbf", gamma=0.3 / 4).fit(lines, gains - gains.mean())
    length = np.linalg.norm(theirs.dual_coef_)
    for given, at, bound in (
        (told(ours, lines), lines, jitter / ridge * length + 1e-9),
        (told(ours, others), others, math.sqrt(jitter / ridge) / 2 * length + 1e-9),
    ):
        expected = gains.mean() + theirs.predict(at)
        assert given == pytest.approx(expected, abs=bound, rel=0)
        assert np.abs(given - gains.mean()).max() > 50 * bound  # it is no mean alone

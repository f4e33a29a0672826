from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import chdtri, ndtri

from mdtree.trees.quantiles import chi_square_quantile, normal_quantiles


@pytest.mark.parametrize("tail", [0.5, 0.05, 1e-6])
def test_with_two_degrees_of_freedom_it_is_an_exponential(tail):
    assert chi_square_quantile(2, tail) == pytest.approx(-2 * math.log(tail), rel=1e-12)


@pytest.mark.parametrize("freedom", [0.05, 0.7, 1, 3.3, 17, 51.5, 400])
@pytest.mark.parametrize("tail", [0.9, 0.05, 0.01])
def test_chi_square_quantiles_are_those_of_scipy(freedom, tail):
    assert chi_square_quantile(freedom, tail) == pytest.approx(chdtri(freedom, tail), rel=1e-9)


@pytest.mark.parametrize("shape", [(), (3,), (2, 5), (40, 40)])
def test_normal_quantiles_are_those_of_scipy(shape):
    levels = np.random.default_rng(0).uniform(0.001, 0.999, shape)
    found = normal_quantiles(np.asarray(levels))
    assert found.shape == shape
    assert found == pytest.approx(ndtri(levels), rel=1e-12, abs=1e-15)


def test_the_median_is_zero_and_tails_are_symmetric():
    assert normal_quantiles(np.array([0.5, 0.25, 0.75])) == pytest.approx([0, -0.67449, 0.67449])

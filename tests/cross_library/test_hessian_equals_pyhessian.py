"""The published method is PyHessian, to the last bit where both can run."""

from __future__ import annotations

import copy
import itertools
import statistics
import warnings

import pytest
import torch
import torch.nn.functional as F
from pyhessian import hessian as PyHessian
from torch import nn

from tests.support.cases import IMAGES, X, Y
from tests.support.exact import (
    Odd,
    cnn_with_statistics,
    linear_loss,
    published_estimate,
    weights_of,
)


def bare(module, data, criterion=F.cross_entropy, *, seed=1, **kwargs):
    """Give what PyHessian finds by itself: the eigenvalue, then the probes of the trace."""
    torch.manual_seed(seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Using backward.. with create_graph=True", UserWarning)
        rival = PyHessian(copy.deepcopy(module), criterion, data=data, cuda=False)
    (top,), _ = rival.eigenvalues()
    forms = rival.trace(**kwargs)
    rival.model.zero_grad()
    return top, tuple(forms)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_is_bare_pyhessian_bit_by_bit(dtype):
    module, data = cnn_with_statistics().to(dtype), (IMAGES.to(dtype), Y)
    estimate = published_estimate(module, data)
    assert bare(module, data) == (estimate.top, estimate.forms)
    assert statistics.fmean(estimate.forms) == estimate.trace


def test_it_measures_the_weights_it_is_given_and_not_those_of_the_module():
    module, other = cnn_with_statistics(), cnn_with_statistics()
    estimate = published_estimate(module, (IMAGES, Y), weights=weights_of(other))
    assert bare(other, (IMAGES, Y)) == (estimate.top, estimate.forms)


def concave(output, _batch):
    return -output.square().mean(1)


def test_a_negative_trace_goes_on_to_where_a_positive_one_would_end():
    module = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3))

    def criterion(output, _targets):
        return -output.square().mean()

    top, ended = bare(module, (X, Y), criterion)
    _, probes = bare(module, (X, Y), criterion, tol=-1e30)
    assert (len(ended), len(probes)) == (2, 100)

    estimate = published_estimate(module, (X, Y), loss=concave)

    means = [statistics.fmean(probes[:count]) for count in range(1, 101)]
    small = [abs(b - a) / (abs(a) + 1e-6) < 1e-3 for a, b in itertools.pairwise(means)]
    count = small.index(True) + 2
    assert 2 < count < 100
    assert top == pytest.approx(estimate.top)
    assert probes[:count] == pytest.approx(estimate.forms)
    assert estimate.trace < 0


def test_parameters_without_curvature_change_nothing():
    module = Odd()
    alone = nn.Sequential(copy.deepcopy(module.used), nn.Tanh(), copy.deepcopy(module.frozen))
    with pytest.raises((AssertionError, RuntimeError)):
        bare(module, (X, Y), lambda output, _: -output.sum(1).mean())
    top, probes = bare(alone, (X, Y), lambda output, _: -output.sum(1).mean(), tol=-1e30)

    estimate = published_estimate(module, (X, Y), loss=linear_loss)

    assert top == pytest.approx(estimate.top)
    assert probes[: len(estimate.forms)] == pytest.approx(estimate.forms)

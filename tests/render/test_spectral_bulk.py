"""The bulk of a spectrum ends where random matrices have no eigenvalue."""

from __future__ import annotations

import numpy as np
import pytest

from mdtree.render.spectral_bulk import bulk_of


def even(values):
    return [(float(value), 1 / len(values)) for value in values]


def test_the_edge_by_hand():
    """Ninety-nine zeros and a hundred: the mean is 1, the variance 99."""
    bulk = bulk_of([(0.0, 0.99), (100.0, 0.01)])
    assert (bulk.low, bulk.high) == pytest.approx((1 - 3 * 99**0.5, 1 + 3 * 99**0.5))
    assert [bulk.is_beyond(value) for value in (0.0, 30.8, 30.9, 100.0, -29.0)] == [
        False, False, True, True, True
    ]  # fmt: skip


def test_weights_need_not_add_up_to_one():
    nodes = [(0.0, 0.5), (4.0, 0.25), (9.0, 0.125)]
    doubled = bulk_of([(value, 2 * weight) for value, weight in nodes])
    assert doubled.high == pytest.approx(bulk_of(nodes).high)


def test_random_matrices_have_no_outlier_and_what_is_added_to_them_is_one():
    random = np.random.default_rng(0)
    square = random.normal(size=(200, 200))
    symmetric = (square + square.T) / 400**0.5
    tall = random.normal(size=(400, 200))
    for matrix in (symmetric, tall.T @ tall / 400, square.T @ square / 200):
        bulk = bulk_of(even(np.linalg.eigvalsh(matrix)))
        assert not any(bulk.is_beyond(value) for value in np.linalg.eigvalsh(matrix))
    spike = np.ones((200, 1)) / 200**0.5
    values = np.linalg.eigvalsh(symmetric + 12 * spike @ spike.T)
    bulk = bulk_of(even(values))
    assert [value for value in values if bulk.is_beyond(value)] == [values[-1]]


def test_equal_eigenvalues_are_a_bulk():
    bulk = bulk_of([(2.0, 0.5), (2.0, 0.5)])
    assert not bulk.is_beyond(2.0)

"""The levels of a surface: round, inside the range, and as many as the eye can tell apart."""

from __future__ import annotations

import math

import pytest

from mdtree.render.surface_levels import scale


@pytest.mark.parametrize("low", [0.0, 0.017, 0.3, 1.0, 7.7, 512.0])
@pytest.mark.parametrize("span", [0.04, 0.35, 0.9, 2.0, 30.0, 1234.5])
@pytest.mark.parametrize("logarithmic", [True, False])
def test_there_are_six_to_eight_where_the_range_allows(low, span, logarithmic):
    high = low + span
    levels = scale(low, high, logarithmic=logarithmic).levels
    assert all(low < level < high for level in levels)
    assert list(levels) == sorted(set(levels))
    assert len({f"{level:.4g}" for level in levels}) == len(levels)
    if span > 0.02 * high:
        assert 5 <= len(levels) <= 9


def test_a_decade_is_logarithmic_and_less_is_linear():
    assert scale(1.0, 9.9, logarithmic=True).floor is None
    wide = scale(1.0, 10.1, logarithmic=True)
    assert wide.floor == 1.0
    assert wide.levels == (1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
    assert wide.height(0.1) == 0.0
    assert wide.height(math.e) == pytest.approx(1.0)
    assert scale(1.0, 1e6, logarithmic=False).floor is None


@pytest.mark.parametrize("low", [0.0, -1e99, 5e-324, 1e99])
@pytest.mark.parametrize("high", [5e-324, 1e-300, 1e99, 1.7e308])
def test_no_range_is_too_odd(low, high):
    if low <= high:
        levels = scale(low, high, logarithmic=low >= 0).levels
        assert all(low < level < high for level in levels)

"""Contours: they lie where interpolation meets the level, and regions are closed around them."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from mdtree.render.contours import contours, regions, scale


def heights(function, xs, ys):
    return np.array([[float(function(x, y)) for x in xs] for y in ys])


def area(loops):
    """Give the area inside loops, none of which lies in another."""
    return sum(abs(sum(x * v - u * y for (x, y), (u, v) in pairwise(loop)) / 2) for loop in loops)


STEPS = [number / 8 for number in range(-16, 17)]


@pytest.mark.parametrize("radius", [0.3, 1.0, 1.7])
def test_contours_of_a_circle_lie_on_the_circle(radius):
    grid = heights(lambda x, y: x * x + y * y, STEPS, STEPS)
    (loop,) = contours(STEPS, STEPS, grid, radius**2)
    assert loop[0] == loop[-1]
    assert len(set(loop)) == len(loop) - 1
    # linear interpolation of a square errs by at most a quarter of the step squared
    for x, y in loop:
        assert abs(x * x + y * y - radius**2) <= (1 / 8) ** 2 / 4 + 1e-12
    assert area([loop]) == pytest.approx(math.pi * radius**2, abs=math.pi * (1 / 8) ** 2)


def test_contours_of_a_slope_are_exact():
    xs, ys = [0.0, 1.0, 3.0], [0.0, 2.0, 3.0]
    (line,) = contours(xs, ys, heights(lambda x, y: x + 2 * y, xs, ys), 4.0)
    assert all(x + 2 * y == pytest.approx(4) for x, y in line)
    ends = sorted((line[0], line[-1]))
    assert ends == [pytest.approx((0, 2)), pytest.approx((3, 0.5))]


@pytest.mark.parametrize(("level", "cut_off"), [(0.4, {(1, 0), (0, 1)}), (0.6, {(0, 0), (1, 1)})])
def test_the_mean_of_a_saddle_decides_which_corners_are_joined(level, cut_off):
    """The corners 1 0 / 0 1 have the mean 0.5: below it the high ones are joined."""
    lines = contours([0.0, 1.0], [0.0, 1.0], np.array([[1.0, 0.0], [0.0, 1.0]]), level)
    corners = [tuple(round(place) for place in middle(line)) for line in lines]
    assert sorted(corners) == sorted(cut_off)


def middle(line):
    return tuple(sum(place) / len(line) for place in zip(*line, strict=True))


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("level", [0.4, 0.6])
def test_both_saddles_have_the_area_of_their_high_part(mirrored, level):
    """By hand: a corner that is cut off at distance d along both edges has the area d^2 / 2."""
    grid = np.array([[1.0, 0.0], [0.0, 1.0]])[:: -1 if mirrored else 1]
    expected = 1 - 2 * level**2 / 2 if level < 0.5 else 2 * (1 - level) ** 2 / 2
    assert area(regions([0.0, 1.0], [0.0, 1.0], grid, level)) == pytest.approx(expected)


def test_a_region_that_reaches_the_border_is_closed_along_it():
    xs = [0.0, 1.0, 2.0]
    loops = regions(xs, xs, heights(lambda x, _: x, xs, xs), 0.5)
    assert all(loop[0] == loop[-1] for loop in loops)
    assert area(loops) == pytest.approx(1.5 * 2)
    assert {x for loop in loops for x, _ in loop} == {0.5, 1.0, 2.0}


@pytest.mark.parametrize("level", [-1.0, 10.0])
def test_a_level_outside_has_no_line(level):
    assert contours(STEPS, STEPS, heights(lambda x, y: x * x + y * y, STEPS, STEPS), level) == []


def test_hills_are_lines_of_their_own():
    grid = heights(lambda x, y: math.cos(math.pi * x) * math.cos(math.pi * y), STEPS, STEPS)
    loops = [line for line in contours(STEPS, STEPS, grid, 0.5) if line[0] == line[-1]]
    # inside (-2, 2) x (-2, 2): (0, 0), (1, 1) and its mirrors; those on the border are open
    centres = {(round(middle(loop[1:])[0]), round(middle(loop[1:])[1])) for loop in loops}
    assert {(0, 0), (1, 1), (-1, 1), (1, -1), (-1, -1)} == centres


@pytest.mark.parametrize("low", [0.0, 0.017, 0.3, 1.0, 7.7, 512.0])
@pytest.mark.parametrize("span", [0.04, 0.35, 0.9, 2.0, 30.0, 1234.5])
@pytest.mark.parametrize("logarithmic", [True, False])
def test_there_are_six_to_eight_levels_where_the_range_allows(low, span, logarithmic):
    high = low + span
    levels = scale(low, high, logarithmic=logarithmic).levels
    assert all(low < level < high for level in levels)
    assert list(levels) == sorted(set(levels))
    assert len({f"{level:.4g}" for level in levels}) == len(levels)
    if span > 0.02 * high:
        assert 5 <= len(levels) <= 9


def test_a_scale_of_a_decade_is_logarithmic_and_less_is_linear():
    assert scale(1.0, 9.9, logarithmic=True).floor is None
    wide = scale(1.0, 10.1, logarithmic=True)
    assert wide.floor == 1.0
    assert wide.levels == (1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
    assert wide.height(0.1) == 0.0
    assert wide.height(math.e) == pytest.approx(1.0)
    assert scale(1.0, 1e6, logarithmic=False).floor is None


@pytest.mark.parametrize("low", [0.0, -1e99, 5e-324, 1e99])
@pytest.mark.parametrize("high", [5e-324, 1e-300, 1e99, 1.7e308])
def test_no_range_is_too_odd_for_levels(low, high):
    if low <= high:
        levels = scale(low, high, logarithmic=low >= 0).levels
        assert all(low < level < high for level in levels)

"""Axes: all values are on them, and what is written there is round."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mdtree.render.plot import linear, logarithmic

values = st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=5)
positive = st.lists(st.floats(1e-30, 1e30), min_size=1, max_size=5)


def is_an_axis(axis):
    at = [axis.at(tick) for tick in axis.ticks]
    assert axis.low < axis.high
    assert sorted(set(at)) == sorted(at)
    assert all(0 <= place <= 100 for place in at)
    assert len({axis.written(tick) for tick in axis.ticks}) == len(at)


@given(numbers=values, snug=st.booleans())
@example(numbers=[0.0, -703687441777.2793], snug=True)  # its last tick was 100.00000000000001
def test_a_linear_axis_holds_all_values_and_few_ticks(numbers, snug):
    axis = linear("x", numbers, snug=snug)
    is_an_axis(axis)
    slack = 1e-9 * (axis.high - axis.low)
    assert axis.low - slack <= min(numbers) <= max(numbers) <= axis.high + slack
    assert len(axis.ticks) <= 8
    assert axis.at(axis.low) == pytest.approx(0, abs=1e-6)
    assert axis.at(axis.high) == pytest.approx(100)


@given(positive, st.integers(1, 20))
def test_a_logarithmic_axis_ends_above_the_largest_and_has_few_decades(numbers, decades):
    axis = logarithmic("y", numbers, decades=decades)
    is_an_axis(axis)
    assert max(numbers) <= axis.high * (1 + 1e-6)
    assert axis.high / axis.low <= 10**decades * (1 + 1e-6)
    assert len(axis.ticks) <= 6


@pytest.mark.parametrize(
    ("numbers", "ticks"),
    [
        ([0, 61.7], (0, 20, 40, 60, 80)),
        ([0, 100], (0, 20, 40, 60, 80, 100)),
        ([-3, 7], (-4, -2, 0, 2, 4, 6, 8)),
    ],
)
def test_ticks_are_round(numbers, ticks):
    assert pytest.approx(ticks) == linear("x", numbers).ticks


def test_an_axis_of_one_value_spans_what_it_is_told_to():
    axis = linear("x", [0.0, 0.0], least=1.0)
    assert (axis.low, axis.high) == (0, 1)


def test_snug_axes_end_with_their_values():
    axis = linear("x", [-0.3, 7.2], snug=True)
    assert (axis.low, axis.high, axis.ticks) == (-0.3, 7.2, (0, 2, 4, 6))


def test_places_by_hand():
    axis = linear("x", [0, 10])
    assert [axis.at(value) for value in (-5, 0, 2.5, 10, 99)] == [0, 0, 25, 100, 100]
    decades = logarithmic("y", [0.01, 1])
    assert [decades.at(value) for value in (1e-9, 0.1, 1)] == pytest.approx([0, 50, 100])
    assert [decades.written(tick) for tick in decades.ticks] == ["1", "0.1", "0.01"]


def test_powers_of_ten_are_written_as_such():
    axis = logarithmic("y", [1e-6, 1e4], decades=10)
    assert [axis.written(tick) for tick in axis.ticks] == ["10⁴", "10", "0.01", "10⁻⁵"]


def test_values_that_no_picture_can_hold_are_on_the_edge():
    axis = linear("x", [-1e308, 1e308])
    assert axis.at(1e308) == 100
    assert axis.at(0) == pytest.approx(50)


def test_an_axis_of_nothing():
    is_an_axis(linear("x", []))
    is_an_axis(logarithmic("y", []))
    is_an_axis(logarithmic("y", [0.0, -1.0]))

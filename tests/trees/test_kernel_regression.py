"""Kernel regression: by hand, and lists that are no regression."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest

from mdtree.trees.kernel_regression import (
    KernelRegression,
    QuantileScale,
    rounded,
    scaled,
)
from tests.support.cases import holed
from tests.support.small_gain_models import constant, question, regression

PLACES = [NormalDist().inv_cdf(share) for share in (1 / 6, 3 / 6, 5 / 6)]


def scale(*quantiles):
    return QuantileScale(quantiles=np.array(quantiles, dtype=float))


def scales(count):
    """The same scale for so many columns; numbers from -2 to 2 stay on their side of 0."""
    return {column: scale(-2.0, 0.0, 2.0) for column in range(count)}


def made(**given):
    """Two columns and two centres."""
    whole = {
        "scales": {0: scale(0, 1, 3), 2: scale(-1, 0, 1)},
        "centres": np.array([[0.0, 1.0], [-1.0, 0.5]]),
        "width": 0.3,
        "means": {"add_data": 0.4, "enlarge_model": 0.2},
        "weights": {"add_data": np.array([0.3, -0.2]), "enlarge_model": np.array([0.1, 0.1])},
    }
    return KernelRegression(**{**whole, **given})


def test_the_gains_are_those_of_the_formula():
    """The value 2 is half way between the second and the third quantile, 0 is the second."""
    place = PLACES[2] / 2
    near = [
        math.exp(-0.3 * ((place - first) ** 2 + (0 - second) ** 2) / 2)
        for first, second in ((0.0, 1.0), (-1.0, 0.5))
    ]
    given = made().values(np.array([[2.0, 77.0, 0.0]]))
    assert given["add_data"] == pytest.approx([0.4 + 0.3 * near[0] - 0.2 * near[1]])
    assert given["enlarge_model"] == pytest.approx([0.2 + 0.1 * near[0] + 0.1 * near[1]])


def test_an_unknown_feature_is_left_out_of_the_mean():
    near = [math.exp(-0.3 * (PLACES[2] - place) ** 2) for place in (1.0, 0.5)]
    given = made().values(np.array([[np.nan, 0.0, 1.0]]))["add_data"]
    assert given == pytest.approx([0.4 + 0.3 * near[0] - 0.2 * near[1]])


def test_where_nothing_is_known_the_mean_is_expected():
    given = made().values(np.full((3, 3), np.nan))
    assert given["add_data"] == pytest.approx(np.full(3, 0.4))
    assert given["enlarge_model"] == pytest.approx(np.full(3, 0.2))


@pytest.mark.parametrize("seed", range(5))
def test_a_scale_never_falls_and_its_ends_hold_for_all_beyond(seed):
    rng = np.random.default_rng(seed)
    quantiles = np.sort(rng.normal(size=9).round(1))
    values = np.sort(np.concatenate([quantiles, rng.normal(0, 3, 100)]))
    scaled = scale(*quantiles)(values)
    assert (np.diff(scaled) >= 0).all()
    first, last = scale(*quantiles)(quantiles[[0, -1]])
    assert scaled[values <= quantiles[0]] == pytest.approx(first)
    assert scaled[values >= quantiles[-1]] == pytest.approx(last)
    assert first < last
    assert scale(*quantiles)(np.array([-1e300, np.inf])) == pytest.approx([first, last])


def test_quantiles_lie_at_the_places_of_a_normal_number():
    assert scale(1, 5, 6)(np.array([1, 5, 6, 3, 5.5])) == pytest.approx(
        [*PLACES, PLACES[0] / 2, PLACES[2] / 2]
    )


def test_equal_quantiles_fall_together_in_their_middle():
    """Of three, the first two are at the mean of their places, and all lie between two of them."""
    low = (PLACES[0] + PLACES[1]) / 2
    assert scale(1, 1, 6)(np.array([1.0, 6.0, 3.5])) == pytest.approx(
        [low, PLACES[2], (low + PLACES[2]) / 2]
    )
    assert scale(4, 4, 4)(np.array([-9.0, 4.0, 9.0])) == pytest.approx(np.zeros(3), abs=1e-12)


def test_what_is_unknown_stays_unknown_on_the_scale():
    lines = scaled(made().scales, np.array([[np.nan, 0.0, 1.0], [3.0, 0.0, np.nan]]))
    assert np.isnan(lines).tolist() == [[True, False], [False, True]]


@pytest.mark.parametrize("unit", [1e-9, 7.0, 1e12])
def test_the_unit_of_a_feature_changes_nothing(unit):
    rng = np.random.default_rng(5)
    matrix = rng.normal(size=(30, 3))
    other = made(scales={0: scale(0, unit, 3 * unit), 2: scale(-1, 0, 1)})
    given = other.values(matrix * [unit, 1.0, 1.0])["add_data"]
    assert given == pytest.approx(made().values(matrix)["add_data"], abs=1e-9)


@pytest.mark.parametrize("weight", [1e300, -1e300, 3.0, -3.0])
def test_gains_are_parts_of_the_error_whatever_the_weights_are(weight):
    rng = np.random.default_rng(6)
    matrix = np.concatenate(
        [holed(rng, 30, 3), [[np.nan] * 3, [1e300] * 3, [-1e300, np.nan, 1e300]]]
    )
    weights = {"add_data": np.array([weight, weight]), "enlarge_model": np.array([weight, -weight])}
    for gains in made(weights=weights).values(matrix).values():
        assert ((gains >= 0) & (gains <= 1)).all()


def test_a_regression_names_the_columns_that_it_looks_at():
    assert made().columns == (0, 2)


def test_no_lines_have_no_gains():
    assert made().values(np.zeros((0, 3)))["add_data"].size == 0


@pytest.mark.parametrize(
    "nothing", [{"scales": {}, "centres": np.zeros((0, 0))}, {"centres": np.zeros((0, 2))}]
)
def test_without_columns_or_centres_the_means_are_all(nothing):
    empty = {"add_data": np.zeros(0), "enlarge_model": np.zeros(0)}
    given = made(weights=empty, **nothing).values(np.array([[0.0, 1.0, 2.0], [np.nan] * 3]))
    assert given["add_data"] == pytest.approx([0.4, 0.4])


def test_a_regression_made_by_hand_has_the_gains_that_it_was_made_of():
    """Those of the tests of what is made from gains."""
    made_of = {"add_data": question(1, 0.5, 0.1, 0.4), "enlarge_model": constant(0.3)}
    matrix = np.array([[9, 0.5], [9, -7.0], [9, 0.5001], [9, 9.0], [9, np.nan]])
    given = regression(made_of).values(matrix)
    assert given["add_data"] == pytest.approx([0.1, 0.1, 0.4, 0.4, 0.1])
    assert given["enlarge_model"] == pytest.approx(np.full(5, 0.3))
    up = regression({"add_data": question(1, 0.5, 0.1, 0.4, missing_high=True)})
    assert up.values(matrix)["add_data"] == pytest.approx([0.1, 0.1, 0.4, 0.4, 0.4])


def test_numbers_keep_their_first_digits():
    assert rounded([123456.789, -1.23456e-7, 0.0], 3) == pytest.approx([123000, -1.23e-7, 0])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"means": {"add_data": 0.4}}, "a mean for each target"),
        ({"means": {}, "weights": {}}, "needs weights"),
        ({"scales": {0: scale(0, 1)}}, "one number for each column"),
        ({"scales": {}}, "one number for each column"),
        ({"centres": np.zeros((2, 3))}, "one number for each column"),
        ({"centres": np.zeros(2)}, "one number for each column"),
        ({"centres": np.zeros((3, 2))}, "one weight for each centre"),
        ({"centres": np.array([[0.0, np.nan], [0.0, 0.0]])}, "finite"),
        ({"centres": np.array([[0.0, np.inf], [0.0, 0.0]])}, "finite"),
        ({"width": 0.0}, "a width above 0"),
        ({"width": -1.0}, "a width above 0"),
        ({"width": math.nan}, "a width above 0"),
        ({"width": math.inf}, "finite"),
        ({"means": {"add_data": math.nan, "enlarge_model": 0.0}}, "finite"),
        ({"weights": {"add_data": np.ones(2), "enlarge_model": np.array([1, np.inf])}}, "finite"),
        ({"weights": {"add_data": np.ones(2), "enlarge_model": np.ones(3)}}, "one weight for each"),
        ({"weights": {"add_data": np.ones(2), "enlarge_model": np.ones((2, 1))}}, "one weight for"),
    ],
)
def test_numbers_that_make_no_regression_are_refused(change, words):
    with pytest.raises(ValueError, match=words):
        made(**change)


@pytest.mark.parametrize(
    ("quantiles", "words"),
    [
        ((), "finite quantiles"),
        ((0, np.nan), "finite quantiles"),
        ((0, np.inf), "finite quantiles"),
        ((0, 2, 1), "must not fall"),
    ],
)
def test_numbers_that_make_no_scale_are_refused(quantiles, words):
    with pytest.raises(ValueError, match=words):
        scale(*quantiles)

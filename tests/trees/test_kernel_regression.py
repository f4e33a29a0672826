"""Kernel regression: by hand, beside scikit-learn, and lists that are no regression."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics.pairwise import nan_euclidean_distances

from mdtree.trees.kernel_regression import (
    KernelRegression,
    QuantileScale,
    fitted,
    kernel,
    rounded,
    scaled,
)
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


def holed(rng, lines, columns, share=0.3):
    """Normal numbers, some unknown, at least one of each line known."""
    matrix = rng.normal(size=(lines, columns))
    holes = rng.random(matrix.shape) < share
    holes[np.arange(lines), rng.integers(0, columns, lines)] = False
    return np.where(holes, np.nan, matrix)


def test_the_gains_are_those_of_the_formula():
    """The value 2 is half way between the second and the third quantile, 0 is the second."""
    place = PLACES[2] / 2
    near = [
        math.exp(-0.3 * ((place - first) ** 2 + (0 - second) ** 2) / 2)
        for first, second in ((0.0, 1.0), (-1.0, 0.5))
    ]
    given = made().gains(np.array([[2.0, 77.0, 0.0]]))
    assert given["add_data"] == pytest.approx([0.4 + 0.3 * near[0] - 0.2 * near[1]])
    assert given["enlarge_model"] == pytest.approx([0.2 + 0.1 * near[0] + 0.1 * near[1]])


def test_an_unknown_feature_is_left_out_of_the_mean():
    near = [math.exp(-0.3 * (PLACES[2] - place) ** 2) for place in (1.0, 0.5)]
    given = made().gains(np.array([[np.nan, 0.0, 1.0]]))["add_data"]
    assert given == pytest.approx([0.4 + 0.3 * near[0] - 0.2 * near[1]])


def test_where_nothing_is_known_the_mean_is_expected():
    given = made().gains(np.full((3, 3), np.nan))
    assert given["add_data"] == pytest.approx(np.full(3, 0.4))
    assert given["enlarge_model"] == pytest.approx(np.full(3, 0.2))


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


def fit(lines, gains, weights=None, centres=None, **given):
    count = len(lines)
    return fitted(
        scales(lines.shape[1]),
        lines,
        {"add_data": gains},
        np.ones(count) if weights is None else weights,
        lines if centres is None else centres,
        **{"width": 0.3, "ridge": 0.5, "digits": 12, **given},
    )


def told(model, lines):
    return model.means["add_data"] + kernel(lines, model.centres, 0.3) @ model.weights["add_data"]


def test_a_line_of_weight_two_is_two_lines_of_weight_one():
    """Relative to the mean weight: the ridge is 30/31 and 1 of the sums of 30 and 31 squares."""
    rng = np.random.default_rng(1)
    lines, gains = rng.normal(size=(30, 3)), rng.random(30)
    twice = np.append(np.arange(30), 0)
    weights = np.ones(30)
    weights[0] = 2.0
    one = fit(lines, gains, weights, ridge=0.5 * 30 / 31)
    other = fit(lines[twice], gains[twice], centres=lines)
    assert one.means["add_data"] == pytest.approx((gains.sum() + gains[0]) / 31)
    assert told(one, lines) == pytest.approx(told(other, lines), abs=1e-5)
    assert np.abs(told(fit(lines, gains), lines) - told(other, lines)).max() > 1e-3


def test_lines_whose_gain_is_unknown_teach_nothing():
    rng = np.random.default_rng(2)
    lines, gains = rng.normal(size=(40, 3)), rng.random(40)
    known = np.arange(40) % 3 > 0
    holes = fit(lines, np.where(known, gains, np.nan), centres=lines[:9])
    alone = fit(lines[known], gains[known], centres=lines[:9])
    assert told(holes, lines) == pytest.approx(told(alone, lines), abs=1e-9)


def test_centres_that_lie_together_are_fitted_all_the_same():
    rng = np.random.default_rng(3)
    lines, gains = np.repeat(rng.normal(size=(8, 3)), 5, axis=0), rng.random(40)
    together, apart = fit(lines, gains), fit(lines, gains, centres=lines[::5])
    assert told(together, lines) == pytest.approx(told(apart, lines), abs=1e-3)


def test_a_strong_ridge_leaves_the_mean_and_a_weak_one_follows_the_gains():
    rng = np.random.default_rng(4)
    lines, gains = 3 * rng.normal(size=(20, 3)), rng.random(20)
    assert told(fit(lines, gains, ridge=1e9), lines) == pytest.approx(
        np.full(20, gains.mean()), abs=1e-6
    )
    assert told(fit(lines, gains, ridge=1e-9), lines) == pytest.approx(gains, abs=1e-3)


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
    given = other.gains(matrix * [unit, 1.0, 1.0])["add_data"]
    assert given == pytest.approx(made().gains(matrix)["add_data"], abs=1e-9)


@pytest.mark.parametrize("weight", [1e300, -1e300, 3.0, -3.0])
def test_gains_are_parts_of_the_error_whatever_the_weights_are(weight):
    rng = np.random.default_rng(6)
    matrix = np.concatenate(
        [holed(rng, 30, 3), [[np.nan] * 3, [1e300] * 3, [-1e300, np.nan, 1e300]]]
    )
    weights = {"add_data": np.array([weight, weight]), "enlarge_model": np.array([weight, -weight])}
    for gains in made(weights=weights).gains(matrix).values():
        assert ((gains >= 0) & (gains <= 1)).all()


def test_a_regression_names_the_columns_that_it_looks_at():
    assert made().columns == (0, 2)


def test_no_lines_have_no_gains():
    assert made().gains(np.zeros((0, 3)))["add_data"].size == 0


@pytest.mark.parametrize(
    "nothing", [{"scales": {}, "centres": np.zeros((0, 0))}, {"centres": np.zeros((0, 2))}]
)
def test_without_columns_or_centres_the_means_are_all(nothing):
    empty = {"add_data": np.zeros(0), "enlarge_model": np.zeros(0)}
    given = made(weights=empty, **nothing).gains(np.array([[0.0, 1.0, 2.0], [np.nan] * 3]))
    assert given["add_data"] == pytest.approx([0.4, 0.4])


def test_a_regression_made_by_hand_has_the_gains_that_it_was_made_of():
    """Those of the tests of what is made from gains."""
    made_of = {"add_data": question(1, 0.5, 0.1, 0.4), "enlarge_model": constant(0.3)}
    matrix = np.array([[9, 0.5], [9, -7.0], [9, 0.5001], [9, 9.0], [9, np.nan]])
    given = regression(made_of).gains(matrix)
    assert given["add_data"] == pytest.approx([0.1, 0.1, 0.4, 0.4, 0.1])
    assert given["enlarge_model"] == pytest.approx(np.full(5, 0.3))
    up = regression({"add_data": question(1, 0.5, 0.1, 0.4, missing_high=True)})
    assert up.gains(matrix)["add_data"] == pytest.approx([0.1, 0.1, 0.4, 0.4, 0.4])


def test_numbers_keep_their_first_digits():
    assert rounded([123456.789, -1.23456e-7, 0.0], 3) == pytest.approx([123000, -1.23e-7, 0])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"means": {"add_data": 0.4}}, "a mean for each remedy"),
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

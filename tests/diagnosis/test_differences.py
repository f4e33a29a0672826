"""Differences between two groups, against scipy.stats and arithmetic by hand."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest
from scipy.stats import t, ttest_ind

from mdtree.diagnosis.differences import (
    LEVEL,
    confidence_interval,
    differences,
    holm,
    not_compared,
)
from mdtree.rows import Measured, Missing, mean_over_members


def seeds(*members):
    return mean_over_members(members, single_stderr=None)


def only(before, after, name="train_error"):
    (found,) = differences({name: before}, {name: after})
    return found


def primary(before, after):
    return only(before, after, "test_error")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([1.0, 3.0], [5.0, 5.5]),
        ([1.0, 2.0, 4.0, 2.5], [1.5, 2.5, 9.0, 3.0]),
        ([2.0, 2.0], [3.0, 5.0]),
        ([1e-12, 3e-12], [2e-12, 2.5e-12]),
    ],
)
# scipy warns of the side without spread
@pytest.mark.filterwarnings("ignore:Precision loss:RuntimeWarning")
def test_members_of_both_sides_are_compared_as_by_scipy(before, after):
    found = only(*(mean_over_members(x, single_stderr=None) for x in (before, after)))
    expected = ttest_ind(after, before, equal_var=False)
    assert found.test == "welch"
    assert found.errors == pytest.approx(expected.statistic)
    assert found.p == pytest.approx(expected.pvalue)


@pytest.mark.parametrize(("few", "many"), [(2, 3), (2, 10), (3, 5)])
def test_many_seeds_on_one_side_do_not_tell_the_noise_of_the_other(few, many):
    random = np.random.default_rng(few + many)
    before, after = random.normal(40, 1, few).tolist(), random.normal(42, 1, many).tolist()
    found = only(*(mean_over_members(x, single_stderr=None) for x in (before, after)))
    assert found.freedom <= 2 * (few - 1)
    assert found.p == pytest.approx(2 * t.sf(abs(found.errors), found.freedom))
    clear, draws = 0, 1500
    for _ in range(draws):
        sides = random.normal(40, 1, few).tolist(), random.normal(40, 1, many).tolist()
        p = only(*(mean_over_members(x, single_stderr=None) for x in sides)).p
        clear += p < LEVEL
    assert clear <= LEVEL * draws  # about half of it


def test_simple_classifiers_of_the_data_are_shown_and_not_tested():
    before = {
        "linear_error": Measured(value=48.0, stderr=1.0),
        "cka": Measured(value=1.0, stderr=0.1),
    }
    after = {
        "linear_error": Measured(value=48.0, stderr=1.0),
        "cka": Measured(value=0.5, stderr=0.1),
    }
    baseline, similarity = differences(before, after)
    assert (baseline.before, baseline.after, baseline.p) == (48.0, 48.0, None)
    assert baseline.reason == "it is about the data, not about the networks"
    assert similarity.adjusted == similarity.p  # the only test of its family


def test_without_members_the_errors_of_both_sides_add_up_as_squares():
    found = only(Measured(value=10.0, stderr=3.0), Measured(value=2.0, stderr=4.0))
    assert (found.difference, found.stderr) == (-8.0, 5.0)
    assert found.errors == pytest.approx(-1.6)
    assert found.test == "normal"
    assert found.p == pytest.approx(2 * NormalDist().cdf(-1.6))


@pytest.mark.parametrize(
    "members",
    [(7.0, 9.0), (1.0, 3.0), (5.0,), None],
    ids=["another mean", "another error", "one", "none"],
)
def test_members_that_do_not_make_up_the_error_are_not_used(members):
    """A standard error over items, as of predictions, is not that of the members."""
    one = Measured(value=2.0, stderr=0.1, members=members)
    other = mean_over_members([3.0, 5.0], single_stderr=None)
    assert only(one, other).test == "normal"


def test_a_row_from_elsewhere_without_an_error_takes_that_of_its_members():
    one = Measured(value=2.0, members=(1.0, 3.0))
    found = only(one, mean_over_members([3.0, 5.0], single_stderr=None))
    assert found.before_stderr == pytest.approx(1.0)
    assert found.test == "welch"


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        (Measured(value=1.0), Measured(value=2.0, stderr=1.0), "no standard error before"),
        (Measured(value=1.0, stderr=1.0), Measured(value=2.0), "no standard error after"),
        (Measured(value=1.0), Measured(value=2.0), "no standard error before and after"),
        (
            Measured(value=0.0, stderr=0.0, members=(0.0, 0.0)),
            Measured(value=5.0, stderr=0.0, members=(5.0, 5.0)),
            "the standard error is 0 on both sides",
        ),
        (
            Measured(value=-1.7e308, stderr=1.0),
            Measured(value=1.7e308, stderr=1.0),
            "the values are too large to subtract",
        ),
        (
            Measured(value=0.0, stderr=1.7e308),
            Measured(value=1.0, stderr=1.7e308),
            "the standard errors are too large to add",
        ),
    ],
)
def test_where_there_is_no_test_the_reason_is_said(before, after, reason):
    found = only(before, after)
    assert found.reason == reason
    assert (found.p, found.adjusted, found.is_clear, found.test) == (None, None, None, None)


def test_members_too_large_for_a_spread_are_no_test_and_no_crash():
    huge = Measured(value=1.0, stderr=1.0, members=(1.7e308, -1.7e308))
    assert only(huge, huge).test == "normal"


def test_holm_multiplies_the_smallest_by_all_and_never_falls():
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_a_difference_is_clear_after_the_adjustment_alone():
    """Three equal differences: p is below 0.05 for each, and above it for all of them."""
    members = (-1.0, 0.0, 1.0, 2.0)  # p = 0.028
    side = {name: seeds(*members) for name in "abc"}
    other = {name: seeds(*(number + 2.6 for number in members)) for name in "abc"}
    found = differences(side, other)
    assert found[0].p < 0.05 < 3 * found[0].p
    for each in found:
        assert each.adjusted == pytest.approx(3 * each.p)
        assert each.is_clear is False
    (alone,) = differences({"a": side["a"]}, {"a": other["a"]})
    assert alone.is_clear


def test_without_values_of_checkpoints_nothing_is_clear_of_the_noise_between_seeds():
    """Three differences of 2.2 standard errors: p = 0.028 each, 0.083 together."""
    side = {name: Measured(value=0.0, stderr=1.0) for name in "abc"} | {"d": seeds(0.0, 1.0)}
    other = {name: Measured(value=2.2 * math.sqrt(2), stderr=1.0) for name in "abc"}
    *evaluated, seeded = differences(side, other | {"d": seeds(10.0, 11.0)})
    for found in evaluated:
        assert found.p == pytest.approx(2 * NormalDist().cdf(-2.2))
        assert found.adjusted == pytest.approx(3 * found.p)
        assert found.is_clear is None
    assert seeded.adjusted == pytest.approx(seeded.p)  # a question of its own
    assert seeded.is_clear


def test_an_untested_quantity_does_not_count_in_the_adjustment():
    side = {"a": Measured(value=0.0, stderr=1.0), "b": Measured(value=0.0)}
    other = {"a": Measured(value=4.0, stderr=1.0), "b": Measured(value=1.0)}
    first, second = differences(side, other)
    assert first.adjusted == pytest.approx(first.p)
    assert second.adjusted is None


def test_what_one_side_lacks_is_listed_with_its_reason():
    known = Measured(value=1.0)
    lost = not_compared(
        {"cka": Missing(missing="one checkpoint"), "alpha": known, "test_error": known},
        {"cka": Missing(missing="no time"), "barrier": known, "test_error": known},
    )
    assert [(each.quantity, each.reason) for each in lost] == [
        ("cka", "before: one checkpoint; after: no time"),
        ("alpha", "after: not measured"),
        ("barrier", "before: not measured"),
    ]


def test_the_test_error_is_tested_by_itself_and_the_others_are_adjusted_without_it():
    before = {name: seeds(1.0, 2.0, 3.0) for name in ("train_loss", "test_error", "test_loss")}
    after = {name: seeds(4.0, 5.0, 6.5) for name in before}
    first, primary, last = differences(before, after)
    assert [each.is_primary for each in (first, primary, last)] == [False, True, False]
    assert primary.adjusted == primary.p == first.p
    assert first.adjusted == last.adjusted == pytest.approx(2 * first.p)


def test_the_interval_of_a_difference_is_that_of_scipy():
    before, after = [31.0, 32.0, 34.0, 32.5], [31.5, 32.5, 39.0, 33.0]
    found = only(seeds(*before), seeds(*after))
    expected = ttest_ind(after, before, equal_var=False).confidence_interval(0.95)
    assert confidence_interval(found) == pytest.approx((expected.low, expected.high))
    normal = only(Measured(value=31.0, stderr=3.0), Measured(value=32.0, stderr=4.0))
    half = 5 * NormalDist().inv_cdf(0.975)
    assert confidence_interval(normal) == pytest.approx((1 - half, 1 + half))
    assert confidence_interval(only(Measured(value=1.0), Measured(value=2.0))) is None


def test_an_interval_ends_where_the_quantity_would_be_impossible():
    """The error after lies between 0 and 100 %: from 3 % on, no more than 3 points are gained."""
    wide = Measured(value=3.0, stderr=60.0), Measured(value=2.0, stderr=80.0)
    assert confidence_interval(only(*wide)) == pytest.approx((-3.0, 97.0))
    one_sided = only(Measured(value=3.0, stderr=0.3), Measured(value=2.0, stderr=0.4))
    half = 0.5 * NormalDist().inv_cdf(0.975)
    assert confidence_interval(one_sided) == pytest.approx((-1 - half, -1 + half))


@pytest.mark.parametrize("name", ["hessian_top", "not_a_quantity"])
def test_the_interval_of_a_quantity_without_ends_is_not_cut(name):
    before, after = Measured(value=3.0, stderr=30.0), Measured(value=2.0, stderr=40.0)
    (found,) = differences({name: before}, {name: after})
    half = 50 * NormalDist().inv_cdf(0.975)
    assert confidence_interval(found) == pytest.approx((-1 - half, -1 + half))


def test_numbers_from_elsewhere_that_cannot_be_keep_their_difference_inside():
    found = only(Measured(value=3.0, stderr=30.0), Measured(value=-2.0, stderr=40.0))
    low, high = confidence_interval(found)
    assert low < found.difference < high


def by_hand(before, after):
    """Student's t of two seeds a side; a third differs as counts of 100 items do."""
    sides = []
    for one, other in (before, after):
        error = (one + other) / 2
        common, own = error * (100 - error) / 100, (one - other) ** 2 / 2
        sides.append(max(own, (common + own) / 2) / 2)
    freedom = sum(sides) ** 2 / sum(side**2 / 2 for side in sides)
    return (sum(after) - sum(before)) / 2 / math.sqrt(sum(sides)), freedom


@pytest.mark.parametrize(
    ("before", "after"), [((66.0, 69.0), (1.0, 2.0)), ((40.0, 47.0), (28.0, 21.0))]
)
def test_few_seeds_are_tested_with_the_spread_of_other_networks(before, after):
    found = primary(seeds(*before), seeds(*after))
    errors, freedom = by_hand(before, after)
    assert found.test == "moderated"
    assert (found.errors, found.freedom) == pytest.approx((errors, freedom))
    assert found.p == pytest.approx(2 * t.sf(abs(errors), freedom))
    assert found.is_clear is (found.p < LEVEL)
    assert only(seeds(*before), seeds(*after)).test == "welch"  # it is known of the test error


def test_all_wrong_and_all_right_differ_though_seeds_do_not():
    found = primary(seeds(67.0, 67.0), seeds(0.0, 0.0))
    assert (found.is_clear, found.reason) == (True, None)
    low, high = confidence_interval(found)
    assert -67.0 <= low < -67.0 + 1e-9 < high < -30.0


def test_a_third_seed_on_both_sides_or_seeds_unlike_others_leave_it_to_welch():
    three, few = seeds(40.0, 41.0, 45.0), seeds(20.0, 26.0)
    assert primary(three, three).test == "welch"
    assert primary(three, few).test == "moderated"
    wide = seeds(57.0, 85.0)  # 28 points apart
    assert primary(wide, seeds(2.7, 2.9)).test == "welch"
    assert primary(Measured(value=40.0, stderr=1.0), few).test == "normal"


def test_what_welch_tells_stays_told():
    found = primary(seeds(8.1, 8.0), seeds(6.0, 6.1))
    assert (found.test, found.is_clear) == ("welch", True)


@pytest.mark.parametrize("error", [10.0, 40.0, 80.0])
@pytest.mark.parametrize("spreads", [(0.3, 0.3), (1.0, 1.0), (2.0, 2.0), (0.3, 2.0), (5.0, 5.0)])
def test_two_seeds_without_a_difference_are_seldom_told_apart(error, spreads):
    """At most 5 % stand clear by chance, half of them as a help, if seeds differ by <= 5 points."""
    draws, items = 1500, 1000
    random = np.random.default_rng(0)
    clear = 0
    for _ in range(draws):
        sides = [
            random.binomial(items, np.clip(random.normal(error, s, 2) / 100, 0, 1)) * 100 / items
            for s in spreads
        ]
        before, after = (seeds(*map(float, side)) for side in sides)
        clear += primary(before, after).is_clear is True
    at_most = LEVEL * draws
    assert clear <= at_most + 3 * math.sqrt(at_most * (1 - LEVEL))


@pytest.mark.parametrize(("before", "after"), [(67.0, 0.0), (67.0, 40.0), (40.0, 20.0)])
def test_two_seeds_tell_a_large_difference(before, after):
    random = np.random.default_rng(0)
    clear = 0
    for _ in range(300):
        sides = (np.clip(random.normal(error, 2.0, 2), 0, 100) for error in (before, after))
        one, other = (seeds(*map(float, side)) for side in sides)
        clear += primary(one, other).is_clear is True
    assert clear >= 0.95 * 300

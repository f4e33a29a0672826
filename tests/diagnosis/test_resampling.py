"""Redrawn measurements: mean and spread, seeds, and numbers that stay what they can be."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mdtree.diagnosis.resampling import DRAWS, resampled
from mdtree.rows import QUANTITIES, Detail, Measured, Missing, Row
from mdtree.trees import (
    FACT_FEATURES,
    FEATURES,
    LANDSCAPE,
    SPECTRUM,
    Leaf,
    SavedTree,
    feature_matrix,
)

LOGS = ("log_hessian_top", "log_hessian_trace", "log_hessian_share")


def tree(*features):
    return SavedTree(
        task="failure",
        method="cart",
        protocol="p",
        classes=("none",),
        features=features,
        groups=1,
        ranges={},
        provenance={},
        tree=Leaf(answer="none", counts={}),
    )


def row(facts=None, **quantities):
    values = {
        name: value
        if isinstance(value, Missing)
        else Measured(value=value[0], stderr=value[1] if len(value) > 1 else None)
        for name, value in quantities.items()
    }
    return Row(format=1, group="g", protocol="p", facts=facts or {}, quantities=values)


def drawn(name, *value, draws=4000, needs=None):
    return resampled(row(**{needs or name: value}), tree(name), draws=draws)[:, 0]


@pytest.mark.parametrize("name", ["cka", "connectivity", "connectivity_peak"])
def test_draws_have_the_mean_and_the_spread_of_the_measurement(name):
    draws = drawn(name, -3.0, 0.5)
    assert draws.mean() == pytest.approx(-3, abs=4 * 0.5 / math.sqrt(4000))
    assert draws.std() == pytest.approx(0.5, rel=0.05)


@pytest.mark.parametrize("stderr", [0.1, 1.0, 3.0])
def test_what_is_positive_by_nature_is_drawn_positive_with_that_mean_and_spread(stderr):
    values = drawn("train_loss", 2.0, stderr, draws=20_000)
    assert values.min() > 0
    assert values.mean() == pytest.approx(2, rel=0.05)
    assert values.std() == pytest.approx(stderr, rel=0.2)


def test_a_small_relative_error_is_the_error_of_a_logarithm():
    draws = drawn("log_hessian_top", 50.0, 1.0, needs="hessian_top")
    assert draws.mean() == pytest.approx(math.log(50), abs=0.002)
    assert draws.std() == pytest.approx(1 / 50, rel=0.05)


@pytest.mark.parametrize(("value", "error"), [(0.0, 1), (0.1, 30), (99.9, 5), (100.0, 1e300)])
def test_a_percentage_stays_one(value, error):
    draws = drawn("train_error", value, error)
    assert 0 <= draws.min() < draws.max() <= 100


@pytest.mark.parametrize("error", [(), (0.0,), (-1.0,)], ids=["unknown", "zero", "negative"])
def test_without_an_error_bar_nothing_changes(error):
    assert drawn("train_loss", 0.25, *error).tolist() == [0.25] * 4000


def test_features_of_one_draw_come_from_the_same_numbers():
    draws = resampled(row(hessian_top=(5.0, 1.0), hessian_trace=(90.0, 20.0)), tree(*LOGS))
    top, trace, share = draws.T
    np.testing.assert_allclose(share, top - trace)
    assert abs(np.corrcoef(top, trace)[0, 1]) < 0.3
    assert draws.shape == (DRAWS, 3)


def test_what_is_missing_stays_missing_and_facts_stay_as_they_are():
    group = row({"data_amount": 5000}, cka=Missing(missing="one checkpoint"), train_loss=(1.0, 0.1))
    draws = resampled(group, tree("cka", "log_data_amount", "connectivity", "train_loss"))
    assert np.isnan(draws[:, [0, 2]]).all()
    assert set(draws[:, 1]) == {round(math.log(5000), 12)}
    assert len(set(draws[:, 3])) == DRAWS


def test_a_negative_trace_has_a_logarithm_only_where_it_is_drawn_positive():
    draws = drawn("log_hessian_trace", -1.0, 1.0, needs="hessian_trace")
    assert np.isnan(draws).mean() == pytest.approx(0.841, abs=0.03)
    assert np.isnan(drawn("log_hessian_trace", 0.0, needs="hessian_trace")).all()


def test_the_seed_decides():
    group, saved = row(cka=(0.5, 0.1), train_loss=(1.0, 0.1)), tree("cka", "train_loss")
    one, again, other = (resampled(group, saved, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, again)
    assert (one != other).all()


def test_tables_behind_the_numbers_make_no_difference():
    group = row(cka=(0.5, 0.1))
    detailed = Row(
        format=1, group="g", protocol="p", facts={}, quantities=group.quantities,
        details={"curve": Detail(columns={"t": (0.0, 1.0)})},
    )  # fmt: skip
    np.testing.assert_array_equal(resampled(group, tree("cka")), resampled(detailed, tree("cka")))


@pytest.mark.parametrize("value", [1e-300, 1.0, 1e308, -1e308, 0.0])
@pytest.mark.parametrize("error", [1e-300, 1e160, 1.7e308])
def test_hostile_numbers_give_finite_features_with_a_finite_spread(value, error):
    group = row({"parameters": 1e308}, **dict.fromkeys(QUANTITIES, (value, error)))
    features = resampled(group, tree(*FEATURES), draws=50)
    known = features[:, ~np.isnan(features).any(axis=0)]
    assert np.isfinite(known).all()
    assert np.isfinite(known[:, np.ptp(known, axis=0) > 0].std(axis=0)).all()
    asked = (*LANDSCAPE, *SPECTRUM, *FACT_FEATURES)  # others are told in units that may be drawn 0
    drawn = resampled(group, tree(*asked), draws=50)
    lost = np.isnan(drawn).any(axis=0) & ~np.isnan(feature_matrix([group], asked)[0])
    assert not lost.any()

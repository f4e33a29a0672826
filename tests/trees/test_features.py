"""Features: logarithms and ratios by hand, and NaN for whatever is missing or impossible."""

from __future__ import annotations

import csv
import math

import numpy as np
import pytest

from mdtree.exceptions import MdtreeError
from mdtree.rows import FACTS, QUANTITIES, Measured, Missing, Row, rows_from_csv
from mdtree.trees import FACT_FEATURES, FEATURES, LANDSCAPE, feature_matrix


def row(*, facts=None, **quantities):
    values = {
        name: value if isinstance(value, Missing) else Measured(value=value)
        for name, value in quantities.items()
    }
    return Row(format=1, group="a", protocol="p", facts=facts or {}, quantities=values)


def feature(name, **quantities):
    return feature_matrix([row(**quantities)], [name])[0, 0]


@pytest.mark.parametrize("name", ["train_error", "train_loss", "connectivity", "cka", "test_error"])
def test_most_features_are_the_quantity_itself(name):
    assert feature(name, **{name: -1.25}) == -1.25


def test_logarithms_are_natural():
    assert feature("log_hessian_top", hessian_top=math.e**3) == pytest.approx(3)
    assert feature("log_hessian_trace", hessian_trace=math.e**-2) == pytest.approx(-2)
    assert feature("log_parameters", facts={"parameters": 11420}) == round(math.log(11420), 12)
    assert feature("log_data_amount", facts={"data_amount": 5000}) == round(math.log(5000), 12)


def test_the_share_of_the_largest_eigenvalue_is_the_difference_of_the_logarithms():
    assert feature("log_hessian_share", hessian_top=2, hessian_trace=8) == pytest.approx(
        math.log(0.25)
    )


@pytest.mark.parametrize(
    ("peak", "error", "ratio"),
    [
        (-10, 2, math.log(10.05 / 2.05)),
        (0, 0, 0),
        (5, 0, 0),  # better than no error at all: there is no barrier
        (-0.95, 0, math.log(20)),
    ],
)
def test_the_peak_ratio_compares_the_curve_with_the_networks_and_stays_finite(peak, error, ratio):
    value = feature("log_peak_ratio", connectivity_peak=peak, train_error=error)
    assert value == pytest.approx(ratio)


@pytest.mark.parametrize("value", [0, -3.5])
@pytest.mark.parametrize(
    ("name", "needs"),
    [
        ("log_hessian_top", ["hessian_top"]),
        ("log_hessian_trace", ["hessian_trace"]),
        ("log_hessian_share", ["hessian_top", "hessian_trace"]),
    ],
)
def test_what_is_not_positive_has_no_logarithm(name, needs, value):
    for bad in needs:
        assert math.isnan(feature(name, **{need: value if need == bad else 1 for need in needs}))


def test_an_impossible_training_error_is_missing_instead_of_a_crash():
    assert math.isnan(feature("log_peak_ratio", connectivity_peak=-1, train_error=-7))


@pytest.mark.parametrize("name", FEATURES)
def test_a_feature_is_missing_where_anything_it_needs_is(name):
    needs = FEATURES[name].needs
    assert {need.removesuffix("_stderr") for need in needs} <= {*QUANTITIES, *FACTS}
    known = {need: 1.0 for need in needs if need in QUANTITIES}
    facts = {need: 1.0 for need in needs if need not in QUANTITIES}
    assert math.isfinite(feature(name, facts=facts, **known))
    for need in needs:
        assert math.isnan(
            feature(
                name,
                facts={k: v for k, v in facts.items() if k != need},
                **{k: v for k, v in known.items() if k != need},
            )
        )
    for need in known:
        assert math.isnan(feature(name, facts=facts, **{**known, need: Missing(missing="why")}))


@pytest.mark.parametrize("value", ["many", True, 10**400], ids=["text", "yes", "too large"])
def test_a_fact_that_is_no_number_is_missing(value):
    assert math.isnan(feature("log_parameters", facts={"parameters": value}))


def test_huge_and_tiny_values_do_not_overflow():
    share = feature("log_hessian_share", hessian_top=1e308, hessian_trace=1e-308)
    assert share == pytest.approx(616 * math.log(10))
    ratio = feature("log_peak_ratio", connectivity_peak=-1e308, train_error=1e308)
    assert ratio == pytest.approx(0, abs=1e-9)


def test_a_measured_quantity_goes_before_a_fact_of_the_same_name():
    assert feature("cka", facts={"cka": 0.1}, cka=0.9) == 0.9


def test_an_unknown_name_gets_the_nearest_known_one():
    message = r"feature 'log_hessian_tarce' is unknown, did you mean 'log_hessian_trace'\?"
    with pytest.raises(MdtreeError, match=message):
        feature_matrix([], ["log_hessian_tarce"])


def test_the_matrix_has_a_line_for_each_row_and_a_column_for_each_name_in_order():
    rows = [row(cka=0.1, train_error=1), row(train_error=2), row()]
    expected = [[1, 0.1], [2, np.nan], [np.nan, np.nan]]
    np.testing.assert_array_equal(feature_matrix(rows, ["train_error", "cka"]), expected)
    assert feature_matrix([], ["cka"]).shape == (0, 1)


def test_the_published_columns_are_their_features(published_table):
    names = {
        "train_error": "train_error",
        "hessian_e": "log_hessian_top",
        "hessian_t": "log_hessian_trace",
        "mode_connectivity": "connectivity",
        "mode_connectivity_peak": "connectivity_peak",
        "CKA": "cka",
        "log_para_amount": "log_parameters",
        "log_data_amount": "log_data_amount",
    }
    with published_table.open(newline="") as file:
        expected = [[float(cells[column]) for column in names] for cells in csv.DictReader(file)]
    rows = rows_from_csv(published_table, protocol="paper-1").rows
    np.testing.assert_allclose(feature_matrix(rows, names.values()), expected, atol=1e-12)


def test_the_landscape_knows_no_facts_and_no_test_figures():
    asked = {need for name in LANDSCAPE for need in FEATURES[name].needs}
    assert not asked & {"test_error", "test_loss", *FACTS}
    assert {need for name in FACT_FEATURES for need in FEATURES[name].needs} <= FACTS.keys()


@pytest.mark.parametrize("name", FEATURES)
def test_every_feature_says_what_it_is_in_one_line(name):
    entry = FEATURES[name]
    assert entry.name == name
    assert entry.meaning
    assert "\n" not in entry.meaning
    assert entry.low != entry.high
    assert entry.low
    assert entry.high
    assert entry.logarithm == entry.meaning.startswith("natural logarithm of ")

"""Features: logarithms and ratios by hand, and NaN for whatever is missing or impossible."""

from __future__ import annotations

import csv
import math

import numpy as np
import pytest

from mdtree.exceptions import MdtreeError
from mdtree.rows import FACTS, QUANTITIES, Measured, Missing, Row, rows_from_csv
from mdtree.trees import (
    COMPARABLE,
    FACT_FEATURES,
    FEATURES,
    LANDSCAPE,
    SPECTRUM,
    TRAINING,
    feature_matrix,
)
from mdtree.trees.baseline_features import BASELINE
from mdtree.trees.feature_values import numbers_of
from tests.support.rows import row

WORDS = {"optimizer": "adamw", "schedule": "constant"}


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
    assert {need.removesuffix("_stderr") for need in needs} <= {*QUANTITIES, *FACTS, *WORDS}
    known = {need: 1.0 for need in needs if need in QUANTITIES}
    facts = {need: WORDS.get(need, 1.0) for need in needs if need not in QUANTITIES}
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


# A network with 80 % of error by chance, and two shares of everything by hand.
MEASURED = {
    "chance_error": 80.0,
    "chance_loss": 2.0,
    "train_error": 4.0,
    "test_error": 20.0,
    "train_loss": 0.1,
    "test_loss": 0.8,
    "connectivity": -8.0,
    "connectivity_peak": -3.95,
    "barrier": 16.0,
    "linear_barrier": 40.0,
    "barrier_loss": 0.5,
    "linear_barrier_loss": 1.5,
    "ensemble_gain": 5.0,
    "disagreement": 30.0,
    "train_ensemble_gain": 2.0,
    "train_disagreement": 1.0,
    "train_overconfidence": -2.0,
    "overconfidence": 12.0,
    "hessian_top": math.e**2,
    "hessian_trace": math.e**5,
    "cka": 0.9,
    "weight_distance": 50.0,
    "agreement": 0.75,
    "loss_tail": 0.3,
    "train_loss_tail": 0.2,
    "random_like": 0.6,
    "traps": 1.0,
    "baseline_error": 39.7,
    "baseline_half_error": 59.7,
    "linear_error": 49.7,
}
BY_HAND = {
    "train_error_share": 4 / 80,
    "test_error_share": 20 / 80,
    "connectivity_share": -8 / 80,
    "connectivity_peak_share": -3.95 / 80,
    "barrier_share": 16 / 80,
    "linear_barrier_share": 40 / 80,
    "train_ensemble_gain_share": 2 / 80,
    "train_disagreement_share": 1 / 80,
    "train_overconfidence_share": -2 / 80,
    "overconfidence_share": 12 / 80,
    "barrier_loss_share": 0.5 / 2,
    "linear_barrier_loss_share": 1.5 / 2,
    "ensemble_gain_share": 5 / 20,
    "disagreement_share": 30 / 20,
    "log_train_loss_share": math.log(0.1 / 2),
    "log_test_loss_share": math.log(0.8 / 2),
    "error_gap": (20 - 4) / 80,
    "log_loss_gap": math.log(8),
    "log_hessian_top": 2.0,
    "log_hessian_trace": 5.0,
    "log_hessian_share": -3.0,
    "log_peak_ratio": math.log(4 / 4.05),
    "cka": 0.9,
    "log_distance": math.log(50 / 100),
    "agreement": 0.75,
    "loss_tail": 0.3,
    "train_loss_tail": 0.2,
    "random_like": 0.6,
    "traps": 1.0,
    "chance_loss": 2.0,
    "baseline_error_share": 39.7 / 80,
    "log_baseline_ratio": math.log(40 / 20.3),
    "log_linear_ratio": math.log(50 / 20.3),
    "log_baseline_half_ratio": math.log(60 / 40),
    "log_linear_baseline_ratio": math.log(50 / 40),
}
# ratios of errors with a constant besides
WITH_CONSTANT = {"log_peak_ratio", *(feature.name for feature in BASELINE)}


def comparable(**changed):
    """The comparable features of the network above, but for what is changed; None: left out."""
    values = {
        name: number for name, number in {**MEASURED, **changed}.items() if number is not None
    }
    (line,) = feature_matrix([row(facts={"parameters": 10_000}, **values)], COMPARABLE)
    return dict(zip(COMPARABLE, line, strict=True))


def test_comparable_features_by_hand():
    assert set(BY_HAND) == set(COMPARABLE) - set(SPECTRUM)
    given = comparable()
    assert {name: given[name] for name in BY_HAND} == pytest.approx(BY_HAND)


def test_comparable_features_know_no_fact_but_the_number_of_weights():
    asked = {need for name in COMPARABLE for need in FEATURES[name].needs}
    assert asked & FACTS.keys() == {"parameters"}


@pytest.mark.parametrize("factor", [0.5, 4.0])
def test_they_are_the_same_in_another_unit_of_the_error(factor):
    """Twice the errors where chance errs twice as often; some ratios have a constant besides."""
    percent = [n for n in MEASURED if QUANTITIES[n].unit == "%" and n not in COMPARABLE]
    errors = {name: factor * MEASURED[name] for name in percent}
    expected = {name: share for name, share in BY_HAND.items() if name not in WITH_CONSTANT}
    given = comparable(**errors)
    assert {name: given[name] for name in expected} == pytest.approx(expected)


@pytest.mark.parametrize("unit", ["chance_error", "chance_loss", "test_error"])
@pytest.mark.parametrize("value", [None, 0.0, -1.0])
def test_without_its_unit_a_share_is_missing_and_all_else_is_there(unit, value):
    given = comparable(**{unit: value})
    for name in BY_HAND:
        is_unit = FEATURES[name].needs[-1] == unit and name != unit
        told_in = is_unit and (name not in WITH_CONSTANT or value == -1.0)
        if told_in or (value is None and unit in FEATURES[name].needs):
            assert math.isnan(given[name]), name
        else:
            assert math.isfinite(given[name]), name


@pytest.mark.parametrize("unit", [1e-300, 5e-324])
def test_shares_of_next_to_nothing_are_finite_and_so_are_their_squares(unit):
    given = comparable(chance_error=unit, connectivity=-1e300, barrier=1e300)
    assert given["barrier_share"] == pytest.approx(1e100)
    assert given["connectivity_share"] == pytest.approx(-1e100)
    assert math.isfinite(given["barrier_share"] ** 2)


def noise(stderr, error):
    measured = {"test_error": Measured(value=error, stderr=stderr)}
    group = Row(format=1, group="a", protocol="p", facts={}, quantities=measured)
    return feature_matrix([group], ["log_noise"])[0, 0]


def test_the_noise_is_two_standard_errors_of_a_difference_relative_to_the_error():
    assert noise(0.5, 20.0) == pytest.approx(math.log(2 * math.sqrt(0.5**2 + 0.5**2) / 20))


def test_seeds_that_agree_by_chance_do_not_make_noise_nothing():
    """A twentieth of a point is the least that is believed."""
    least = pytest.approx(math.log(2 * math.sqrt(2) * 0.05 / 20))
    assert noise(0.0, 20.0) == noise(0.01, 20.0) == noise(0.05, 20.0) == least


@pytest.mark.parametrize(("stderr", "error"), [(None, 20.0), (0.5, 0.0)])
def test_noise_that_is_none_or_not_known_is_missing(stderr, error):
    assert math.isnan(noise(stderr, error))


def test_what_is_computed_is_rounded_and_what_is_measured_is_not():
    assert comparable(train_error=10 / 3)["train_error_share"] == round(10 / 3 / 80, 12)
    assert comparable(cka=1 / 3 + 1e-15)["cka"] == 1 / 3 + 1e-15


# A recipe by hand: 100 items in batches of 8 are 13 steps an epoch.
RECIPE = {
    "parameters": 4000,
    "data_amount": 100,
    "learning_rate": 0.5,
    "batch_size": 8,
    "epochs": 4,
    "conv_parameters": 1000,
    **WORDS,
}
CURVATURE = {"hessian_top": 6.0, "hessian_trace": 90.0}
PLAIN = {"conv_share": 1 / 4, "adaptive": 1, "decaying": 0}  # not logarithms
TOLD = {
    "log_parameters": 4000,
    "log_data_amount": 100,
    "log_parameters_per_item": 40,
    "log_learning_rate": 0.5,
    "log_batch_size": 8,
    "log_temperature": 0.5 / 8,
    "log_batch_share": 8 / 100,
    "log_steps": 4 * 13,
    "log_epochs": 4 * 13 * 8 / 100,  # of which 4 are in the last, smaller batch of each
    "log_training_time": 0.5 * 4 * 13,
    "log_edge": 0.5 * 6,
    "log_edge_trace": 0.5 * 90,
    "log_gradient_noise": 0.5 / 8 * 90,
}


def training(**changed):
    """What the recipe above tells, but for what is changed; None: left out."""
    facts = {name: fact for name, fact in {**RECIPE, **changed}.items() if fact is not None}
    (line,) = feature_matrix([row(facts=facts, **CURVATURE)], TRAINING)
    return dict(zip(TRAINING, line, strict=True))


def test_features_of_training_by_hand():
    assert {*TOLD, *PLAIN} == set(TRAINING)
    logarithms = {name: math.log(value) for name, value in TOLD.items()}
    assert training() == pytest.approx(logarithms | PLAIN)


@pytest.mark.parametrize(("word", "meaning"), [("Adam", 1), ("SGD", 0), ("mine", math.nan)])
def test_what_an_optimizer_is_called_is_asked_as_a_question(word, meaning):
    assert training(optimizer=word)["adaptive"] == pytest.approx(meaning, nan_ok=True)


def test_a_network_without_convolutions_has_no_share_of_them():
    assert training(conv_parameters=0)["conv_share"] == 0


def test_steps_that_were_told_go_before_those_of_the_epochs():
    given = training(steps=1000)
    assert given["log_steps"] == pytest.approx(math.log(1000))
    assert given["log_epochs"] == pytest.approx(math.log(1000 * 8 / 100))
    assert given["log_training_time"] == pytest.approx(math.log(500))
    without = training(steps=1000, epochs=None)
    assert without == pytest.approx(given)


@pytest.mark.parametrize(
    ("items", "batch", "steps"),
    [(100, 100, 4), (100, 1, 400), (100, 7, 60), (96, 8, 48), (3, 8, 4)],
)
def test_an_epoch_ends_with_a_batch_that_may_be_smaller(items, batch, steps):
    given = training(data_amount=items, batch_size=batch)
    assert given["log_steps"] == pytest.approx(math.log(steps))


@pytest.mark.parametrize("value", [None, 0, 0.0, "many", True], ids=str)
@pytest.mark.parametrize("fact", RECIPE)
def test_a_fact_that_is_missing_or_nothing_leaves_out_what_needs_it_and_no_more(fact, value):
    needs = {name: set(FEATURES[name].needs) for name in TRAINING}
    steps = {"epochs", "data_amount", "batch_size"}
    given = training(**{fact: value})
    is_zero = fact == "conv_parameters" and value in (0, 0.0)  # which is as good as any other
    for name, number in given.items():
        needed = needs[name] | (steps if "steps" in needs[name] else set())
        assert math.isnan(number) == (fact in needed and not is_zero), name


@pytest.mark.parametrize("quantity", CURVATURE)
def test_without_the_curvature_the_recipe_alone_is_told(quantity):
    others = {name: value for name, value in CURVATURE.items() if name != quantity}
    (line,) = feature_matrix([row(facts=RECIPE, **others)], TRAINING)
    missing = {name for name, number in zip(TRAINING, line, strict=True) if math.isnan(number)}
    assert missing == {name for name in TRAINING if quantity in FEATURES[name].needs}
    assert missing


@pytest.mark.parametrize(
    "facts",
    [
        {"data_amount": 1e308, "batch_size": 1e-5},
        {"data_amount": 1e308, "epochs": 1e308},
        {"data_amount": 10**308, "epochs": 10**308, "batch_size": 1},
        {"learning_rate": 1e-308, "batch_size": 1e308},
        {"learning_rate": 1e308, "steps": 1e308},
    ],
)
def test_huge_and_tiny_facts_make_finite_features_or_none(facts):
    given = training(**facts)
    assert not any(math.isinf(number) for number in given.values())
    assert math.isfinite(given["log_temperature"])


def test_what_a_recipe_tells_asks_for_facts_that_people_know():
    asked = {need for name in TRAINING for need in FEATURES[name].needs}
    assert asked - FACTS.keys() - WORDS.keys() == {"hessian_top", "hessian_trace"}
    assert set(FACT_FEATURES) <= set(TRAINING)
    assert not set(TRAINING) & set(COMPARABLE)


def test_numbers_are_facts_measurements_their_errors_and_what_follows():
    measured = {"cka": Measured(value=0.5, stderr=0.25), "alpha": Missing(missing="?")}
    facts = {"epochs": 2, "data_amount": 9, "batch_size": 4, "zoo": "a", "width": 3}
    group = Row(format=1, group="a", protocol="p", facts=facts, quantities=measured)
    assert numbers_of(group) == {
        "epochs": 2, "data_amount": 9, "batch_size": 4, "width": 3,
        "cka": 0.5, "cka_stderr": 0.25, "steps": 6,
    }  # fmt: skip

"""From gains to probabilities, by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from mdtree.failure_modes import FAILURE_MODES
from mdtree.trees.gain_model import (
    GainRange,
    answer_set,
    little_known,
    noise_of,
)
from mdtree.trees.gain_shares import GainScale, shares
from tests.support.small_gain_models import SCALE, constant, gain_model, question

GAINS = {
    "lower_temperature": np.array([0.0, 0.3]),
    "raise_temperature": np.array([0.2, 0.1]),
    "enlarge_model": np.array([0.4, -0.2]),
    "add_data": np.array([0.1, 0.0]),
}
NOISE = np.array([0.02, np.nan])


def test_the_probabilities_are_those_of_the_formula():
    """(gain + 0.1)^2, and for `none` 1.5 (noise + 0.1)^2: half way from 0.02 to the usual 0.05."""
    classes = ["temperature_high", "temperature_low", "model_small", "data_small", "none"]
    first = np.array([0.1**2, 0.3**2, 0.5**2, 0.2**2, 1.5 * (math.sqrt(0.02 * 0.05) + 0.1) ** 2])
    second = np.array([0.4**2, 0.2**2, 0.1**2, 0.1**2, 1.5 * 0.15**2])
    expected = np.array([first / first.sum(), second / second.sum()])
    assert shares(GAINS, NOISE, classes, SCALE) == pytest.approx(expected)


def test_an_answer_with_two_remedies_is_as_strong_as_the_better():
    strengths = np.array([0.2**2, 0.3**2])
    given = shares(GAINS, NOISE, ["data_small", "temperature"], SCALE)[0]
    assert given == pytest.approx(strengths / strengths.sum())


def test_the_largest_gain_is_the_verdict_unless_it_is_noise():
    classes = list(FAILURE_MODES)
    rng = np.random.default_rng(0)
    gains = {remedy: rng.random(50) for remedy in GAINS}
    best = shares(gains, np.full(50, 1e-6), classes, SCALE).argmax(axis=1)
    remedies = ["lower_temperature", "raise_temperature", "enlarge_model", "add_data"]
    largest = np.argmax([gains[remedy] for remedy in remedies], axis=0)
    assert [classes[n] for n in best] == [
        ["temperature_high", "temperature_low", "model_small", "data_small"][n] for n in largest
    ]
    drowned = shares(gains, np.full(50, 90.0), classes, SCALE).argmax(axis=1)
    assert {classes[n] for n in drowned} == {"none"}


@pytest.mark.parametrize("power", [0.3, 1.0, 7.0, 2900.0])
def test_the_answers_are_in_the_order_of_the_gains_and_sum_to_one(power):
    rng = np.random.default_rng(2)
    scale = GainScale(power=power, floor=0.02, none=1.0, noise=0.05)
    gains = {remedy: rng.random(40) for remedy in GAINS}
    noise = rng.random(40)
    classes = ["temperature_high", "temperature_low", "model_small", "data_small", "none"]
    given = shares(gains, noise, classes, scale)
    worth = np.column_stack([*gains.values(), np.sqrt(0.05 * noise)])
    assert given.sum(axis=1) == pytest.approx(np.ones(40))
    assert (given.argmax(axis=1) == worth.argmax(axis=1)).all()
    ordered = np.take_along_axis(given, worth.argsort(axis=1), axis=1)
    assert (np.diff(ordered, axis=1) >= 0).all()


def test_equal_gains_are_equally_probable_and_a_loss_is_as_no_gain():
    equal = {"add_data": np.array([0.3, -0.9]), "enlarge_model": np.array([0.3, 0.0])}
    given = shares(equal, NOISE, ["data_small", "model_small"], SCALE)
    assert given == pytest.approx(np.full((2, 2), 0.5))


def test_a_remedy_that_nothing_tells_of_gains_nothing():
    given = shares({"add_data": np.array([0.4])}, NOISE[:1], ["data_small", "model_small"], SCALE)
    strengths = np.array([0.5**2, 0.1**2])
    assert given[0] == pytest.approx(strengths / strengths.sum())


def test_unknown_noise_is_the_usual_one():
    classes = list(FAILURE_MODES)
    usual = shares(GAINS, np.full(2, SCALE.noise), classes, SCALE)
    assert shares(GAINS, np.full(2, np.nan), classes, SCALE) == pytest.approx(usual)


@pytest.mark.parametrize("logarithm", [-1e300, -800.0, 800.0, 1e300])
def test_noise_too_large_or_small_for_a_float_makes_probabilities_too(logarithm):
    model = gain_model({"add_data": constant(0.4)})
    given = model.probabilities(np.array([[logarithm]]), ["log_noise"], ["data_small", "none"])[0]
    assert given.sum() == pytest.approx(1)
    assert (given[1] > given[0]) == (logarithm > 0)


def test_a_model_asks_its_regression_and_reads_the_noise():
    model = gain_model({"add_data": question(0, 0.5, 0.15, 0.3)})
    matrix = np.array([[0.0, np.log(0.3)], [1.0, np.nan]])
    given = model.probabilities(matrix, ["cka", "log_noise"], ["data_small", "none"])
    noisy = math.sqrt(0.3 * 0.05) + 0.1
    strengths = np.array([[0.25**2, 1.5 * noisy**2], [0.4**2, 1.5 * 0.15**2]])
    assert given == pytest.approx(strengths / strengths.sum(axis=1, keepdims=True))


def test_gains_too_small_for_a_float_still_make_probabilities():
    far = GainScale(power=3000.0, floor=1e-6, none=1.0, noise=0.05)
    given = shares(GAINS, NOISE, list(FAILURE_MODES), far)
    assert np.isfinite(given).all()
    assert given.sum(axis=1) == pytest.approx([1, 1])


def test_seeds_that_differ_without_limit_do_not_speak_for_nothing_to_gain():
    scale = replace(SCALE, most=0.2)
    noise = np.array([0.1, 0.2, 5.0])
    given = shares({"add_data": np.full(3, 0.2)}, noise, ["data_small", "none"], scale)[:, 1]
    assert given[0] < given[1] == given[2]


@pytest.mark.parametrize("number", [0.0, -1.0])
@pytest.mark.parametrize("name", ["power", "floor", "none", "noise", "most"])
def test_a_scale_that_makes_no_probability_is_refused(name, number):
    numbers = {"power": 1.0, "floor": 0.1, "none": 1.0, "noise": 0.05, name: number}
    with pytest.raises(ValueError, match="must be above 0"):
        GainScale(**numbers)


def test_a_set_holds_what_is_probable_enough_and_one_answer_at_least():
    probabilities = {"none": 0.5, "data_small": 0.3, "model_small": 0.2}
    assert answer_set(probabilities, 0.3) == ("none", "data_small")
    assert answer_set(probabilities, 0.9) == ("none",)
    assert answer_set(probabilities, 0.0) == ("none", "data_small", "model_small")


def test_the_range_of_a_gain_is_that_of_gains_like_it():
    low, high = (GainRange(expected=e, low=0.0, high=2 * e) for e in (0.1, 0.5))
    model = gain_model({"add_data": constant(0.1)}, spread={"add_data": (low, high)})
    assert [model.range_of("add_data", gain) for gain in (0.05, 0.1, 0.2, 0.9)] == [
        low,
        low,
        high,
        high,
    ]
    assert model.range_of("enlarge_model", 0.1) is None


def test_no_more_is_expected_than_groups_with_such_a_gain_did_gain():
    ranges = [
        GainRange(expected=0.1, low=0.05, high=0.2),
        GainRange(expected=0.5, low=0.1, high=0.3),
    ]
    model = gain_model({"add_data": constant(0.1)}, spread={"add_data": ranges})
    assert model.within("add_data", np.array([0.01, 0.1, 0.11, 0.9])).tolist() == [
        0.05, 0.1, 0.11, 0.3,
    ]  # fmt: skip
    assert float(model.within("add_data", 0.9)) == 0.3
    assert float(model.within("enlarge_model", 0.9)) == 0.9


def test_the_noise_of_a_line_is_read_from_its_feature():
    matrix = np.array([[1.0, np.log(0.25)], [2.0, np.nan]])
    assert noise_of(matrix, ["cka", "log_noise"])[0] == pytest.approx(0.25)
    assert np.isnan(noise_of(matrix, ["cka", "log_noise"])[1])
    assert np.isnan(noise_of(matrix, ["cka", "agreement"])).all()


def with_trust(values, noise, **given):
    scale = GainScale(
        **{"power": 2.0, "floor": 0.1, "none": 0.01, "noise": 0.1, "trust": 1.0, **given}
    )
    lines = {name: np.array([value]) for name, value in values.items()}
    return dict(zip(CHANCES, shares(lines, np.array([noise]), CHANCES, scale)[0], strict=True))


CHANCES = ("data_small", "model_small", "none")


def test_chances_and_gains_are_multiplied():
    values = {"add_data": 0.3, "enlarge_model": 0.3, "data_small": 0.6, "model_small": 0.2}
    given = with_trust({**values, "none": 0.5}, 0.1)
    assert given["data_small"] / given["model_small"] == pytest.approx(3)
    squared = with_trust({**values, "none": 0.5}, 0.1, trust=2.0)
    assert squared["data_small"] / squared["model_small"] == pytest.approx(9)


def test_a_comparison_decides_between_two_classes_and_leaves_none_alone():
    """Both gain the same; of the groups like it, the first gained more in nine of ten."""
    gains = {"lower_temperature": np.array([0.3]), "raise_temperature": np.array([0.3])}
    classes = ("temperature_high", "temperature_low", "none")
    noise = np.array([0.3])
    before = shares(gains, noise, classes, SCALE)[0]
    after = shares({**gains, "temperature": np.array([0.9])}, noise, classes, SCALE)[0]
    assert before[0] == pytest.approx(before[1])
    assert after[0] / after[1] == pytest.approx(9)
    assert after[2] == pytest.approx(before[2])  # together, the two are as probable as before


def test_a_comparison_and_gains_are_weighed_against_each_other():
    """Similar groups say the opposite of what gains say, as strongly as these count."""
    gains = {"lower_temperature": np.array([0.3]), "raise_temperature": np.array([0.1])}
    classes = ("temperature_high", "temperature_low")
    noise = np.array([0.3])
    first, second = shares(gains, noise, classes, SCALE)[0]
    share = 1 / (1 + (first / second) ** 0.5)
    after = shares({**gains, "temperature": np.array([share])}, noise, classes, SCALE)[0]
    assert after[0] == pytest.approx(after[1])


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_comparison_that_was_never_otherwise_is_not_certain(share):
    gains = {"add_data": np.array([0.3]), "enlarge_model": np.array([0.3])}
    classes = ("data_small", "model_small", "none")
    told = shares({**gains, "resources": np.array([share])}, np.array([0.1]), classes, SCALE)[0]
    assert 0 < told[:2].min() < told[:2].max() < 1


def test_classes_named_like_a_comparison_are_not_one():
    """`width` asks for a larger network or another temperature: that one is a class."""
    gains = {"enlarge_model": np.array([0.3]), "lower_temperature": np.array([0.3])}
    classes = ("model_small", "temperature")
    told = shares({**gains, "temperature": np.array([0.9])}, np.array([0.1]), classes, SCALE)[0]
    assert told[0] == pytest.approx(told[1])  # without trust, chances count for nothing


def test_without_trust_chances_count_for_nothing():
    values = {"add_data": 0.3, "enlarge_model": 0.3, "data_small": 0.9, "model_small": 0.1}
    given = with_trust(values, 0.1, trust=0.0)
    assert given["data_small"] == pytest.approx(given["model_small"])


def test_a_chance_of_zero_rules_nothing_out_for_ever():
    values = {"add_data": 0.9, "enlarge_model": 0.0, "data_small": 0.0, "model_small": 0.02}
    given = with_trust(values, 0.1)
    assert given["data_small"] / given["model_small"] == pytest.approx((1.0 / 0.1) ** 2)


@pytest.mark.parametrize(
    ("noise", "first"),
    [(0.2, "data_small"), (0.4, "none"), (0.6, "data_small"), (math.nan, "data_small")],
)
def test_what_gains_less_than_the_noise_is_nothing_unless_that_hides_all(noise, first):
    """The best gain is 0.3 of the error; a noise above half of it tells nothing."""
    values = {"add_data": 0.3, "enlarge_model": 0.1, "data_small": 0.9, "model_small": 0.1}
    given = with_trust({**values, "none": 0.02}, noise)
    assert max(given, key=given.get) == first
    if first == "none":
        assert given["none"] / given["data_small"] == pytest.approx(1.1)


@pytest.mark.parametrize(("error", "first"), [(0.01, "none"), (0.5, "data_small")])
def test_what_gains_hardly_anything_is_nothing(error, first):
    """Three tenths of an error of one percent of that of chance, and of half of it."""
    values = {"add_data": 0.3, "data_small": 0.9, "model_small": 0.1, "none": 0.02}
    lines = {name: np.array([value]) for name, value in values.items()}
    scale = GainScale(power=2.0, floor=0.1, none=0.01, noise=0.1, trust=1.0)
    (given,) = shares(lines, np.array([math.nan]), CHANCES, scale, np.array([error]))
    assert CHANCES[given.argmax()] == first


ASKED = ["alpha", "train_error_share", "log_learning_rate", "log_test_loss_share"]
NAN = math.nan


@pytest.mark.parametrize(
    ("line", "little"),
    [
        ([3.0, NAN, NAN, NAN], True),
        ([NAN, NAN, NAN, NAN], True),
        ([3.0, NAN, NAN, 0.5], True),  # a log tells the loss
        ([3.0, 0.5, NAN, NAN], False),
        ([3.0, NAN, -2.0, NAN], False),
    ],
)
def test_little_is_known_where_nothing_was_measured_and_no_setting_is_told(line, little):
    assert little_known(np.array([line]), ASKED).tolist() == [little]


def test_features_that_do_not_ask_for_both_leave_nothing_to_be_missed():
    assert little_known(np.array([[NAN, NAN]]), ["alpha", "log_learning_rate"]).tolist() == [False]
    assert little_known(np.array([[NAN, NAN]]), ["alpha", "train_error_share"]).tolist() == [False]


def test_where_little_is_known_answers_are_the_same_and_less_sure():
    gains = {"enlarge_model": constant(0.4), "add_data": constant(0.1)}
    model = replace(gain_model(gains), levels={"0.9": 0.2})
    classes = ["model_small", "data_small", "none"]
    lines = np.array([[3.0, 0.5, NAN, NAN], [3.0, NAN, NAN, NAN]])
    known, little = model.probabilities(lines, ASKED, classes)
    slopes = np.diff(np.log(little)) / np.diff(np.log(known))
    assert slopes == pytest.approx(np.full(2, slopes[0]))  # a power of the probabilities
    assert 0 < slopes[0] < 1
    assert little.sum() == pytest.approx(1.0)
    assert (little.argmax(), little.max() < known.max()) == (known.argmax(), True)
    assert model.levels_of(little=False) == {"0.9": 0.2}
    assert 0 < model.levels_of(little=True)["0.9"] < 0.2


@pytest.mark.parametrize(
    ("error", "least", "most"), [(0.0, 0.97, 0.99), (0.002, 0.7, 0.8), (0.0039, 0.6, 0.61)]
)
def test_the_less_there_is_to_gain_the_surer_is_none(error, least, most):
    """`best` x error is half of the limit at 0.002, and 0 without any error."""
    classes = ["data_small", "none"]
    scale = replace(SCALE, trust=1.0)
    values = {"add_data": np.array([1.0]), "data_small": np.array([0.98]), "none": np.array([0.02])}
    given = shares(values, np.array([0.01]), classes, scale, np.array([error]))[0, 1]
    assert least <= given <= most

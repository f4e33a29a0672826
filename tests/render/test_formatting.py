"""Words: numbers and names as people write them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdtree.diagnosis import Gain
from mdtree.render.formatting import (
    about,
    change,
    duration,
    feature_name,
    feature_number,
    number,
    percent,
    plain,
    points,
    question,
    sentence,
    short,
    with_error,
)
from mdtree.rows import Measured
from mdtree.trees import FEATURES, Leaf, Split
from mdtree.trees.node import KNOWN


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.0, "0 %"),
        (0.004, "under 1 %"),
        (0.006, "1 %"),
        (0.5364, "54 %"),
        (0.994, "99 %"),
        (0.9999999, "over 99 %"),
        (1.0, "100 %"),
    ],
)
def test_a_probability_is_never_rounded_to_certainty(value, words):
    assert words == percent(value)


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.0, "0"), (-0.0, "0"), (7.9919, "7.99"), (1200, "1,200"), (1e12, "1e+12"), (1e-5, "1e-05")],
)
def test_short_numbers(value, words):
    assert words == short(value)


@pytest.mark.parametrize(
    ("value", "stderr", "text"),
    [
        (12.3456, 0.5678, "12.35 ± 0.57"),
        (12.3456, 0.0123, "12.346 ± 0.012"),
        (12.3456, 1.2, "12.3 ± 1.2"),
        (12.3456, 12.0, "12 ± 12"),
        (1234.5, 99.6, "1234 ± 100"),
        (0.00123456, 0.00002, "0.001235 ± 0.000020"),
        (-3.14159, 0.1, "-3.14 ± 0.10"),
        (12.3456, None, "12.35"),
        (12.3456, 0.0, "12.35"),
        (12.3456, 1e-15, "12.35"),  # rounding, not spread
        (0.0, 0.0, "0"),
        (0.0, 0.25, "0.00 ± 0.25"),
        (1e-9, None, "1e-09"),
    ],
)
def test_a_number_is_written_to_two_digits_of_its_error(value, stderr, text):
    assert number(value, stderr) == text


@pytest.mark.parametrize(
    ("value", "stderr", "words"),
    [
        (12.3456, 0.0567, "12.346 ± 0.057"),
        (12.3456, 2.0, "12.3 ± 2.0"),
        (1234.5, 67.8, "1,234 ± 68"),
        (0.5, None, "0.5"),
        (0.5, 0.0, "0.5"),
        (0.5, 1e-17, "0.5"),
        (0.0, 0.0, "0"),
        (1e-9, 1e-10, "1e-09 ± 1e-10"),
        (1e300, 1e299, "1e+300 ± 1e+299"),
    ],
)
def test_an_error_has_two_digits_on_the_page_too(value, stderr, words):
    assert words == number(value, stderr, commas=True)


@given(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(min_value=0, allow_nan=False, allow_infinity=False),
)
def test_no_number_is_longer_than_a_column(value, stderr):
    assert len(number(value, stderr)) <= 32
    assert len(number(value, stderr, commas=True)) <= 32
    assert len(short(value)) <= 12


def test_a_quantity_has_its_unit_and_one_that_is_unknown_has_none():
    assert with_error("train_error", Measured(value=2.0, stderr=0.5)) == "2.00 ± 0.50 %"
    assert with_error("of_tomorrow", Measured(value=2.0)) == "2"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("batch size 64 -> 16", "Batch size 64 → 16."),
        ("is it?", "Is it?"),
        ("several\nlines\t of text.", "Several lines of text."),
        ("hessian_top was not measured", "hessian_top was not measured."),
        ("cka 0.2 <= 0.3", "CKA 0.2 ≤ 0.3."),
        ("", "."),
    ],
)
def test_sentences(text, words):
    assert words == sentence(text)


def test_names():
    assert plain("log_hessian_top") == "log Hessian top"
    assert feature_name("log_hessian_top") == "Hessian top"
    assert feature_name("log_norm") == "log norm"  # measured as a logarithm, and known as one
    assert feature_name("of_tomorrow") == "of tomorrow"


def test_a_logarithm_is_written_as_the_number_itself():
    assert feature_number("log_hessian_trace", math.log(250)) == "250"
    assert feature_number("train_error", 2.5) == "2.5 %"
    assert feature_number("train_error", 2.5, unit=False) == "2.5"
    assert feature_number("log_hessian_trace", 1e9) == "1.01e+304"


@pytest.mark.parametrize("name", FEATURES)
def test_every_feature_can_be_asked_for(name):
    asked = question(Split(feature=name, threshold=1.0, low=leaf(), high=leaf()))
    assert asked.startswith(f"{feature_name(name)} ≤ ")


def leaf():
    return Leaf(answer="data_small", counts={})


def test_questions_and_answers():
    asked = Split(feature="log_hessian_top", threshold=0.0, low=leaf(), high=leaf())
    assert question(asked) == "Hessian top ≤ 1"
    known = Split(feature="cka", threshold=KNOWN, low=leaf(), high=leaf())
    assert question(known) == "CKA is known"
    assert question(leaf()) == "data small"


def gain(mean=1.0, low=None, high=None, **parts):
    return Gain(remedy="add_data", mode="data_small", mean=mean, low=low, high=high, **parts)


@pytest.mark.parametrize(
    ("what", "unit", "words"),
    [
        (gain(8.0, 0.0, 10.25), "", "+8.0 (0.0 to 10.2)"),
        (gain(8.0, 0.0, 10.25), "points", "+8.0 points (0.0 to 10.2)"),
        (gain(-5.0), "", "-5.0"),
        (gain(17.9, 4.4, 17.9), "points", "+17.9 points (4.4 or more)"),
        (gain(4.4, 4.4, 17.9), "", "+4.4 (17.9 or less)"),
        (None, "points", "+0.0 points"),
    ],
)
def test_gains_have_their_sign_and_their_interval(what, unit, words):
    assert words == points(what, unit)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({}, ""),
        ({"fact": "batch_size", "old": 1024.0, "new": 256.0}, "batch size 1024 -> 256"),
        ({"fact": "width", "factor": 2.0}, "width times 2"),
        ({"fact": "width", "old": 8.0}, ""),
        ({"fact": "width"}, ""),
    ],
)
def test_a_change_is_told_as_far_as_it_is_known(parts, words):
    assert words == change(gain(**parts))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "under a second"),
        (1.4, "1 s"),
        (119, "119 s"),
        (121, "2 min"),
        (7199, "120 min"),
        (7201, "2.0 h"),
        (90_000, "25.0 h"),
    ],
)
def test_a_time_is_written_as_people_say_it(seconds, text):
    assert duration(seconds) == text


def test_an_estimate_is_about_so_much_unless_it_is_nothing():
    assert (about(0.3), about(30)) == ("under a second", "about 30 s")

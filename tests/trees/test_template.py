"""Shapes: the published questions as written in the paper's code, and the scales of beliefs."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from mdtree.failure_modes import TASKS
from mdtree.trees import FACT_FEATURES, FAMILIES, FEATURES, LANDSCAPE, PUBLISHED, template_features
from mdtree.trees.binning import scaled_bounds
from mdtree.trees.template import (
    Question,
    TemplateLeaf,
    answers,
    from_scale,
    questions_of,
    to_scale,
)

SCALES = ["linear", "log", "arcsinh"]


def temperature(error, peak, trace):
    if error <= 0.5:
        return "temperature_low"
    if peak <= -10:
        return "temperature_high" if trace <= 7 else "temperature_low"
    return "temperature_high"


def temperature_cka(error, peak, cka):
    if error <= 0.5:
        return "temperature_low"
    if peak <= -10:
        return "temperature_low" if cka <= 0.5 else "temperature_high"
    return "temperature_high"


def width(error, peak):
    if error <= 0.5:
        return "model_small" if peak <= -10 else "temperature"
    return "model_small" if peak <= -10 else "temperature"


def data(error, peak, trace):
    by_trace = "data_small" if trace <= 7 else "temperature"
    if error <= 0.5:
        return by_trace  # on both sides of the peak, each with a threshold of its own
    return "temperature" if peak <= -10 else by_trace


RULES = {
    "temperature": (temperature, ["train_error", "connectivity_peak", "log_hessian_trace"]),
    "temperature-cka": (temperature_cka, ["train_error", "connectivity_peak", "cka"]),
    "width": (width, ["train_error", "connectivity_peak"]),
    "data": (data, ["train_error", "connectivity_peak", "log_hessian_trace"]),
}
ALL = [
    *PUBLISHED.values(),
    *(shape for family in FAMILIES.values() for _, shape in family.shapes),
]


def followed(shape, values):
    while isinstance(shape, Question):
        shape = shape.low if values[shape.feature] <= shape.start else shape.high
    return shape.answer


def deepest(shape):
    return 1 + max(deepest(shape.low), deepest(shape.high)) if isinstance(shape, Question) else 0


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_shapes_answer_as_the_published_rules(name):
    rule, features = RULES[name]
    places = {
        "train_error": [0, 0.5, 0.6],
        "connectivity_peak": [-11, -10, -9],
        "log_hessian_trace": [6, 7, 8],
        "cka": [0.4, 0.5, 0.6],
    }
    for values in itertools.product(*(places[feature] for feature in features)):
        known = dict(zip(features, values, strict=True))
        assert followed(PUBLISHED[name], known) == rule(*values)


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_search_fits_each_threshold_once_within_its_bounds(name):
    questions = list(questions_of(PUBLISHED[name]))
    assert sorted(ask.order for ask in questions) == list(range(len(questions)))
    bounds = {
        "train_error": (0, 1),
        "connectivity_peak": (-30, 0),
        "log_hessian_trace": (4, 9),
        "cka": (0.2, 0.8),
    }
    assert {ask.feature: ask.bounds for ask in questions}.items() <= bounds.items()


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_answers_its_task_and_asks_only_what_it_may(name):
    task, _, facts = name.partition("+")
    allowed = {*LANDSCAPE, *(FACT_FEATURES if facts else ())}
    for weight, shape in FAMILIES[name].shapes:
        assert weight > 0
        assert set(answers(shape)) <= set(TASKS[task].classes)
        assert set(template_features(shape)) <= allowed
        assert deepest(shape) <= 3  # a person reads it at a glance


@pytest.mark.parametrize("shape", ALL)
def test_every_belief_lies_within_its_bounds(shape):
    for ask in questions_of(shape):
        assert ask.feature in FEATURES
        assert ask.bounds[0] <= ask.start <= ask.bounds[1]
        low, high = scaled_bounds(ask)
        assert -math.inf < low < high < math.inf
        assert ask.spread > 0


def test_questions_and_answers_come_from_the_root_down_and_low_before_high():
    def ask(feature, low, high):
        return Question(feature=feature, start=0, bounds=(-1, 1), low=low, high=high)

    shape = ask(
        "a",
        ask("b", TemplateLeaf("1"), TemplateLeaf("2")),
        ask("c", ask("a", *map(TemplateLeaf, "34")), TemplateLeaf("5")),
    )
    assert [question.feature for question in questions_of(shape)] == ["a", "b", "c", "a"]
    assert answers(shape) == ["1", "2", "3", "4", "5"]
    assert template_features(shape) == ("a", "b", "c")


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("value", [1e-9, 0.3, 1.0, 45.0, 1e6])
def test_a_threshold_comes_back_from_its_scale(scale, value):
    there = to_scale(np.array([value]), scale)[0]
    assert from_scale(float(there), scale) == pytest.approx(value, rel=1e-9)


def _neighbours(values):
    """Give numbers as other processors compute them: the last bits are other ones."""
    yield values
    for direction in (-np.inf, np.inf):
        moved = values
        for _ in range(4):
            moved = np.nextafter(moved, direction)
        yield moved


@pytest.mark.parametrize("scale", ["log", "arcsinh"])
def test_the_last_bits_of_a_number_do_not_move_it_on_its_scale(scale):
    values = np.array([1e-6, 0.3, 7.25, 45.0, 99.9])
    first, *others = (to_scale(near, scale) for near in _neighbours(values))
    assert all((first == other).all() for other in others)


@pytest.mark.parametrize("scale", SCALES)
def test_a_scale_keeps_the_order_and_what_is_missing(scale):
    values = np.array([1e-10, 1e-3, 0.5, 7, 1e300])
    assert (np.diff(to_scale(values, scale)) > 0).all()
    assert np.isnan(to_scale(np.array([np.nan]), scale)).all()


def test_the_logarithmic_scale_ends_at_a_trillionth_so_that_zero_error_has_a_place():
    scaled = to_scale(np.array([-1.0, 0.0, 1e-12]), "log")
    np.testing.assert_array_equal(scaled, [round(math.log(1e-12), 12)] * 3)


def test_arcsinh_is_odd_so_that_barriers_of_both_signs_have_a_place():
    values = np.array([0.0, 0.1, 30.0])
    np.testing.assert_array_equal(to_scale(-values, "arcsinh"), -to_scale(values, "arcsinh"))

"""Clues: the walk in plain words, with the numbers that people know."""

from __future__ import annotations

import math

import pytest

from mdtree.diagnosis.explanation import decision_steps
from mdtree.trees import FEATURES, Leaf, SavedTree, Split
from mdtree.trees.binning import BinnedCounts
from mdtree.trees.node import KNOWN
from mdtree.trees.template import TemplateLeaf

CLASSES = ("data_small", "model_small", "none")


def leaf(answer="none", **counts):
    return Leaf(answer=answer, counts=counts)


def split(feature, threshold, low=None, high=None, missing="low"):
    low, high = low or leaf("data_small"), high or leaf("model_small")
    return Split(feature=feature, threshold=threshold, low=low, high=high, missing=missing)


def tree(node, *, plausible=True):
    bare = BinnedCounts(shape=TemplateLeaf("none"), classes=CLASSES, hit=8.0, miss=3.0)
    return SavedTree(
        task="failure",
        method="posterior" if plausible else "cart",
        protocol="p",
        classes=CLASSES,
        features=tuple(FEATURES),
        groups=1,
        ranges={},
        provenance={},
        tree=node,
        components=((1.0, bare),) if plausible else (),
    )


def clue(feature, value, threshold, error=0.0):
    """The only step of a tree with one question."""
    ((step,), _) = decision_steps(
        tree(split(feature, threshold)), {feature: value}, {feature: error}, "none"
    )
    return step


@pytest.mark.parametrize(
    ("feature", "value", "threshold", "error", "says"),
    [
        ("train_error", 0.02, 0.5, 0.0, "train error 0.02 % <= 0.5 %: "),
        ("train_error", 0.5, 0.5, 0.125, "train error 0.50 ± 0.12 % <= 0.5 %: "),
        ("train_error", 12.3456, 0.5, 1, "train error 12.3 ± 1.0 % > 0.5 %: "),
        ("connectivity_peak", -39.5, -1.25, 0.0, "connectivity peak -39.5 % <= -1.25 %: "),
        ("cka", 0.8, 0.45, 0.01, "cka 0.800 ± 0.010 > 0.45: "),
        ("log_norm", 2.5, 3.0, 0.1, "log norm 2.50 ± 0.10 <= 3: "),
    ],
)
def test_a_step_tells_value_error_bar_and_threshold_in_the_unit(
    feature, value, threshold, error, says
):
    step = clue(feature, value, threshold, error)
    meaning = FEATURES[feature].high if value > threshold else FEATURES[feature].low
    assert step.says == says + meaning
    assert (step.value, step.threshold) == (value, threshold)
    assert step.went == ("high" if value > threshold else "low")


@pytest.mark.parametrize(
    ("feature", "number", "threshold", "name"),
    [
        ("log_hessian_top", 49, 60, "hessian top"),
        ("log_hessian_trace", 1500, 60, "hessian trace"),
        ("log_parameters", 11_420, 200, "parameters"),
        ("log_data_amount", 5000, 40_000, "data amount"),
        ("log_hessian_share", 0.125, 0.5, "hessian share"),
        ("log_peak_ratio", 20, 1, "peak ratio"),
    ],
)
def test_a_logarithm_is_shown_as_the_number_itself(feature, number, threshold, name):
    sign = ">" if number > threshold else "<="
    plain = clue(feature, math.log(number), math.log(threshold))
    assert plain.says.startswith(f"{name} {number:.4g} {sign} {threshold:.4g}: ")
    assert plain.value == math.log(number)
    barred = clue(feature, math.log(number), math.log(threshold), math.log(1.5))
    assert barred.says.startswith(f"{name} {number:.4g} (within a factor of 1.5) {sign} ")


@pytest.mark.parametrize("name", FEATURES)
def test_every_feature_says_something_on_either_side(name):
    low, high = (clue(name, value, 0.5).says.split(": ", 1)[1] for value in (0.1, 0.9))
    assert low != high
    assert all(says.strip() == says != "" and "\n" not in says for says in (low, high))


def test_the_distance_to_flipping_is_in_standard_errors():
    assert clue("cka", 0.8, 0.5, 0.1).flips_at == pytest.approx(3)
    assert clue("cka", 0.2, 0.5, 0.1).flips_at == pytest.approx(3)
    assert clue("cka", 0.5, 0.5, 0.1).flips_at == 0


@pytest.mark.parametrize("error", [0.0, 1e-12], ids=["none", "rounding"])
def test_without_an_error_bar_none_is_told(error):
    step = clue("cka", 0.8, 0.5, error)
    assert (step.stderr, step.flips_at) == (None, None)
    assert "±" not in step.says


NODE = split(
    "cka",
    0.5,
    split("train_error", 1, leaf("data_small", data_small=9), leaf("none", none=2, data_small=50)),
    split("train_error", 2, leaf("data_small", data_small=4), leaf("none", none=7), "high"),
    missing="low",
)


@pytest.mark.parametrize(
    ("likely", "ways"), [("data_small", ["low", "low"]), ("none", ["high", "high"])]
)
def test_a_missing_value_walks_to_the_likely_answer(likely, ways):
    """The fifty groups in a leaf with another answer do not count."""
    steps, end = decision_steps(tree(NODE), {}, {"cka": 0.1}, likely)
    assert [step.went for step in steps] == ways
    assert end.answer == likely
    sign = "<=" if ways[0] == "low" else ">"
    told = f"cka is not known: most training groups with this answer have {sign} 0.5"
    assert steps[0].says == told
    assert [(s.value, s.stderr, s.flips_at) for s in steps] == [(None, None, None)] * 2


def test_an_answer_that_no_leaf_gives_goes_the_way_of_most_groups():
    steps, _ = decision_steps(tree(NODE), {"cka": 0.9, "train_error": math.nan}, {}, "model_small")
    assert [step.went for step in steps] == ["high", "high"]


def test_known_values_go_their_way_whatever_is_likely():
    steps, end = decision_steps(tree(NODE), {"cka": 0.9, "train_error": 3.0}, {}, "data_small")
    assert [step.went for step in steps] == ["high", "high"]
    assert end.answer == "none"


def test_a_single_tree_has_its_own_way_for_what_is_missing():
    steps, end = decision_steps(tree(NODE, plausible=False), {}, {}, "none")
    assert [step.went for step in steps] == ["low", "low"]
    assert end.answer == "data_small"
    assert steps[0].says == "cka is not known: most training groups have <= 0.5"


@pytest.mark.parametrize(
    ("value", "says", "went"),
    [(0.3, "cka is known", "low"), (math.nan, "cka is not known", "high")],
)
def test_a_question_for_being_known_says_so(value, says, went):
    node = split("cka", KNOWN, leaf("none", none=9), leaf("none", none=1), missing="high")
    ((step,), _) = decision_steps(tree(node, plausible=False), {"cka": value}, {"cka": 0.1}, "none")
    assert (step.says, step.went) == (says, went)
    assert (step.stderr, step.flips_at) == (None, None)


def test_a_leaf_alone_needs_no_clue():
    assert decision_steps(tree(leaf("none")), {}, {}, "none") == ((), leaf("none"))


@pytest.mark.parametrize("name", ["train_error", "log_hessian_top", "log_peak_ratio"])
def test_hostile_numbers_can_be_told(name):
    for value in (1e308, -1e308):
        step = clue(name, value, -value, 1e300)
        assert "nan" not in step.says
        assert math.isfinite(step.value)

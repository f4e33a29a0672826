"""Verdicts of gains made by hand: gains, sets of answers and advice by algebra."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace

import jsonschema
import numpy as np
import pytest

from mdtree.diagnosis import UNSURE, Diagnoser, schema, to_plain_data
from mdtree.diagnosis.recommendation import gain_doubt, regression_gains, without_opposite
from mdtree.diagnosis.verdict_record import Gain
from mdtree.failure_modes import FAILURE_MODES, REMEDIES
from mdtree.rows import Measured, Missing, Row
from mdtree.trees import Leaf, RemedyGain, training_distribution
from mdtree.trees.gain_model import GainRange
from tests.support.small_gain_models import SCALE, constant, gain_model, gain_tree, question

NOISE = 0.1  # relative to the test error
EXPECTED = {
    "add_data": question(0, 0.5, 0.1, 0.4),
    "enlarge_model": constant(0.2),
    "raise_temperature": constant(0.001),
}
SPREAD = {
    "add_data": (
        GainRange(expected=0.2, low=0.05, high=0.15),
        GainRange(expected=0.5, low=0.3, high=0.6),
    )
}
LEVELS = {"0.8": 0.3, "0.9": 0.15}


def row(*, cka=0.9, error=20.0, noise=NOISE, protocol="standard-1", **facts):
    quantities = {}
    if cka is not None:
        quantities["cka"] = Measured(value=cka)
    if error is not None:
        stderr = None if noise is None else noise * error / (2 * math.sqrt(2))
        quantities["test_error"] = Measured(value=error, stderr=stderr)
    return Row(format=1, group="g", protocol=protocol, facts=facts, quantities=quantities)


def diagnosed(group, *, confidence=0.0, **given):
    whole = {"gains": EXPECTED, "spread": SPREAD, "levels": LEVELS, **given}
    return Diagnoser(gain_tree(**whole), name="by hand", confidence=confidence)(group)


def shares(**gains):
    """The probabilities of the formula, for the scale of these gains."""
    worth = dict.fromkeys(FAILURE_MODES, 0.1**2) | {
        "none": 1.5 * (math.sqrt(NOISE * SCALE.noise) + 0.1) ** 2
    }
    worth |= {mode: (gain + 0.1) ** 2 for mode, gain in gains.items()}
    return {mode: part / sum(worth.values()) for mode, part in worth.items()}


@pytest.mark.parametrize(("cka", "data"), [(0.9, 0.4), (0.5, 0.1), (None, 0.1)])
def test_probabilities_are_those_of_the_gains(cka, data):
    verdict = diagnosed(row(cka=cka))
    expected = shares(data_small=data, model_small=0.2, temperature_low=0.001)
    assert verdict.probabilities == pytest.approx(expected)
    assert verdict.likely == ("data_small" if cka == 0.9 else "model_small")


def test_gains_are_parts_of_the_error_with_the_range_of_gains_like_them():
    data, model = diagnosed(row(error=20.0)).gains
    assert (data.remedy, data.mode) == ("add_data", "data_small")
    assert (data.mean, data.low, data.high) == pytest.approx((0.4 * 20, 0.3 * 20, 0.6 * 20))
    assert (model.remedy, model.mean) == ("enlarge_model", pytest.approx(0.2 * 20))
    assert (model.low, model.high) == (None, None)  # nobody knows how they turned out
    low = diagnosed(row(cka=0.1)).gains[-1]
    assert (low.remedy, low.low, low.high) == ("add_data", pytest.approx(1.0), pytest.approx(3.0))


def test_a_gain_of_a_few_hundredths_of_a_point_is_not_told():
    """The temperature gains 0.001 of 20 %: 0.02 points; of 60 % it would be 0.06."""
    assert "raise_temperature" not in {gain.remedy for gain in diagnosed(row(error=20.0)).gains}
    assert "raise_temperature" in {gain.remedy for gain in diagnosed(row(error=60.0)).gains}


@pytest.mark.parametrize("error", [0.0, 1.0, 37.0, 100.0, 250.0])
def test_no_gain_is_larger_than_the_error(error):
    certain = {"add_data": constant(1.0), "enlarge_model": constant(0.5)}
    spread = {"add_data": (GainRange(expected=1.0, low=0.5, high=1.0),)}
    told = diagnosed(row(error=error), gains=certain, spread=spread).gains
    for gain in told:
        assert gain.mean <= min(error, 100.0)
        assert gain.high is None or gain.high <= min(error, 100.0)
    assert bool(told) == (error > 0)


def test_the_error_may_be_a_fact():
    without = row(error=None, test_accuracy=75.0)
    assert diagnosed(without).gains[0].mean == pytest.approx(0.4 * 25)


@pytest.mark.parametrize("accuracy", [-20.0, 120.0])
def test_an_accuracy_that_is_none_makes_no_gain_beyond_it(accuracy):
    gains = diagnosed(row(error=None, test_accuracy=accuracy)).gains
    assert all(0 <= gain.mean <= 100 for gain in gains)


def test_without_a_test_error_there_is_a_verdict_and_no_gain():
    """Its noise is not known either: it is the usual one, 0.05."""
    verdict = diagnosed(row(error=None))
    assert verdict.gains == ()
    assert verdict.likely == "data_small"
    none, data = verdict.probabilities["none"], verdict.probabilities["data_small"]
    assert none / data == pytest.approx(1.5 * 0.15**2 / 0.5**2)
    assert verdict.advice == "get more training data"


def test_below_the_confidence_the_verdict_is_unsure_and_the_gains_stand():
    expected = shares(data_small=0.4, model_small=0.2, temperature_low=0.001)["data_small"]
    sure, unsure = (diagnosed(row(), confidence=expected + step) for step in (-0.01, 0.01))
    assert (sure.mode, unsure.mode) == ("data_small", UNSURE)
    assert unsure.likely == "data_small"
    assert [gain.remedy for gain in unsure.gains] == ["add_data", "enlarge_model"]
    assert unsure.next_step.kind == "change"
    assert "so try the change itself: get more training data" in unsure.advice


def test_in_much_noise_the_verdict_is_none_whatever_is_expected():
    verdict = diagnosed(row(noise=90.0))
    assert verdict.mode == "none"
    assert verdict.gains[0].remedy == "add_data"
    assert verdict.advice.startswith("leave training as it is")


def test_sets_hold_what_is_probable_enough():
    """Data 0.50, `none` 0.27, model 0.18: one of them above 0.3, and all above 0.15."""
    verdict = diagnosed(row(noise=0.2))
    probable = verdict.probabilities
    for coverage, level in LEVELS.items():
        among = {name for name, share in probable.items() if share >= level}
        assert set(verdict.answers[coverage]) == among | {verdict.likely}
        ordered = sorted(verdict.answers[coverage], key=lambda name: -probable[name])
        assert list(verdict.answers[coverage]) == ordered
    assert set(verdict.answers["0.8"]) < set(verdict.answers["0.9"])


def test_without_levels_there_are_no_sets():
    assert diagnosed(row(), levels={}).answers == {}


def test_outside_of_the_training_groups_sets_are_wider():
    """What is half as probable as the level belongs to them there."""
    rng = np.random.default_rng(0)
    population = training_distribution(
        np.column_stack([rng.uniform(0.6, 1.0, 60), rng.normal(-2, 0.3, 60)]), ("cka", "log_noise")
    )
    inside, outside = (diagnosed(row(cka=cka), population=population) for cka in (0.9, 40.0))
    assert not inside.outlier.outside
    assert outside.outlier.outside
    assert outside.probabilities == pytest.approx(inside.probabilities)
    for coverage, level in LEVELS.items():
        among = {name for name, share in outside.probabilities.items() if share >= level / 2}
        assert set(outside.answers[coverage]) == among | {outside.likely}
    assert set(inside.answers["0.9"]) < set(outside.answers["0.9"])


def test_the_verdict_is_the_largest_gain_unless_it_is_none():
    rng = np.random.default_rng(4)
    remedies = ("lower_temperature", "raise_temperature", "enlarge_model", "add_data")
    for _ in range(20):
        expected = {remedy: constant(rng.uniform(0, 0.6)) for remedy in remedies}
        verdict = diagnosed(row(noise=0.2), gains=expected)
        assert verdict.likely in ("none", verdict.gains[0].mode)
        means = [gain.mean for gain in verdict.gains]
        assert means == sorted(means, reverse=True)


WAY = RemedyGain(low=0.0, high=1.0, fact="learning_rate", factor=3.0)
HOTTER = {"raise_temperature": constant(0.5)}


def change(leaf_ways, expected, doublings=None, **facts):
    leaf = Leaf(answer="none", counts={}, ways=leaf_ways)
    model = gain_model(expected)
    values = model.regression.values(np.zeros((1, 1)))
    found = SimpleNamespace(
        row=row(**facts),
        gains={remedy: float(each[0]) for remedy, each in values.items()},
        doublings={} if doublings is None else {"raise_temperature": doublings},
    )
    (gain,) = regression_gains(model, found, leaf, "none")
    return gain.fact, gain.old, gain.new, gain.factor


@pytest.mark.parametrize(
    ("ways", "facts", "expected"),
    [
        ({}, {}, (None, None, None, None)),
        ({}, {"batch_size": 256}, ("batch_size", 256, 64, 0.25)),
        ({}, {"learning_rate": 0.01}, ("learning_rate", 0.01, 0.04, 4.0)),
        ({"raise_temperature": WAY}, {"batch_size": 256}, ("batch_size", 256, 64, 0.25)),
        ({"raise_temperature": WAY}, {"learning_rate": 0.01}, ("learning_rate", 0.01, 0.03, 3.0)),
        (
            {"raise_temperature": WAY},
            {"batch_size": 256, "learning_rate": 0.01},
            ("learning_rate", 0.01, 0.03, 3.0),
        ),
        ({"raise_temperature": WAY}, {"learning_rate": "high"}, (None, None, None, None)),
        ({}, {"batch_size": 1}, (None, None, None, None)),
        ({}, {"batch_size": 1, "learning_rate": 0.01}, ("learning_rate", 0.01, 0.04, 4.0)),
        ({}, {"batch_size": 0.5}, (None, None, None, None)),
        ({}, {"learning_rate": 0.0}, (None, None, None, None)),
        # a learning rate that is 1,000 times too small, and a batch that is 64 times too large
        ({}, {"batch_size": 64, "learning_rate": 1e-5}, ("learning_rate", 1e-5, 8e-5, 8.0)),
        (
            {"raise_temperature": WAY},
            {"batch_size": 4096, "learning_rate": 0.01},
            ("batch_size", 4096, 512, 0.125),
        ),
        ({}, {"batch_size": 64, "learning_rate": 0.003}, ("batch_size", 64, 16, 0.25)),
        ({}, {"batch_size": 4096, "learning_rate": 1e-4}, ("batch_size", 4096, 1024, 0.25)),
    ],
)
def test_the_fact_that_is_known_is_the_one_to_change(ways, facts, expected):
    assert change(ways, HOTTER, **facts) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("remedy", "fact", "old", "new"),
    [
        ("add_data", "data_amount", 5000, 20_000),
        ("enlarge_model", "width", 8, 32),
        ("lower_temperature", "batch_size", 32, 128),
    ],
)
def test_without_a_way_facts_change_by_four(remedy, fact, old, new):
    assert change({}, {remedy: constant(0.5)}, **{fact: old})[:3] == (fact, old, new)


@pytest.mark.parametrize(("factor", "new"), [(1000.0, 8192), (0.0001, 128), (2.0, 2048)])
def test_no_fact_is_changed_by_more_than_eight(factor, new):
    """Zoos span more than anyone tries at once."""
    way = RemedyGain(low=0.0, high=1.0, fact="batch_size", factor=factor)
    cooler = {"lower_temperature": constant(0.5)}
    assert change({"lower_temperature": way}, cooler, batch_size=1024)[2] == new


def expected(**means):
    return [
        Gain(remedy=name, mode=REMEDIES[name], mean=mean, low=None, high=None)
        for name, mean in means.items()
    ]


@pytest.mark.parametrize(
    ("likely", "means", "doubt"),
    [
        ("data_small", {"add_data": 1.0, "enlarge_model": 11.8}, "enlarge_model 11.8"),
        ("data_small", {"enlarge_model": 11.8}, "less than 0.05 points"),
        ("data_small", {}, "less than 0.05 points"),
        ("data_small", {"add_data": 6.0, "enlarge_model": 11.8}, None),
        ("data_small", {"add_data": 0.3, "enlarge_model": 1.2}, None),  # less than a point more
        ("none", {"enlarge_model": 11.8}, None),
        ("temperature", {"lower_temperature": 8.0, "add_data": 9.0}, None),
        ("temperature", {"lower_temperature": 2.0, "add_data": 9.0}, "add_data 9.0"),
    ],
)
def test_a_change_that_gains_far_less_than_another_leaves_a_doubt(likely, means, doubt):
    given = gain_doubt(likely, expected(**means), row())
    assert given is None if doubt is None else doubt in given


def test_without_an_accuracy_gains_leave_no_doubt():
    assert gain_doubt("data_small", [], row(error=None)) is None


def test_a_sure_temperature_is_not_turned_the_other_way():
    given = expected(lower_temperature=8.0, raise_temperature=2.0, add_data=1.0)
    assert [gain.remedy for gain in without_opposite("temperature_high", given)] == [
        "lower_temperature",
        "add_data",
    ]
    assert without_opposite("data_small", given) == tuple(given)


@pytest.mark.parametrize(
    ("doublings", "new", "factor"),
    [(5.4, 3.2e-4, 32.0), (5.6, 6.4e-4, 64.0), (0.2, 2e-5, 2.0), (9.9, 0.01, 1000.0)],
)
def test_a_regression_tells_how_far_the_change_goes(doublings, new, factor):
    """In whole doublings, at least one, whatever a leaf says."""
    ways = {"raise_temperature": WAY}
    given = change(ways, HOTTER, doublings, learning_rate=1e-5, batch_size=64)
    assert given == pytest.approx(("learning_rate", 1e-5, new, factor))


def test_halvings_are_told_as_doublings():
    given = change({}, HOTTER, 3.0, batch_size=4096, learning_rate=0.01)
    assert given == pytest.approx(("batch_size", 4096, 512, 0.125))
    assert change({}, HOTTER, 9.0, batch_size=64)[2] == 4  # normalisation needs a few items


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"batch_size": 64, "data_amount": 300}, ("batch_size", 64, 300, 300 / 64)),
        ({"batch_size": 200, "data_amount": 300}, (None, None, None, None)),
        ({"batch_size": 300, "data_amount": 300}, (None, None, None, None)),
        (
            {"batch_size": 200, "data_amount": 300, "learning_rate": 0.01},
            ("learning_rate", 0.01, 0.0025, 0.25),
        ),
        ({"batch_size": 64, "data_amount": 0}, ("batch_size", 64, 256, 4.0)),
    ],
)
def test_a_batch_holds_no_more_than_all_items(facts, expected):
    cooler = {"lower_temperature": constant(0.5)}
    way = RemedyGain(low=0.0, high=1.0, fact="batch_size", factor=8.0)
    ways = {"lower_temperature": way} if facts["data_amount"] == 300 else {}
    assert change(ways, cooler, **facts) == pytest.approx(expected)


def test_the_advice_tells_the_change():
    verdict = diagnosed(row(data_amount=1000))
    assert verdict.advice == (
        "get more training data: data amount 1000 -> 4000; "
        "groups like this one gained 8.0 points of test accuracy (6.0 to 12.0)"
    )


def test_a_missing_metric_is_told_with_what_it_could_change():
    """Without it, a larger network; half of the training groups have a similarity above 0.5."""
    population = training_distribution(
        np.column_stack([np.linspace(0, 1, 41), np.full(41, -2.0)]), ("cka", "log_noise")
    )
    verdict = diagnosed(row(cka=None), population=population)
    (missed,) = verdict.missed
    assert missed.features == ("cka",)
    assert missed.flips == pytest.approx(0.5, abs=0.01)


def test_noise_is_not_asked_for():
    """It tells how sure an answer is; that it is unknown changes no gain."""
    known, unknown = diagnosed(row()), diagnosed(row(noise=None))
    assert unknown.missed == ()
    assert unknown.gains == known.gains


def test_a_group_of_which_nothing_is_known_is_unsure():
    blind = diagnosed(row(cka=None, error=None))
    assert blind.mode == UNSURE
    assert "nothing that the tree asks for was measured" in blind.why_unsure


def test_a_share_of_no_error_is_missing_and_says_why():
    expected = {"add_data": question(0, 0.5, 0.1, 0.5)}
    features = ("ensemble_gain_share", "log_noise")
    group = row(error=0.0, noise=None)
    group.quantities["ensemble_gain"] = Measured(value=0.0)
    (missed,) = diagnosed(group, gains=expected, features=features, spread={}).missed
    assert missed.reason == "ensemble_gain_share cannot be computed: it needs a positive number"


def test_a_failed_metric_keeps_its_reason():
    group = row(cka=None)
    group.quantities["cka"] = Missing(missing="needs 2 checkpoints, got 1")
    verdict = diagnosed(group, confidence=1.0)
    assert verdict.missed[0].reason == "needs 2 checkpoints, got 1"
    assert verdict.advice.startswith("add a checkpoint of a second seed")


def test_a_single_regression_agrees_with_no_other():
    verdict = diagnosed(row())
    assert verdict.likely == "data_small"
    assert verdict.agreement is None
    assert to_plain_data(verdict)["agreement"] is None


def test_where_the_explaining_tree_says_otherwise_a_warning_does():
    other = Leaf(answer="model_small", counts={"model_small": 3.0})
    same = Leaf(answer="data_small", counts={"data_small": 3.0})
    (warning,) = diagnosed(row(), leaf=other).basis.warnings
    assert "the likeliest answer, data_small, comes from a regression" in warning
    assert diagnosed(row(), leaf=same).basis.warnings == ()


def test_redrawn_measurements_answer_by_the_regression():
    """A similarity of 0.5 +- 0.1 lies on either side of the question as often."""
    group = row(noise=None)
    group.quantities["cka"] = Measured(value=0.5, stderr=0.1)
    assert diagnosed(group).stability == pytest.approx(0.5, abs=0.1)
    group.quantities["cka"] = Measured(value=0.9, stderr=0.01)
    assert diagnosed(group).stability == pytest.approx(1.0)


@pytest.mark.parametrize(
    "group",
    [
        row(),
        row(cka=None, error=None),
        row(error=1e300, noise=1e-3),
        row(noise=1e300),
        row(cka=1e300),
    ],
    ids=["usual", "blind", "huge error", "huge noise", "huge"],
)
def test_every_verdict_is_json_of_the_schema(group):
    content = {"format": 1, "verdicts": [to_plain_data(diagnosed(group))]}
    text = json.dumps(content, allow_nan=False)
    jsonschema.validate(json.loads(text), schema())
    assert sum(content["verdicts"][0]["probabilities"].values()) == pytest.approx(1)
    assert content["verdicts"][0]["answers"].keys() == LEVELS.keys()


def test_an_expected_gain_beyond_its_range_is_told_within_it():
    """A mean of 0.4 of the error, where groups with such an expectation gained 0.1 to 0.3."""
    spread = {"add_data": (GainRange(expected=1.0, low=0.1, high=0.3),)}
    gain = diagnosed(row(), spread=spread).gains[0]
    assert gain.remedy == "add_data"
    assert gain.low <= gain.mean <= gain.high
    assert gain.mean == pytest.approx(gain.high)

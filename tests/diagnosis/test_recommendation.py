"""Gains: sorted, with their intervals, and as a change of a known fact where there is one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mdtree.diagnosis import Gain
from mdtree.diagnosis.change_size import change_of
from mdtree.diagnosis.recommendation import change_step, deciding_step, gains
from mdtree.diagnosis.verdict_record import MissingMeasurement
from mdtree.failure_modes import FAILURE_MODES, REMEDIES, TASKS
from mdtree.rows import Missing
from mdtree.trees import Leaf, RemedyGain
from tests.support.checked import origin
from tests.support.rows import row

BATCH = RemedyGain(low=0.4, high=3.1, fact="batch_size", factor=0.25)


def leaf(means, ways=None):
    return Leaf(answer="none", counts={}, gains=means, ways=ways or {})


def change(fact, old, factor):
    """The old and the new value of a fact that is the way of the only gain."""
    way = RemedyGain(low=0, high=2, fact=fact, factor=factor)
    (gain,) = gains(leaf({"add_data": 1.0}, {"add_data": way}), row(facts={fact: old}))
    return gain.old, gain.new


def test_gains_are_sorted_and_what_gains_nothing_is_left_out():
    means = {
        "lower_temperature": 0.04,
        "raise_temperature": 1.8,
        "add_data": -3.0,
        "enlarge_model": 2.5,
    }
    offered = gains(leaf(means), row())
    assert [(gain.remedy, gain.mean) for gain in offered] == [
        ("enlarge_model", 2.5),
        ("raise_temperature", 1.8),
    ]
    assert [gain.mode for gain in offered] == ["model_small", "temperature_low"]
    assert gains(leaf({}), row()) == ()


def test_a_change_of_a_known_fact_is_told_with_its_interval():
    (gain,) = gains(
        leaf({"raise_temperature": 1.8}, {"raise_temperature": BATCH}),
        row(facts={"batch_size": 1024}),
    )
    assert gain == Gain(
        remedy="raise_temperature",
        mode="temperature_low",
        mean=1.8,
        low=0.4,
        high=3.1,
        fact="batch_size",
        old=1024,
        new=256,
        factor=0.25,
    )
    assert change_step("temperature_low", [gain]).says == (
        "train with a smaller batch or a larger learning rate: batch size 1024 -> 256; "
        "groups like this one gained 1.8 points of test accuracy (0.4 to 3.1)"
    )


def test_no_gain_is_larger_than_the_test_error():
    ways = {"add_data": RemedyGain(low=-1.0, high=9.0)}
    means = {"add_data": 2.0, "enlarge_model": 7.0}
    large, small = gains(leaf(means, ways), row(test_error=4.0))
    assert (large.remedy, large.mean) == ("enlarge_model", 4.0)
    assert (small.mean, small.low, small.high) == (2.0, -1.0, 4.0)
    assert gains(leaf(means, ways), row(test_error=0.0)) == ()


@pytest.mark.parametrize(
    ("mean", "low", "high", "amount"),
    [
        (5.0, 1.0, 9.0, "5.0 points of test accuracy (1.0 to 9.0)"),
        (8.96, 1.0, 9.04, "9.0 points of test accuracy (1.0 or more)"),
        (1.0, 1.0, 9.0, "1.0 points of test accuracy (9.0 or less)"),
        (9.0, 9.0, 9.0, "9.0 points of test accuracy"),
    ],
)
def test_of_a_mean_at_an_end_of_its_range_the_other_end_is_told(mean, low, high, amount):
    gain = Gain(remedy="add_data", mode="data_small", mean=mean, low=low, high=high)
    assert change_step("data_small", [gain]).says.endswith(f"groups like this one gained {amount}")


@pytest.mark.parametrize("facts", [{}, {"batch_size": "large"}, {"batch_size": True}])
def test_where_the_fact_is_not_known_the_direction_and_the_factor_are(facts):
    (gain,) = gains(
        leaf({"raise_temperature": 1.8}, {"raise_temperature": BATCH}), row(facts=facts)
    )
    assert (gain.fact, gain.factor, gain.old, gain.new) == ("batch_size", 0.25, None, None)
    assert change_step("temperature_low", [gain]).says == (
        "train with a smaller batch or a larger learning rate; "
        "groups like this one gained 1.8 points of test accuracy (0.4 to 3.1)"
    )


def test_without_a_way_the_mean_stands_alone_and_without_a_move_the_interval_does_not():
    ways = {"add_data": RemedyGain(low=-0.5, high=4.0)}
    added, other = gains(leaf({"add_data": 2.0, "enlarge_model": 1.0}, ways), row())
    assert (added.low, added.high, added.fact) == (-0.5, 4.0, None)
    assert (other.low, other.high, other.fact) == (None, None, None)
    assert change_step("data_small", [added, other]).says.endswith(
        "2.0 points of test accuracy (-0.5 to 4.0)"
    )
    assert change_step("model_small", [added, other]).says.endswith(
        "like this one gained 1.0 points of test accuracy"
    )


@pytest.mark.parametrize(
    ("fact", "old", "factor", "new"),
    [
        ("batch_size", 128, 4, 512),
        ("batch_size", 1000, 0.25, 250),
        ("batch_size", 96, 2, 190),
        ("batch_size", 2, 0.6, 1),
        ("width", 3, 1.5, 4),
        ("data_amount", 1797, 2, 3600),
        ("data_amount", 60_000, 1.333, 80_000),
        ("data_amount", 1_281_167, 2, 2_600_000),
        ("learning_rate", 0.1, 0.25, 0.025),
        ("learning_rate", 0.003, 3.1623, 0.0095),
        ("learning_rate", 1e-9, 10, 1e-8),
    ],
)
def test_recommended_numbers_are_round_and_counts_are_whole(fact, old, factor, new):
    assert change(fact, old, factor) == (old, pytest.approx(new))


@pytest.mark.parametrize(
    ("fact", "old", "factor"),
    [
        ("batch_size", 1, 0.25),  # there is no smaller one
        ("width", 10, 1.0),
        ("batch_size", 0, 2.0),
        ("batch_size", -8, 2.0),
        ("learning_rate", 1e-300, 1e-12),
        ("data_amount", 1e308, 1e12),
        ("data_amount", 10**400, 2.0),
    ],
)
def test_what_is_no_change_is_not_recommended(fact, old, factor):
    assert change(fact, old, factor) == (None, None)


def test_large_numbers_are_written_out():
    way = RemedyGain(low=0, high=2, fact="data_amount", factor=2.0)
    offered = gains(
        leaf({"add_data": 1.0}, {"add_data": way}), row(facts={"data_amount": 1_281_167})
    )
    assert "data amount 1281167 -> 2600000;" in change_step("data_small", offered).says


def test_every_answer_has_an_advice_without_any_gain():
    answers = {answer for task in TASKS.values() for answer in task.classes}
    said = {answer: change_step(answer, ()).says for answer in answers}
    assert len(set(said.values())) == len(answers) == len(FAILURE_MODES) + 1
    assert said["none"].startswith("leave training as it is")
    assert said["temperature"].startswith("try both a smaller and a larger batch")


@pytest.mark.parametrize("mode", REMEDIES.values())
def test_the_advice_is_the_remedy_of_the_mode_not_the_largest_gain(mode):
    offered = gains(leaf(dict(zip(REMEDIES, (4.0, 3.0, 2.0, 1.0), strict=True))), row())
    own = next(gain for gain in offered if gain.mode == mode)
    assert f" {own.mean} points" in change_step(mode, offered).says


@pytest.mark.parametrize(
    ("metric", "reason", "measured", "kind", "names"),
    [
        ("similarity", "cka was not measured", False, "measure", ("similarity",)),
        ("similarity", "the outputs of a are all equal", True, "add_seeds", ()),
        ("similarity", "needs 2 checkpoints, found 1", True, "add_seed", ()),
        ("facts", "the fact learning_rate is not known", True, "tell_facts", ("learning_rate",)),
    ],
)
def test_what_was_measured_in_vain_is_not_to_be_measured_again(
    metric, reason, measured, kind, names
):
    feature = "log_learning_rate" if metric == "facts" else "cka"
    missing = MissingMeasurement(metric=metric, features=(feature,), reason=reason, flips=0.2)
    group = row(cka=Missing(missing=reason)) if metric != "facts" else row()
    if measured:
        group = replace(group, provenance=origin())
    step = deciding_step([missing], group, "none", [])
    assert (step.kind, step.names) == (kind, names)


@pytest.mark.parametrize(
    ("stability", "likely", "kind"),
    [
        (1.0, "data_small", "change"),
        (0.9, "data_small", "change"),
        (0.89, "data_small", "add_seeds"),
        (None, "data_small", "add_seeds"),
        (1.0, "none", "add_seeds"),  # there is nothing to try
        (1.0, "model_small", "change"),
    ],
)
def test_where_error_bars_do_no_harm_more_seeds_are_not_advised(stability, likely, kind):
    promised = gains(leaf({"add_data": 5.0, "enlarge_model": 4.0}), row())
    step = deciding_step([], row(), likely, promised, stability)
    assert step.kind == kind
    assert ("seeds to make" in step.says) == (kind == "add_seeds")
    if kind == "change":
        change = change_step(likely, promised)
        assert step.says.endswith(f"try the change itself: {change.says}")
        assert step.names == change.names


@pytest.mark.parametrize(
    ("known", "factor"),
    [
        ({}, 4.0),
        ({"data_amount_at_most": 127}, None),
        ({"data_amount_at_most": 128}, 2.0),
        ({"data_amount_at_most": 127, "data_amount": 1000}, 4.0),
    ],
)
def test_no_batch_is_advised_that_holds_more_items_than_there_can_be(known, factor):
    way = RemedyGain(low=0, high=2, fact="batch_size", factor=4.0)
    cooler = leaf({"lower_temperature": 1.0}, {"lower_temperature": way})
    facts = {"batch_size": 64, **known}
    expected = (None, None) if factor is None else ("batch_size", factor)
    assert change_of("lower_temperature", cooler, row(facts=facts), 2.0) == expected

"""Changed facts, and the remedy that they are."""

from __future__ import annotations

import pytest

from mdtree.diagnosis.fact_changes import attribution, fact_changes


def made(before, after):
    return attribution(fact_changes(before, after))


@pytest.mark.parametrize(
    ("fact", "old", "new", "remedy"),
    [
        ("learning_rate", 0.0005, 0.004, "raise_temperature"),
        ("learning_rate", 0.1, 0.01, "lower_temperature"),
        ("batch_size", 512, 64, "raise_temperature"),
        ("batch_size", 8, 64, "lower_temperature"),
        ("width", 8, 16, "enlarge_model"),
        ("parameters", 1000, 4000, "enlarge_model"),
        ("data_amount", 100, 400, "add_data"),
    ],
)
def test_a_single_change_is_its_remedy(fact, old, new, remedy):
    found = made({fact: old, "epochs": 9}, {fact: new, "epochs": 9})
    assert (found.remedy, found.candidates, found.reason) == (remedy, (remedy,), None)


@pytest.mark.parametrize(
    ("fact", "old", "new"),
    [
        ("width", 16, 8),
        ("data_amount", 400, 100),
        ("optimizer", "sgd", "adam"),
        ("label_noise", 0.0, 0.1),
        ("learning_rate", "fast", "slow"),
        ("dropout", False, True),
    ],
)
def test_a_change_that_no_remedy_is(fact, old, new):
    found = made({fact: old}, {fact: new})
    assert (found.remedy, found.candidates) == (None, ())
    assert found.reason == f"a diagnosis has no remedy that is this change: {fact}"


def test_two_changes_of_one_kind_are_one_remedy():
    before = {"learning_rate": 0.01, "batch_size": 64}
    assert made(before, {"learning_rate": 0.1, "batch_size": 8}).remedy == "raise_temperature"
    before = {"width": 8, "parameters": 100, "conv_parameters": 50}
    after = {"width": 16, "parameters": 400, "conv_parameters": 200}
    assert made(before, after).remedy == "enlarge_model"


@pytest.mark.parametrize(
    ("before", "after", "candidates"),
    [
        (
            {"learning_rate": 0.01, "batch_size": 64},
            {"learning_rate": 0.02, "batch_size": 128},
            ("lower_temperature", "raise_temperature"),
        ),
        (
            {"learning_rate": 0.01, "optimizer": "sgd"},
            {"learning_rate": 0.02, "optimizer": "adam"},
            ("raise_temperature",),
        ),
        ({"width": 8, "data_amount": 9}, {"width": 9, "data_amount": 8}, ("enlarge_model",)),
    ],
)
def test_several_changes_are_not_attributed(before, after, candidates):
    found = made(before, after)
    assert found.remedy is None
    assert found.candidates == candidates
    assert found.reason.startswith("several changes at once, so no gain is due to one of them: ")


def test_outcomes_are_no_changes_and_the_last_bits_are_none():
    before = {
        "test_accuracy": 80.0,
        "target_accuracy": 90,
        "label": "a",
        "late_loss_drop": 4.0,
        "learning_rate": 0.3,
    }
    after = {
        "test_accuracy": 85.0,
        "target_accuracy": 95,
        "label": "b",
        "late_accuracy_gain": 2.0,
        "learning_rate": 0.1 * 3,
    }
    assert fact_changes(before, after) == ()
    assert made(before, after).reason == "no fact that both sides know has changed"


def test_what_only_one_side_knows_is_listed_and_named_but_is_no_change():
    (change,) = fact_changes({}, {"learning_rate": 0.1})
    assert (change.before, change.after, change.remedy) == (None, 0.1, None)
    assert made({}, {"learning_rate": 0.1}).reason.endswith(
        "(known on one side only: learning_rate)"
    )
    before, after = {"width": 8}, {"width": 16, "optimizer": "sgd"}
    assert made(before, after).remedy == "enlarge_model"


@pytest.mark.parametrize(
    ("before", "after", "follows"),
    [
        # 4096 items: 10 epochs of 32 are 1280 steps, of 64 they are 640
        ({"batch_size": 32, "steps": 1280}, {"batch_size": 64, "steps": 640}, True),
        ({"batch_size": 32, "steps": 1280}, {"batch_size": 64, "steps": 2560}, False),
        ({"batch_size": 32, "epochs": 10}, {"batch_size": 64, "epochs": 20}, True),
        ({"data_amount": 100, "steps": 10}, {"data_amount": 200, "steps": 20}, True),
        ({"data_amount": 100, "epochs": 10}, {"data_amount": 200, "epochs": 5}, True),
        ({"data_amount": 100, "epochs": 10}, {"data_amount": 200, "epochs": 10.0}, None),
        ({"learning_rate": 0.1, "steps": 10}, {"learning_rate": 0.2, "steps": 20}, False),
        ({"batch_size": 0, "steps": 10}, {"batch_size": 8, "steps": 20}, False),
        (
            {"batch_size": 30, "steps": 4, "epochs": 1},
            {"batch_size": 70, "steps": 2, "epochs": 1},
            True,  # whatever the last batch does
        ),
        (
            {"batch_size": 32, "steps": 10, "epochs": 1},
            {"batch_size": 64, "steps": 10, "epochs": 2},
            True,
        ),
        (
            {"batch_size": 32, "steps": 10, "epochs": 1},
            {"batch_size": 64, "steps": 20, "epochs": 4},
            False,
        ),
    ],
)
def test_steps_and_epochs_that_only_follow_are_no_change_of_their_own(before, after, follows):
    changes = {each.fact: each for each in fact_changes(before, after)}
    lengths = [changes[name] for name in ("steps", "epochs") if name in changes]
    if follows is None:
        assert not lengths
    else:
        assert all((each.follows is not None) is follows for each in lengths)
        assert (made(before, after).remedy is not None) is follows


def test_hostile_numbers_are_no_remedy():
    huge = 10**400
    assert made({"width": huge}, {"width": huge + 1}).remedy is None
    before, after = {"batch_size": 1e-300, "steps": 1}, {"batch_size": 1e300, "steps": 2}
    assert made(before, after).remedy is None

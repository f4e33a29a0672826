"""Trajectories: the order of the steps, which checkpoint to keep, and what noise can tell apart."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import jsonschema
import pytest

from mdtree.diagnosis import schema, trajectories, trajectories_to_plain_data
from mdtree.rows import Detail, GroupFailure, Missing
from tests.support.rows import row
from tests.support.steps import epochs, step_row


def only(rows):
    (trajectory,) = trajectories(rows)
    return trajectory


def test_the_latest_of_those_that_noise_cannot_tell_from_the_lowest_is_kept():
    """Two standard errors of a difference are 2 sqrt(2) = 2.83 points."""
    found = only(epochs(30, 21, 20, 22, 22.5))
    assert found.lowest == "run@epoch-3"
    assert found.alike == ("run@epoch-2", "run@epoch-3", "run@epoch-4", "run@epoch-5")
    assert found.keep == "run@epoch-5"
    assert (found.score, found.noise, found.axis) == ("test_error", "items", "epoch")


def test_a_later_one_that_is_worse_by_more_than_the_noise_is_not_kept():
    found = only(epochs(30, 20, 25, 26))
    assert (found.alike, found.keep) == (("run@epoch-2",), "run@epoch-2")


@pytest.mark.parametrize(
    ("errors", "spread", "stands_out"),
    [((50, 20, 21, 22), 2, False), ((50, 20, 22, 24), 4, True), ((20, 20, 20, 20), 0, False)],
)
def test_the_last_three_are_compared_with_the_noise(errors, spread, stands_out):
    last = only(epochs(*errors)).last
    assert last.groups == ("run@epoch-2", "run@epoch-3", "run@epoch-4")
    assert last.spread == pytest.approx(spread)
    assert last.noise == pytest.approx(2 * math.sqrt(2))
    assert last.stands_out is stands_out


def test_differences_within_at_least_three_runs_are_compared_in_pairs():
    """d = 1, 2, 3: mean 2, s = 1, t(2) = 4.303, so the noise is 4.303 / sqrt(3) = 2.48."""
    rows = epochs((10, 20, 30), (11, 22, 33), stderr=5.8)
    found = only(rows)
    assert found.noise == "pairs"
    assert found.last.noise == pytest.approx(4.30265 / math.sqrt(3), rel=1e-4)
    clear = only(epochs((10, 20, 30), (12, 22, 32.1), stderr=5.8))
    assert clear.keep == "run@epoch-1"  # 2 points in each run, however far the runs are apart


def test_two_runs_are_no_pairs():
    found = only(epochs((10, 20), (12, 22), stderr=5.0))
    assert (found.noise, found.keep) == ("runs", "run@epoch-2")


def test_without_standard_errors_the_lowest_is_kept_and_nothing_is_said_of_the_noise():
    found = only(epochs(30, 20, 20.1, stderr=None))
    assert (found.keep, found.noise) == ("run@epoch-2", None)
    assert (found.last.noise, found.last.stands_out) == (None, None)


def test_steps_are_sorted_by_number_and_the_last_without_one_comes_behind():
    rows = [
        step_row("run", "last", 20, phase=2.0),
        step_row("run", "step-1000", 21, step=1000),
        step_row("run", "step-500", 22, step=500),
        step_row("run", "init", 90, phase=-1.0),
    ]
    found = only(rows)
    assert [step.label for step in found.steps] == ["init", "step-500", "step-1000", "last"]
    assert [step.at for step in found.steps] == [0, 500, 1000, 1500]
    assert found.axis == "step"


def test_the_axis_is_what_tells_all_steps_apart():
    rows = [
        step_row("run", f"epoch-{epoch}-step-{step}", 20, epoch=epoch, step=step)
        for epoch, step in ((0, 100), (0, 200), (1, 300))
    ]
    assert [step.at for step in only(rows).steps] == [100, 200, 300]
    rows = [step_row("run", name, 20) for name in ("best", "last")]
    assert (only(rows).axis, [s.at for s in only(rows).steps]) == ("checkpoint", [1, 2])


def test_two_runs_and_two_protocols_have_trajectories_of_their_own():
    rows = [*epochs(30, 20), *epochs(40, 30, 20, run="b")]
    rows += [replace(each, protocol="paper-1") for each in epochs(30, 20)]
    found = trajectories(rows)
    assert [(each.run, each.protocol, len(each.steps)) for each in found] == [
        ("run", "standard-1", 2),
        ("b", "standard-1", 3),
        ("run", "paper-1", 2),
    ]


def test_rows_of_one_step_and_rows_that_are_no_steps_say_nothing():
    assert trajectories([*epochs(20), row("a@epoch-1"), row("a@epoch-2"), row("b")]) == ()
    assert trajectories_to_plain_data(()) == {}


@pytest.mark.parametrize(
    "columns",
    [
        {},
        {"run": ("r",), "label": ("l",)},
        {"run": ("r",), "label": ("l",), "phase": (None,)},
        {"run": (1.0,), "label": ("l",), "phase": (0.0,)},
        {"run": ("r", "s"), "label": ("l", "m"), "phase": (0.0, 0.0)},
        {"run": (), "label": (), "phase": ()},
    ],
)
def test_a_broken_step_is_no_step(columns):
    detail = {"step": Detail(columns=columns)}
    rows = [replace(row(name, test_error=1), details=detail) for name in ("a", "b")]
    assert trajectories(rows) == ()


def test_steps_that_failed_are_passed_over():
    rows = epochs(30, 20, 10)
    failure = GroupFailure(kind="UnreadableError", reason="cut off")
    rows[2] = replace(
        rows[2], quantities={"test_error": Missing(missing="the group failed")}, failure=failure
    )
    found = only(rows)
    assert (found.keep, found.steps[2].score) == ("run@epoch-2", None)


def test_without_errors_the_test_loss_counts_and_without_both_it_says_so():
    rows = [
        replace(each, quantities={"test_loss": each.quantities["test_error"]})
        for each in epochs(3, 1, 9)
    ]
    assert (only(rows).score, only(rows).keep) == ("test_loss", "run@epoch-2")
    bare = only([replace(each, quantities={}) for each in rows])
    assert (bare.keep, bare.last) == (None, None)
    assert bare.missing == "neither test error nor test loss is known of two steps"


def test_json_follows_the_schema():
    content = trajectories_to_plain_data(trajectories(epochs(30, 20)))
    jsonschema.validate(json.loads(json.dumps({"format": 1, "verdicts": [], **content})), schema())
    assert content["trajectories"][0]["keep"] == "run@epoch-2"


def test_ten_thousand_steps_are_one_trajectory():
    found = only(epochs(*(50 - n / 1000 for n in range(10_000))))
    assert (len(found.steps), found.keep) == (10_000, "run@epoch-10000")

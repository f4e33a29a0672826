"""Histories: the columns of several trainers, NaN, gaps, and runs that were appended."""

from __future__ import annotations

import math

import pytest

from mdtree.runs import History
from mdtree.runs.history import points_from


def history(*lines):
    points, _ = points_from(lines)
    return History(points=points)


@pytest.mark.parametrize(
    "line",
    [
        {"step": 5, "train_loss": 0.5, "val_loss": 0.7, "val_acc": 0.8},
        {"global_step": 5, "train/loss": 0.5, "valid/loss": 0.7, "valid/accuracy": 80},
        {"step": "5", "loss": "0.5", "eval_loss": "0.7", "eval_accuracy": "0.8"},
        {"iteration": 5, "train_loss_epoch": 0.5, "val_loss_epoch": 0.7, "eval_top1": 80.0},
        {"step": 5, "Train Loss": 0.5, "Test-Loss": 0.7, "Test Acc@1": "80"},
    ],
    ids=["Lightning", "slashes", "texts", "means over an epoch", "words"],
)
def test_columns_of_trainers_mean_the_same(line):
    read = history(line)
    assert (read.last("step"), read.last("train_loss"), read.last("test_loss")) == (5, 0.5, 0.7)
    assert read.last("test_accuracy") == pytest.approx(80)


def test_shares_are_told_from_percent_by_the_whole_history():
    assert history({"val_acc": 0.5}, {"val_acc": 0.75}).last("test_accuracy") == 75
    assert history({"val_acc": 0.5}, {"val_acc": 7.5}).last("test_accuracy") == 7.5


@pytest.mark.parametrize(
    ("line", "kinds"),
    [
        ({"train_loss": 0.5, "val_acc": 0.5, "lr": 0.1}, ("losses", "accuracy")),
        ({"val_loss": 0.5}, ("losses",)),
        ({"val_acc": 0.5, "train_loss": ""}, ("accuracy",)),
        ({"lr": 0.1}, ()),
    ],
)
def test_only_what_was_logged_is_named(line, kinds):
    assert history(line).kinds == kinds


def test_the_range_of_shares_is_told_where_they_may_be_percent():
    assert history({"val_acc": 0.5}, {"val_acc": 0.25}, {"val_loss": 1}).shares == (0.25, 0.5)
    assert history({"val_acc": 0.5}, {"val_acc": 7.5}).shares is None
    assert history({"val_loss": 1}).shares is None


def test_gaps_are_gaps():
    read = history({"epoch": 0, "train_loss": 1.0, "val_loss": ""}, {"epoch": 0, "val_loss": 0.9})
    assert [point.test_loss for point in read.points] == [None, 0.9]
    assert read.last("train_loss") == 1.0
    assert read.last("test_accuracy") is None


def test_lines_without_a_measurement_are_left_out():
    assert history({"epoch": 1, "lr-SGD": 0.1}, {"epoch": 1, "comment": "hello"}).points == ()


def test_of_appended_runs_the_last_counts():
    first = [{"step": step, "train_loss": 9.0} for step in (1, 2, 3)]
    second = [{"step": step, "train_loss": 1.0} for step in (1, 2)]
    points, note = points_from([*first, *second])
    assert [point.train_loss for point in points] == [1.0, 1.0]
    assert note == "2 runs stand in it, and the last one counts"


def test_the_best_point_has_the_highest_accuracy_or_else_the_lowest_loss():
    losses = [{"epoch": 1, "val_loss": 0.3}, {"epoch": 2, "val_loss": 0.5}]
    best = history(*losses).best
    assert best is not None
    assert best.epoch == 1
    accuracies = [line | {"val_acc": 0.8 + line["epoch"] / 100} for line in losses]
    best = history(*accuracies).best
    assert best is not None
    assert best.epoch == 2
    assert history({"epoch": 1, "train_loss": 0.1}).best is None


@pytest.mark.parametrize("value", ["nan", "NaN", math.nan, math.inf, "inf"])
def test_a_run_whose_last_loss_is_not_a_number_diverged(value):
    assert history({"train_loss": 1.0}, {"train_loss": value}).diverged
    assert history({"train_loss": value}).last("train_loss") is None


def test_a_run_that_recovered_did_not_diverge():
    assert not history({"train_loss": "nan"}, {"train_loss": 1.0}).diverged
    assert not history().diverged


@pytest.mark.parametrize("value", [-0.1, 101, "nan", True, None, [80], "80 %"])
def test_what_cannot_be_an_accuracy_is_not_one(value):
    assert history({"val_acc": value, "val_loss": 1.0}).last("test_accuracy") is None


def test_steps_that_begin_again_in_each_epoch_are_one_run():
    lines = [
        {"epoch": epoch, "step": step, "train_loss": 10.0 - epoch}
        for epoch in range(3)
        for step in (0, 5, 9)
    ]
    points, note = points_from(lines)
    assert (len(points), note) == (9, None)
    assert {point.step for point in points} == {None}


def test_shares_of_a_trainer_that_never_writes_percent_are_certain():
    lines = [{"step": 5, "eval_accuracy": 1.0}]
    certain = History(points=points_from(lines, is_certain=True)[0])
    assert certain.last("test_accuracy") == history(*lines).last("test_accuracy") == 100
    assert not certain.may_be_percent(100)
    assert history(*lines).may_be_percent(100)

"""What the second half of a training brought: by steps, by epochs, by lines, over several runs."""

from __future__ import annotations

import math

import pytest

from mdtree.runs import History, late_facts, late_told
from mdtree.runs.history import points_from


def history(*lines):
    points, _ = points_from(lines)
    return History(points=points)


def by(name, values, key="val_loss", first=1, stride=1):
    return [{name: stride * n, key: value} for n, value in enumerate(values, first)]


@pytest.mark.parametrize(
    ("lines", "drop"),
    [
        # from 2 to 1: the second half begins after the second of four
        (by("step", (4, 2, 1.5, 1), stride=10), 50),
        (by("epoch", (4, 2, 1.5, 1)), 50),
        (by("epoch", (4, 2, 1.5, 1), first=0), 50),
        ([{"val_loss": loss} for loss in (4, 2, 1.5, 1)], 50),
        # from 3, which lies between step 12 and step 24
        ([{"step": n, "val_loss": loss} for n, loss in ((6, 9), (12, 4), (24, 2), (36, 1))], 66.7),
        # lines of the training loss stand between
        ([{"step": n, **({"loss": 1} if n % 2 else {"eval_loss": 8 / n})} for n in range(1, 9)],
         50),
        (by("epoch", (4, 2, 3, 3)), 0),  # it rose
        (by("epoch", (4, 2, 1, 0.991)), 0),  # it had come to rest before the last quarter
        # a last test on other data
        ([*by("epoch", (4, 2, 1.5, 1)), {"epoch": 4, "test_loss": 0.1}], 50),
    ],
)  # fmt: skip
def test_the_drop_of_the_test_loss_is_that_since_the_middle(lines, drop):
    assert late_facts([history(*lines)]) == {"late_loss_drop": pytest.approx(drop)}


@pytest.mark.parametrize(
    ("accuracies", "gain"),
    [
        ((20, 60, 70, 80), 20),
        ((0.2, 0.6, 0.7, 0.8), 20),
        ((20, 60, 70, 50), 0),
        ((20, 60, 70, 69), 0),  # it fell in the last quarter
        ((100,) * 4, 0),
    ],
)
def test_the_gain_of_accuracy_is_in_points(accuracies, gain):
    logged = history(*by("epoch", accuracies, "val_acc"))
    assert late_facts([logged]) == {"late_accuracy_gain": pytest.approx(gain)}


def test_several_runs_give_their_mean():
    runs = [history(*by("epoch", (0, 10, 15, end), "val_acc")) for end in (20, 30)]
    assert late_facts(runs) == {"late_accuracy_gain": 15.0}
    assert late_facts([*runs, history()]) == {}  # one of them tells nothing


@pytest.mark.parametrize(
    "lines",
    [
        [],
        by("epoch", (4, 3, 2, 1), "train_loss"),  # of training items alone
        by("epoch", (3, 2, 1)),  # too few
        by("step", (4, 3, 2, 1), first=6),  # of the second half alone
        by("epoch", [math.nan] * 8),
        by("epoch", (4, 3, 2, 1, math.nan)),  # nobody knows how it ended
        by("epoch", (4, 2, 1, -1)),  # percent of what may be negative say nothing
        by("step", (4, 3, 2, 1), stride=0),  # all at step 0
        by("epoch", (0.1, 0.5, 0.7, 0.9), "accuracy"),  # of training or of test data
        [{"epoch": n, "val_loss": loss} for n, loss in ((1, 4), (2, 3), (3, 2), (40, 1))],
    ],
)
def test_nothing_is_known_where_the_log_does_not_tell(lines):
    assert late_facts([history(*lines)]) == {}


def test_no_history_tells_nothing():
    assert late_facts([]) == {}


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (by("epoch", (3, 2, 1)), "3 evaluations of test data are logged"),
        (by("epoch", (0.5,), "val_acc"), "1 evaluation of test data is logged"),
        (by("epoch", (4, 3, 2, 1), "train_loss"), "0 evaluations of test data are logged"),
        # whose data they are is not said
        (by("epoch", (0.1, 0.5, 0.7, 0.9), "accuracy"), "0 evaluations of test data are logged"),
        # a last test on other data
        ([*by("epoch", (3, 2, 1)), {"epoch": 3, "test_loss": 1}], "3 evaluations of test data"),
    ],
)
def test_too_few_evaluations_are_counted(lines, words):
    facts, (note,) = late_told([history(*lines), history(*by("epoch", (9, 4, 2, 1)))], "log.csv")
    assert facts == {}
    assert note.startswith(f"log.csv: {words}")
    assert note.endswith("; whether training ended too early is told from 4 on")


@pytest.mark.parametrize(
    "lines",
    [
        [],
        by("epoch", (4, 3, 2, 1)),
        by("epoch", (4, 3, 2, math.nan)),  # enough, and of no use for another reason
        [{"epoch": 1, "val_loss": 4.0}, {"epoch": 2, "train_loss": math.nan}],  # it diverged
    ],
)
def test_where_the_evaluations_are_enough_or_none_could_help_nothing_is_said(lines):
    assert late_told([history(*lines)])[1] == ()

"""Trajectories in words: the rule is stated, tables are short, names are harmless."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mdtree.diagnosis import trajectories
from mdtree.render.trajectory_text import kept, last_steps, trajectory_text
from tests.support.steps import epochs


def only(rows):
    (trajectory,) = trajectories(rows)
    return trajectory


@pytest.mark.parametrize(
    ("errors", "stderr", "text"),
    [
        (
            (30, 20, 21),
            1.0,
            (
                "keep run@epoch-3: test error 21.0 ± 1.0 %, the latest of 2 that the noise cannot "
                "tell apart (the lowest is run@epoch-2, 20.0 ± 1.0 %)"
            ),
        ),
        (
            (30, 21, 20),
            1.0,
            (
                "keep run@epoch-3: the lowest test error, 20.0 ± 1.0 %, and the latest of 2 that "
                "the noise cannot tell apart"
            ),
        ),
        (
            (30, 20, 40),
            1.0,
            "keep run@epoch-2: the lowest test error, 20.0 ± 1.0 %, by more than the noise",
        ),
        (
            (30, 20, 21),
            None,
            "keep run@epoch-2: the lowest test error, 20 %; the noise of it is not known",
        ),
    ],
)
def test_the_checkpoint_to_keep_is_named_with_the_rule(errors, stderr, text):
    assert kept(only(epochs(*errors, stderr=stderr))) == text


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        (
            epochs(30, 20, 21),
            (
                "the last 3 differ by 10 points, which stands out of the noise of the evaluation "
                "(2.8 points: two binomial standard errors of a difference)"
            ),
        ),
        (
            epochs((20, 22), (20, 23)),
            (
                "the last 2 differ by 0.5 points, which does not stand out of the noise of the "
                "evaluation (2.8 points: two standard errors of a difference over the runs)"
            ),
        ),
        (
            epochs(30, 20, stderr=None),
            "the last 2 differ by 10 points; whether that is noise of the evaluation is not known",
        ),
    ],
)
def test_the_last_ones_are_compared_and_the_noise_says_what_it_is(rows, text):
    assert last_steps(only(rows)) == text


def test_the_table_marks_what_to_keep_and_the_lowest():
    rows = epochs(30, 20, 21)
    lines = trajectory_text(only(rows), rows).splitlines()
    assert lines[0] == "trajectory of run: 3 checkpoints, epoch-1 to epoch-3"
    assert lines[1].split() == ["epoch", "test_error", "[%]"]
    assert lines[4].split() == ["epoch-2", "20.0", "±", "1.0", "lowest"]
    assert lines[5].split() == ["epoch-3", "21.0", "±", "1.0", "keep"]


def test_many_steps_are_thinned_out_and_the_lowest_stays():
    errors = [50.0] * 10_000
    errors[4321] = 10.0
    rows = epochs(*errors)
    text = trajectory_text(only(rows), rows)
    assert len(text.splitlines()) < 24
    assert "epoch-4322" in text
    assert "epoch-10000 " in text
    assert "steps between them" in text


def test_without_errors_the_reason_stands_there():
    rows = [replace(each, quantities={}) for each in epochs(30, 20)]
    text = trajectory_text(only(rows), rows)
    assert "which checkpoint to keep is not known: neither test error nor test loss" in text


def test_names_cannot_steer_the_terminal():
    rows = epochs(30, 20, run="a\x1b[2J\n")
    text = trajectory_text(only(rows), rows)
    assert "\x1b" not in text
    assert text.splitlines()[0].startswith("trajectory of a\\x1b[2J\\n: 2 checkpoints")

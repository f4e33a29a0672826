"""What the row of a step says of its run: hostile names and logs give a small, finite table."""

from __future__ import annotations

import math

import pytest

from mdtree.checkpoints import StepChoice, select
from mdtree.measurement.one_run import history_detail, step_detail
from mdtree.runs import History, HistoryPoint


def details(*names, unnamed="checkpoint"):
    chosen = select(names, StepChoice(kind="all"))
    return [step_detail("run", each, unnamed)["step"].columns for each in chosen]


def test_a_step_says_what_its_name_counts():
    assert details("epoch_2.pt", "epoch_10.pt", "last.pt") == [
        {"epoch": (2.0,), "run": ("run",), "label": ("epoch-2",), "phase": (0.0,)},
        {"epoch": (10.0,), "run": ("run",), "label": ("epoch-10",), "phase": (0.0,)},
        {"run": ("run",), "label": ("last",), "phase": (2.0,)},
    ]


def test_a_number_without_a_word_counts_what_the_log_says():
    first, _ = details("checkpoint-500", "checkpoint-1000", unnamed="step")
    assert first["step"] == (500.0,)


def test_a_number_that_is_too_large_is_left_out():
    _, last = details("epoch_1.pt", f"epoch_{'9' * 400}.pt")
    assert last.keys() == {"run", "label", "phase"}


def test_seeds_are_no_steps():
    (one,) = select(["seed_0.pt", "seed_1.pt"])
    assert step_detail("run", one, "checkpoint") == {}


def test_a_long_log_is_thinned_out_and_its_end_stays():
    points = tuple(HistoryPoint(step=n, train_loss=1 / (n + 1)) for n in range(100_000))
    table = history_detail([History(points=points), History(points=points[:3])])["history"].columns
    assert len(table["run"]) <= 1005
    assert max(table["step"]) == 99_999
    assert table.keys() == {"run", "step", "train_loss"}
    assert table["run"][-3:] == (1.0, 1.0, 1.0)


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_what_is_not_finite_is_a_gap(loss):
    points = (HistoryPoint(epoch=1, train_loss=1.0), HistoryPoint(epoch=2, train_loss=loss))
    table = history_detail([History(points=points)])["history"].columns
    assert table["train_loss"] == (1.0, None)


@pytest.mark.parametrize("histories", [[], [History()], [History(), History()]])
def test_without_a_log_there_is_no_table(histories):
    assert history_detail(histories) == {}

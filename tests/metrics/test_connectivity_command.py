"""Connectivity through the command line: workers, and Ctrl-C in the middle of a curve."""

from __future__ import annotations

from dataclasses import replace
from operator import itemgetter

import pytest
import torch

from mdtree.metrics import METRICS, curve
from mdtree.rows import Measured
from tests.support.valleys import InterruptingLoss, few_steps
from tests.support.zoos import change_recipe, lines_of, rows_of, write_zoo


@pytest.fixture
def args(tmp_path):
    """Measure two groups of two networks with BatchNorm."""
    root = write_zoo(tmp_path / "zoo", {"a": [0, 1], "b": [2, 3]})
    return ["measure", root, "--metrics", "connectivity", "--out"]


def numbers_of(line):
    """Take the numbers out of a row: what is left has no last bits, and can be equal."""
    values = line["quantities"].values()
    numbers = [value.pop(name) for value in values for name in ("value", "stderr") if name in value]
    curve = line["details"].pop("curve")["columns"]
    return torch.tensor([*curve["train_error"], *curve["train_loss"], *numbers], dtype=torch.double)


@pytest.mark.usefixtures("ready_workers")
def test_two_workers_give_the_numbers_of_one_and_another_seed_gives_others(mdtree, args, tmp_path):
    """One worker may have several threads, two have one each: their sums differ in last bits.

    Training makes such bits larger, but nowhere near as large as another seed would.
    """
    one, two, other = (tmp_path / f"{name}.jsonl" for name in ("one", "two", "other"))
    assert mdtree(*args, one).code == 0
    assert mdtree(*args, two, "--workers", 2).code == 0
    assert mdtree(*args, other, "--seed", 1).code == 0

    for row in rows_of(one).values():
        assert all(isinstance(value, Measured) for value in row.quantities.values())
        assert row.provenance.passes > 0
    rows = [sorted(lines_of(path), key=itemgetter("group")) for path in (one, two, other)]
    for same, parallel, different in zip(*rows, strict=True):
        numbers, again, others = map(numbers_of, (same, parallel, different))
        assert (numbers - again).abs().max() < (numbers - others).abs().max() / 100
        assert same == parallel


def test_ctrl_c_in_the_middle_of_a_curve_writes_no_row_and_the_group_is_measured_next_time(
    mdtree, args, tmp_path, monkeypatch
):
    monkeypatch.setitem(METRICS, "connectivity", few_steps(steps=20, epochs=4))
    cut, whole = tmp_path / "cut.jsonl", tmp_path / "whole.jsonl"
    train, groups = curve.train_curve, []

    def interrupted(runner, *args):
        groups.append(runner)
        loss = InterruptingLoss(10 if len(groups) == 2 else 10**9)
        return train(replace(runner, loss=loss), *args)

    with monkeypatch.context() as patched:
        patched.setattr(curve, "train_curve", interrupted)
        assert mdtree(*args, cut).code == 130
    assert list(rows_of(cut)) == ["a"]

    assert mdtree(*args, cut).code == 0
    assert mdtree(*args, whole).code == 0
    assert lines_of(cut) == lines_of(whole)


def test_one_checkpoint_and_numbers_to_predict_are_rows_with_reasons(mdtree, tmp_path):
    root = write_zoo(tmp_path / "zoo", {"alone": [0]})
    ran = mdtree("measure", root, "--metrics", "connectivity")
    assert ran.code == 0
    (row,) = rows_of(root / "rows.jsonl").values()
    assert {value.missing for value in row.quantities.values()} == {"needs 2 checkpoints, found 1"}


def test_a_part_of_the_data_is_trained_on_as_long_as_all_of_it(mdtree, args, tmp_path, monkeypatch):
    """The digits have 1,200 training items: 50 epochs of 9 batches, also for 50 of them."""
    train, seen = curve.train_curve, []

    def short(runner, path, items, how, source):
        seen.append((len(items), how.steps))
        return train(runner, path, items, replace(how, steps=1), source)

    monkeypatch.setattr(curve, "train_curve", short)
    assert mdtree(*args, tmp_path / "rows.jsonl", "--protocol", "paper-1").code == 0
    change_recipe(args[1], data={"source": "digits"})
    assert mdtree(*args, tmp_path / "all.jsonl", "--protocol", "paper-1").code == 0
    assert seen == [(50, 50 * 9)] * 2 + [(1200, 50 * 9)] * 2

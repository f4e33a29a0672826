"""A budget of seconds: the cheapest metrics first, what does not fit is said, and nothing hangs."""

from __future__ import annotations

import time

import pytest
import torch
from torch import nn

from mdtree.exceptions import MdtreeError
from mdtree.measurement import ModelsInMemory, row_within
from mdtree.rows import Measured, Missing


def items(seed, count=4):
    torch.manual_seed(seed)
    return torch.randn(count, 5), torch.randint(0, 3, (count,))


@pytest.fixture(autouse=True)
def _clock(monkeypatch):
    """Let hardly any time pass but in slow networks, however busy the machine is."""
    monkeypatch.setattr(Slow, "now", 0.0)
    for name in ("perf_counter", "process_time"):
        monkeypatch.setattr(time, name, tick)


def tick():
    Slow.now += 1e-9
    return Slow.now


class Slow(nn.Module):
    """A network that takes its time, after some calls of it or of a copy."""

    calls = 0
    now = 0.0  # seconds

    def __init__(self, seconds, after=0):
        super().__init__()
        torch.manual_seed(0)
        self.linear = nn.Linear(5, 3)
        self.seconds, self.after = seconds, after
        Slow.calls = 0

    def forward(self, x):
        Slow.calls += 1
        if Slow.calls > self.after:
            Slow.now += self.seconds
        return self.linear(x)


def models(model):
    return ModelsInMemory(models=[model], train=items(0), test=items(1))


def test_with_time_enough_the_row_is_that_without_a_budget():
    model = nn.Linear(5, 3)
    row = row_within(models(model), 1000.0)
    assert row.quantities == models(model).row().quantities
    assert row.provenance.notes == ()


def test_what_does_not_fit_is_missing_with_its_time():
    row = row_within(models(Slow(0.02)), 4.0, ["hessian", "error_rate", "spectrum"])
    assert row.provenance.metrics == ("spectrum", "error_rate")  # the cheapest first
    assert isinstance(row.quantities["train_error"], Measured)
    missing = row.quantities["hessian_top"].missing
    assert missing.startswith("hessian did not fit into the budget: it takes about ")
    assert missing in row.provenance.notes


def test_simple_classifiers_do_not_take_the_time_of_the_errors():
    many = ModelsInMemory(models=[nn.Linear(5, 3)], train=items(0, 4000), test=items(1, 900))
    row = row_within(many, 0.5, ["baseline", "error_rate"])
    assert isinstance(row.quantities["test_error"], Measured)
    missing = row.quantities["baseline_error"].missing
    assert missing.startswith("baseline did not fit into the budget: it takes about ")


def test_a_metric_that_takes_longer_than_expected_is_stopped():
    names = ["error_rate", "hessian"]
    row_within(models(Slow(0.0)), 1.0, names)
    row = row_within(models(Slow(1.5, after=Slow.calls - 2)), 1.0, names)
    assert row.quantities["hessian_top"] == Missing(
        missing="hessian was stopped: the budget was used up"
    )
    assert isinstance(row.quantities["train_error"], Measured)


def test_a_metric_that_fails_spares_the_others():
    class Rough(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(5, 3)

        def forward(self, x):
            if torch.is_grad_enabled():
                raise KeyError("no derivatives here")
            return self.linear(x)

    row = row_within(models(Rough()), 60.0, ["hessian", "error_rate"])
    assert "KeyError: 'no derivatives here'" in row.quantities["hessian_top"].missing
    assert isinstance(row.quantities["train_error"], Measured)


def test_nothing_at_all_is_an_error():
    with pytest.raises(MdtreeError, match="nothing was measured: error_rate did not fit"):
        row_within(models(Slow(0.01)), 1e-6, ["error_rate"])
    with pytest.raises(MdtreeError, match="nothing was measured: needs 2 checkpoints, found 1"):
        row_within(models(nn.Linear(5, 3)), 60.0, ["connectivity"])
    broken = models(nn.Linear(4, 3))
    with pytest.raises(MdtreeError, match=r"nothing was measured: error_rate failed: .*4x3"):
        row_within(broken, 60.0, ["error_rate"])

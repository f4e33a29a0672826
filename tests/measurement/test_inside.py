"""Progress inside a group, by hand: two metrics that announce 100 and 300 passes."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from types import SimpleNamespace

import pytest

from mdtree.landscape import ComputeCost
from mdtree.measurement.inside import ReportingMeter
from mdtree.metrics import METRICS, MetricInput
from mdtree.progress import listening

PASS = ComputeCost(forward=1)
GROUP = MetricInput(
    runner=None,
    members={},
    data=SimpleNamespace(train=(), test=None, full=0),
    protocol="x",
    seed=0,
)


@pytest.fixture
def meter(monkeypatch):
    for name, passes in (("error_rate", 100), ("hessian", 300), ("spectrum", 0)):
        cost = ComputeCost(forward=passes)
        metric = replace(METRICS[name], cost=lambda _, cost=cost: cost)
        monkeypatch.setitem(METRICS, name, metric)
    made = ReportingMeter(ComputeCost(forward=7))
    made.announce(("error_rate", "spectrum", "hessian"), GROUP)
    return made


def heard(work):
    shares = []
    with listening(lambda share, metric: shares.append((round(share, 6), metric))):
        work()
    return shares


def test_shares_are_those_of_the_announced_passes(meter):
    def work():
        meter.begin("error_rate")
        meter.add(PASS * 50)
        meter.add(PASS * 30)
        meter.begin("spectrum")
        meter.begin("hessian")
        meter.add(PASS * 150)

    assert heard(work) == [
        (0, "error_rate"),
        (0.125, "error_rate"),  # 50 of 400
        (0.2, "error_rate"),
        (0.25, "spectrum"),
        (0.25, "hessian"),
        (0.625, "hessian"),
    ]
    assert meter.total.passes == 7 + 80 + 150


def test_a_metric_that_takes_longer_still_moves_and_never_ends(meter):
    def work():
        meter.begin("error_rate")
        for _ in range(10):
            meter.add(PASS * 100)

    shares = [share for share, _ in heard(work)]
    assert shares[1] == pytest.approx(0.25 * (1 - 0.2 * math.exp(-1)), abs=1e-6)
    assert all(one <= other <= 0.25 for one, other in itertools.pairwise(shares))
    assert shares[1] < shares[2] < shares[3]


def test_without_costs_there_is_nothing_to_report(monkeypatch):
    free = replace(METRICS["spectrum"], cost=lambda _: ComputeCost())
    monkeypatch.setitem(METRICS, "spectrum", free)
    made = ReportingMeter(ComputeCost())
    made.announce(("spectrum",), GROUP)
    assert heard(lambda: made.begin("spectrum")) == []

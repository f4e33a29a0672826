"""How precise quantities are while they are measured, and who stops them."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import pytest
import torch

from mdtree.metrics import METRICS
from mdtree.metrics.budgets import ConnectivityBudget, StandardConnectivity
from mdtree.metrics.connectivity import connectivity_metric
from mdtree.metrics.precision import Inquiry, known, of_probes, stopped_by
from mdtree.rows import Running
from tests.support import exact, valleys
from tests.support.cases import X, Y, group

CURVE = ("connectivity", "connectivity_peak", "barrier", "barrier_loss")
LINE = ("linear_barrier", "linear_barrier_loss")


class Asked:
    """Answers y(es) or n(o) to questions in order, and n to all others; keeps what was told."""

    def __init__(self, answers=""):
        self.answers, self.told = list(answers), []

    def __call__(self, running):
        self.told.append(dict(running))
        return bool(self.answers) and self.answers.pop(0) == "y"


def test_few_probes_are_less_sure_than_their_error_says():
    """The quantile of Student's t at 99.5 %: 63.657 with one degree of freedom, 5.841 with 3."""
    many = 10**9
    assert of_probes(10.0, 1.0, 2, many).reach == pytest.approx((10 - 63.657, 10 + 63.657), 1e-3)
    assert of_probes(10.0, 1.0, 4, many).reach == pytest.approx((10 - 5.841, 10 + 5.841), 1e-3)
    assert of_probes(10.0, 1.0, 1, many).reach == (-math.inf, math.inf)


def test_probes_so_far_are_part_of_the_final_mean():
    """Of 16 probes, 12 are known: half of the error is left."""
    half, whole = of_probes(0.0, 1.0, 12, 16).reach[1], of_probes(0.0, 1.0, 12, 10**9).reach[1]
    assert half == pytest.approx(whole / 2)
    assert of_probes(3.0, 1.0, 16, 16).reach == (3.0, 3.0)


def test_nothing_is_asked_before_something_is_known_of_all_members():
    asked = Asked("y")
    inquiry = Inquiry(enough=asked, parts=2)
    assert not inquiry.is_enough_with("a", {"hessian_top": known(2.0)})
    assert asked.told == []
    assert inquiry.is_enough_with("b", {"hessian_top": Running(value=4.0, reach=(4.0, 8.0))})
    assert asked.told == [{"hessian_top": Running(value=3.0, reach=(3.0, 5.0))}]
    assert inquiry.is_settled


def test_the_full_tolerance_is_not_asked_about():
    inquiry = Inquiry(enough=None, parts=1)
    assert not inquiry.is_enough_with("a", {"hessian_top": known(1.0)})
    assert not inquiry.asks


@pytest.mark.parametrize(
    ("members", "rule"),
    [
        ([(True, False), (True, False)], "tolerance"),
        ([(True, False), (False, False)], "budget"),
        ([(True, False), (False, True)], "verdict"),
    ],
)
def test_one_member_decides_what_stopped_a_quantity(members, rule):
    assert stopped_by(members) == rule


def hessian(enough):
    module, members = group(exact.mlp, 2)
    subject = exact.subject(module, members, (X, Y))
    return METRICS["hessian"].compute(replace(subject, enough=enough))


def test_the_hessian_stops_when_it_is_told_to():
    """Two members: four steps and four probes each; the full numbers lie within reach."""
    full, coarse = hessian(None), hessian(Asked("y"))
    for name, full_rule in (("hessian_top", "tolerance"), ("hessian_trace", "budget")):
        assert full.stopped[name] == full_rule
        assert coarse.stopped[name] == "verdict"
        assert coarse.values[name].iterations == 8
        assert coarse.values[name].converged is False
        low, high = coarse.open[name].reach
        assert low <= full.values[name].value <= high
    assert full.open == {}


def close(values, full):
    """Whether numbers, and how they were found, are those of a measurement in one part."""
    for name, each in full.items():
        assert values[name].value == pytest.approx(each.value, rel=1e-4)
        assert values[name].members == pytest.approx(each.members, rel=1e-4)
        assert values[name].iterations == each.iterations
        assert values[name].converged == each.converged
    return True


def test_a_hessian_that_is_never_enough_is_the_full_one():
    asked = Asked()
    full, patient = hessian(None), hessian(asked)
    assert close(patient.values, full.values)
    assert patient.stopped == full.stopped
    assert patient.open == {}
    assert [set(told) for told in asked.told] == [{"hessian_top", "hessian_trace"}] * len(
        asked.told
    )
    probes = full.values["hessian_trace"].iterations
    assert probes == 2 * 96
    assert len(asked.told) <= 2 * (2 + 5)  # 8 and 16 steps; 8, 16, 32, 64 and 96 probes


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("answers", ["y", "ny", "nnnny"])
def test_a_hessian_that_was_stopped_goes_on(count, answers):
    """What was known is not measured again: both parts take as many products as one."""
    kept, work = {}, []
    for enough in (Asked(answers), None):
        module, members = group(exact.mlp, count)
        subject = exact.subject(module, members, (X, Y))
        result = METRICS["hessian"].compute(replace(subject, enough=enough, unfinished=kept))
        work.append(subject.runner.meter.total.product)
        if enough is not None:
            assert result.stopped["hessian_trace"] == "verdict"
            assert len(kept) == count
    assert kept == {}
    module, members = group(exact.mlp, count)
    subject = exact.subject(module, members, (X, Y))
    full = METRICS["hessian"].compute(subject)
    assert close(result.values, full.values)
    spread = len(X) if count == 1 else 0  # its products are made in both parts
    assert sum(work) == subject.runner.meter.total.product + spread


def test_members_go_on_in_turn():
    """The first is measured further, then the second, and so on, until it is enough."""
    asked = Asked("ny")
    result = hessian(asked)
    assert len(asked.told) == 2
    assert result.values["hessian_top"].iterations == 8 + 4


def test_once_memory_is_full_the_next_members_go_to_their_end(monkeypatch):
    monkeypatch.setattr("mdtree.metrics.hessian_precision._MOST", 10)
    asked = Asked("ny")
    result = hessian(asked)
    full = hessian(None)
    assert len(asked.told) == 2  # with the second at its end, and then with the first further
    assert result.stopped["hessian_trace"] == "verdict"
    assert result.values["hessian_trace"].members[1] == full.values["hessian_trace"].members[1]


def test_the_trace_alone_is_left_out_where_it_is_not_wanted():
    module, members = group(exact.mlp, 2)
    subject = exact.subject(module, members, (X, Y))
    asked = Asked("y")
    result = METRICS["hessian"].compute(replace(subject, enough=asked, quantities=("hessian_top",)))
    assert set(asked.told[0]) == set(result.values) == {"hessian_top"}
    assert result.stopped == {"hessian_top": "verdict"}


def test_an_interrupted_question_interrupts():
    def stop(_):
        raise KeyboardInterrupt

    module, members = group(exact.mlp, 2)
    subject = exact.subject(module, members, (X, Y))
    before = torch.random.get_rng_state()
    with pytest.raises(KeyboardInterrupt):
        METRICS["hessian"].compute(replace(subject, enough=stop))
    assert torch.equal(torch.random.get_rng_state(), before)


SHORT = connectivity_metric(
    ConnectivityBudget(standard=StandardConnectivity(steps=80, check_every=10))
)


def curve(enough):
    measure = partial(valleys.subject, enough=enough)
    return SHORT.compute(measure(valleys.mlp(), valleys.members(valleys.mlp)))


def test_a_curve_that_the_line_settles_is_not_trained():
    full, coarse = curve(None), curve(Asked("y"))
    assert [coarse.values[name] for name in LINE] == [full.values[name] for name in LINE]
    assert coarse.values["barrier"].value == coarse.values["linear_barrier"].value
    for name in CURVE:
        assert not coarse.values[name].converged
        assert coarse.values[name].iterations == 0
        assert coarse.stopped[name] == "verdict"
    assert set(coarse.open) == set(CURVE)
    assert coarse.details["curve"] == coarse.details["line"]


def test_a_curve_may_be_enough_on_its_way():
    asked = Asked("ny")  # the line, then after 75 steps
    assert curve(asked).stopped == dict.fromkeys(CURVE, "verdict")
    assert len(asked.told) == 2


def test_what_a_curve_becomes_lies_within_reach_of_what_it_was():
    full = curve(None)
    for answers in ("y", "ny"):
        for name, running in curve(Asked(answers)).open.items():
            low, high = sorted(running.reach)
            assert low <= full.values[name].value <= high


def test_a_curve_that_is_never_enough_is_the_full_one():
    full, patient = curve(None), curve(Asked())
    assert patient.values == full.values
    assert patient.details == full.details
    assert patient.open == {}


def test_a_curve_reaches_from_what_it_is_to_ends_without_errors():
    asked = Asked("y")
    result = curve(asked)
    (told,) = asked.told
    for name in CURVE:
        assert told[name].value == told[name].reach[0] == result.values[name].value
    assert told["barrier"].reach[1] <= 0  # minus the error of the worse end
    assert told["connectivity_peak"].reach[1] == 0.0
    assert told["connectivity"].reach[1] >= told["connectivity"].value

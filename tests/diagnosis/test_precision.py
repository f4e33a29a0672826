"""Precision: measuring may stop once what is left open of a quantity changes no verdict."""

from __future__ import annotations

import math
import pickle
from dataclasses import replace

import pytest

from mdtree.diagnosis import Diagnoser, RowPrecision, VerdictPrecision, agreement, open_metric
from mdtree.rows import Measured, Provenance, Running, coarse_metrics, remaining
from tests.support.rows import row
from tests.support.trees import HIGH, LOW, leaf_of_ten, small_tree, split

LOW_LEAF, HIGH_LEAF = leaf_of_ten(LOW), leaf_of_ten(HIGH)
TRACE = ("log_hessian_trace",)


def by_trace(threshold=5.0):
    tree = split("log_hessian_trace", threshold, LOW_LEAF, HIGH_LEAF)
    return Diagnoser(small_tree(tree, TRACE), name="t")


def trace(value, low, high):
    """Give the trace between two ends; all are logarithms."""
    ends = math.exp(low), math.exp(high)
    return {"hessian_trace": Running(value=math.exp(value), reach=ends)}


@pytest.mark.parametrize(
    ("low", "high", "share"),
    [(3.0, 4.9, 1.0), (5.1, 9.0, 1.0), (3.0, 6.0, 0.5), (4.0, 6.1, 0.5)],
    ids=["below", "above", "across", "just across"],
)
def test_a_reach_on_one_side_of_the_threshold_is_enough(low, high, share):
    running = trace((low + high) / 2, low, high)
    assert agreement(by_trace(), row(), running) == pytest.approx(
        share, abs=0.006
    )  # 1 % is outside
    enough = VerdictPrecision(diagnoser=by_trace())(row())
    assert enough(running) == (share == 1.0)


def test_the_mean_of_probes_is_rarely_at_the_ends_of_its_reach():
    """Ends at 2.576 standard deviations; 2.326 and 2.5 of them hold 99.0 and 99.4 % below."""
    for deviations, is_enough in ((2.2, False), (2.5, True)):
        high = 5.0 - 4.0 + (4.0 + 1e-9) * 2.5758 / deviations
        running = trace(1.0, 1.0 - (high - 1.0), high)
        enough = RowPrecision(diagnoser=by_trace(), row=row())
        assert enough(running) == is_enough
        assert 0.98 < agreement(by_trace(), row(), running) < 1.0


def test_what_lies_between_equal_ends_is_asked_too():
    """One way, evenly: of the logarithms from 4 to 6, a tenth lies in a band of another answer."""
    above = split("log_hessian_trace", 5.1, HIGH_LEAF, LOW_LEAF)
    tree = split("log_hessian_trace", 4.9, LOW_LEAF, above)
    diagnoser = Diagnoser(small_tree(tree, TRACE), name="t")
    assert agreement(diagnoser, row(), trace(4.0, 4.0, 6.0)) == pytest.approx(0.9)


@pytest.mark.parametrize("broken", [math.nan, math.inf])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_number_that_is_not_finite_is_never_enough(broken, place):
    value, *reach = [broken if n == place else 10.0 for n in range(3)]
    running = {"hessian_trace": Running(value=value, reach=tuple(reach))}
    assert agreement(by_trace(), row(), running) == 0.0
    assert not RowPrecision(diagnoser=by_trace(), row=row())(running)


def test_a_reach_below_zero_has_no_logarithm_and_counts_as_missing():
    tree = split("log_hessian_trace", 5.0, LOW_LEAF, HIGH_LEAF, missing="high")
    diagnoser = Diagnoser(small_tree(tree, TRACE), name="t")
    running = {"hessian_trace": Running(value=2.0, reach=(-1.0, 5.0))}
    assert agreement(diagnoser, row(), running) < 1.0


def test_quantities_of_a_curve_move_together():
    """The answer is `high` where one is good and the other is bad, which no curve is."""
    names = ("connectivity", "connectivity_peak")
    bad = split("connectivity_peak", -0.5, LOW_LEAF, HIGH_LEAF)
    diagnoser = Diagnoser(small_tree(split(names[0], -0.5, bad, LOW_LEAF), names), name="t")
    curve = dict.fromkeys(names, Running(value=-1.0, reach=(-1.0, 0.0)))
    apart = {"connectivity_peak": curve["connectivity_peak"]}
    assert agreement(diagnoser, row(), curve) == 1.0
    assert agreement(diagnoser, row(connectivity=-1.0), apart) < 1.0


def test_a_curve_is_judged_by_what_it_is_now():
    """It is low, and it is enough if it stays low, and not if it may rise: to 0 from -50."""
    tree = split("connectivity", -10.0, LOW_LEAF, HIGH_LEAF)
    diagnoser = Diagnoser(small_tree(tree, ("connectivity",)), name="t")
    for best, share in ((-20.0, 1.0), (0.0, 0.5)):  # of -47.5 and -2.5, which are asked first
        curve = {"connectivity": Running(value=-50.0, reach=(-50.0, best))}
        assert agreement(diagnoser, row(), curve) == share


def test_a_target_that_is_reached_leaves_nothing_open():
    known = row(test_error=1.0, facts={"target_accuracy": 90.0})
    assert agreement(by_trace(), known, trace(5.0, 1.0, 9.0)) == 1.0


def test_what_another_metric_left_open_is_open_still():
    """The trace is enough by itself, and not together with a curve that may still rise."""
    tree = split("connectivity", -10.0, LOW_LEAF, HIGH_LEAF)
    names = ("connectivity", *TRACE)
    known = stopped_row({"connectivity": (-50.0, 0.0)}, connectivity=-50.0)
    diagnoser = Diagnoser(small_tree(tree, names), name="t")
    assert RowPrecision(diagnoser=diagnoser, row=row())(trace(3.0, 2.0, 4.0))
    assert not RowPrecision(diagnoser=diagnoser, row=known)(trace(3.0, 2.0, 4.0))


def test_it_crosses_processes():
    precision = VerdictPrecision(diagnoser=by_trace(), facts={"width": 4})
    enough = pickle.loads(pickle.dumps(precision))(row())
    assert enough.row.facts["width"] == 4
    assert enough(trace(3.0, 2.0, 4.0))
    assert not enough(trace(5.0, 4.0, 6.0))


def stopped_row(reach, **quantities):
    provenance = Provenance(
        weights={"a": "0"}, recipe="0", metrics=("error_rate", "hessian"), seed=0, device="cpu",
        seconds=1.0, versions={}, reach=reach,
    )  # fmt: skip
    return replace(row(**quantities), provenance=provenance)


def test_a_row_says_what_is_left_open():
    known = stopped_row(
        {"hessian_trace": (10.0, 30.0), "connectivity": (-5.0, 0.0)},
        hessian_trace=Measured(value=20.0),
        connectivity=Measured(value=-5.0),
    )
    assert remaining(known) == {
        "hessian_trace": Running(value=20.0, reach=(10.0, 30.0)),
        "connectivity": Running(value=-5.0, reach=(-5.0, 0.0)),
    }
    assert coarse_metrics(known) == ("hessian", "connectivity")
    assert coarse_metrics(row(hessian_trace=20.0)) == ()


@pytest.mark.parametrize(("threshold", "metric"), [(9.0, None), (3.0, "hessian")])
def test_what_is_too_coarse_for_a_verdict_is_named(threshold, metric):
    """ln 20 is 3.0: a tree that asks there needs more than 10 to 30."""
    known = stopped_row({"hessian_trace": (10.0, 30.0)}, hessian_trace=Measured(value=20.0))
    found = open_metric(by_trace(threshold), known)
    assert (found and found.metric) == metric
    assert open_metric(by_trace(9.0), known, all_of_them=True).metric == "hessian"
    assert by_trace(threshold)(known).coarse == ("hessian_trace",)


def test_of_two_metrics_the_one_that_matters_is_named():
    known = stopped_row(
        {"hessian_trace": (10.0, 30.0), "connectivity": (-50.0, 0.0)},
        hessian_trace=Measured(value=20.0),
        connectivity=Measured(value=-50.0),
    )
    for tree, metric in (
        (split("connectivity", -10.0, LOW_LEAF, HIGH_LEAF), "connectivity"),
        (split("log_hessian_trace", 3.0, LOW_LEAF, HIGH_LEAF), "hessian"),
    ):
        diagnoser = Diagnoser(small_tree(tree, ("connectivity", *TRACE)), name="t")
        assert open_metric(diagnoser, known).metric == metric

"""The target: gains end at what is achievable, and a target that is reached is the verdict."""

from __future__ import annotations

import json

import pytest

import mdtree
from mdtree.diagnosis import Diagnoser, Target, next_metric, to_plain_data
from mdtree.diagnosis.target import target_of
from mdtree.exceptions import RecipeError
from mdtree.render.page import report_page
from mdtree.render.terminal_verdict import verdict_text
from mdtree.rows import Measured, Missing
from tests.support.rows import row
from tests.support.small_gain_models import constant, gain_tree, question

GAINS = {"add_data": constant(0.4), "enlarge_model": constant(0.2)}  # 8 and 4 points of 20


def group(target=None, *, error=20.0, stderr=None, facts=None):
    known = {} if target is None else {"target_accuracy": target}
    measured = Measured(value=error, stderr=stderr)
    return row(facts={**known, **(facts or {})}, cka=0.9, test_error=measured)


def diagnoser(gains=None):
    saved = gain_tree(gains or GAINS, levels={"0.8": 0.3, "0.9": 0.15})
    return Diagnoser(saved, name="t", confidence=0.0)


def test_gains_end_at_the_gap_and_are_measured_against_it():
    free, aimed = diagnoser()(group()), diagnoser()(group(85))
    assert [gain.mean for gain in free.gains] == pytest.approx([8.0, 4.0])
    assert aimed.target == Target(accuracy=85.0, measured=80.0, gap=5.0, noise=0.0)
    assert [gain.mean for gain in aimed.gains] == pytest.approx([5.0, 4.0])
    assert aimed.probabilities == free.probabilities  # of the tree, which knows no target
    assert "gained 5.0 of the 5.0 points to the target" in aimed.advice
    assert "gained 8.0 points of test accuracy" in free.advice


def test_the_larger_gain_stays_first_where_the_target_cuts_both():
    aimed = diagnoser()(group(82))
    assert [(g.mode, g.mean) for g in aimed.gains] == [("data_small", 2.0), ("model_small", 2.0)]
    assert aimed.resources == "data_small"


def test_none_means_that_nothing_here_closes_the_gap():
    aimed = diagnoser({"add_data": constant(0.001)})(group(85))
    assert aimed.mode == "none"
    assert aimed.advice.startswith("nothing here closes the gap of 5.0 points to the target of 85")
    assert "\n  nothing here closes the gap\n" in verdict_text(aimed)


@pytest.mark.parametrize(
    ("accuracy", "stderr", "target", "reached"),
    [
        (96.0, None, 95, True),  # above it
        (95.0, None, 95, True),
        (94.5, None, 95, False),  # nothing is known of the noise
        (94.5, 0.3, 95, True),  # two standard errors are 0.6 points
        (94.5, 0.2, 95, False),
        (30.0, 14.0, 40, False),  # seeds that differ by far are no success
    ],
)
def test_a_target_is_reached_above_it_and_within_the_noise(accuracy, stderr, target, reached):
    verdict = diagnoser()(group(target, error=100 - accuracy, stderr=stderr))
    assert verdict.target.is_reached is reached
    if reached:
        assert (verdict.mode, verdict.gains) == ("none", ())
        assert verdict.probabilities == {"none": 1.0}
        assert "\n  the target is reached\n" in verdict_text(verdict)


def test_a_reached_target_needs_no_more_measurements():
    judge = diagnoser({"add_data": question(0, 0.5, 0.1, 0.4), "enlarge_model": constant(0.2)})
    far, reached = (row(facts={"target_accuracy": aim}, test_error=20.0) for aim in (85, 75))
    assert next_metric(judge, far, {"similarity": 0.0}).metrics == ("similarity",)
    assert next_metric(judge, reached, {"similarity": 0.0}) is None


def test_without_a_test_error_the_target_says_why_and_the_verdict_stays():
    regression = row(
        facts={"target_accuracy": 95}, cka=0.9, test_error=Missing(missing="no class numbers")
    )
    verdict = diagnoser()(regression)
    assert verdict.target == Target(accuracy=95.0, missing="no class numbers")
    assert verdict.mode == "data_small"
    assert "nothing to compare it with: no class numbers" in verdict_text(verdict)
    assert target_of(row(facts={"target_accuracy": 95})).missing == (
        "the test accuracy was not measured"
    )


@pytest.mark.parametrize("value", [-1, 101, 1e300, 10**400, "95", "high", True, 0.95])
def test_a_row_of_elsewhere_with_an_impossible_target_is_judged_without_it(value):
    target = target_of(group(value))
    assert target is not None
    assert target.missing.startswith("target_accuracy ")
    assert "percent" in target.missing
    assert target.gap is None
    verdict = diagnoser()(group(value))
    assert verdict.mode == diagnoser()(group()).mode
    assert "nothing to compare it with: target_accuracy" in verdict_text(verdict)


@pytest.mark.parametrize("value", [-1, 100.5, float("nan"), "high", True, 0.95, 1])
def test_an_impossible_target_of_the_user_is_refused(value):
    with pytest.raises(RecipeError, match="target_accuracy"):
        mdtree.diagnose([group()], tree=gain_tree(GAINS), target=value)


def test_python_takes_a_target_and_the_fact_is_the_same():
    tree = gain_tree(GAINS)
    (named,) = mdtree.diagnose([group()], tree=tree, target=85)
    (stated,) = mdtree.diagnose([group()], tree=tree, facts={"target_accuracy": 85})
    assert named == stated
    assert named.target.gap == pytest.approx(5.0)


def test_json_and_the_page_show_the_target_of_the_verdict_and_nothing_without_one():
    free, aimed = diagnoser()(group()), diagnoser()(group(85))
    assert "target" not in to_plain_data(free)
    assert json.loads(json.dumps(to_plain_data(aimed)))["target"]["gap"] == pytest.approx(5.0)
    line = "Target: 85 % test accuracy; measured 80.0 %, 5.0 points below it."
    judge = diagnoser()
    assert line in report_page([aimed], [group(85)], {"t": judge.saved})
    assert "Target" not in report_page([free], [group()], {"t": judge.saved})

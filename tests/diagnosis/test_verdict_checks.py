"""Checks of the verdict, on rows whose answers are known by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mdtree.diagnosis import UNSURE
from mdtree.failure_modes import FAILURE_MODES
from mdtree.rows import GroupFailure, Measured
from mdtree.trees import Leaf
from mdtree.trees.fit import fit_tree
from tests.support.checked import GAINS, judged, origin, outcome, row
from tests.support.reports import grid
from tests.support.small_gain_models import SCALE, gain_tree
from tests.support.trees import small_tree

MODES = {
    "MD101": "temperature_low",
    "MD102": "temperature_high",
    "MD103": "model_small",
    "MD104": "data_small",
}
DIVERGED = replace(
    row(), failure=GroupFailure(kind="DivergedError", reason="seed-0.pt: NaN"), provenance=origin()
)


def test_the_verdict_is_found_and_other_answers_are_fine():
    verdict = judged(row(cka=0.9, test_error=20.0))
    assert verdict.mode == "data_small"
    share = f"{100 * verdict.probability:.0f} %"
    assert outcome(verdict, "MD104") == (
        "found", f"{FAILURE_MODES['data_small']} (probability {share})"
    )  # fmt: skip
    for code in ("MD101", "MD102", "MD103"):
        chance = 100 * verdict.probabilities[MODES[code]]
        assert outcome(verdict, code) == ("passed", f"probability {chance:.0f} %")
    assert outcome(verdict, "MD110") == (
        "passed", f"data_small has {share}, a verdict needs 0 %"
    )  # fmt: skip


def test_after_unsure_no_answer_is_fine():
    verdict = judged(row(cka=0.9, test_error=20.0), confidence=1.0)
    assert verdict.mode == UNSURE
    assert outcome(verdict, "MD110") == ("found", "; ".join(verdict.why_unsure))
    for code, mode in MODES.items():
        chance = f"{100 * verdict.probabilities[mode]:.0f} %"
        assert outcome(verdict, code) == (
            "not_checked", f"the verdict is unsure; probability {chance}"
        )  # fmt: skip


def test_with_none_everything_has_passed():
    tree = gain_tree(
        {"add_data": GAINS["enlarge_model"]}, scale=replace(SCALE, none=1e6)
    )  # worth more than any gain
    verdict = judged(row(cka=0.9, test_error=20.0), tree=tree)
    assert verdict.mode == "none"
    assert {outcome(verdict, code)[0] for code in (*MODES, "MD110", "MD111")} == {"passed"}


def test_what_a_tree_does_not_ask_for_is_not_checked():
    verdict = judged(row(train_error=0.0), tree=small_tree())
    assert outcome(verdict, "MD101")[0] == "found"
    assert outcome(verdict, "MD102")[0] == "passed"
    for code in ("MD103", "MD104"):
        assert outcome(verdict, code) == (
            "not_checked", "the tree does not ask for it (task temperature)"
        )  # fmt: skip


def test_training_that_diverged_is_an_answer_without_a_tree():
    verdict = judged(DIVERGED)
    assert outcome(verdict, "MD111") == ("found", "seed-0.pt: NaN")
    assert outcome(verdict, "MD102")[0] == "found"
    reason = "no tree was asked: training diverged"
    for code in (
        *("MD101", "MD103", "MD104", "MD201", "MD202", "MD203", "MD204", "MD205"),
        *("MD301", "MD303", "MD305"),
    ):
        assert outcome(verdict, code) == ("not_checked", reason), code
    assert outcome(verdict, "MD300")[0] == "passed"
    assert outcome(judged(row(cka=0.9)), "MD111") == ("passed", "the networks could be measured")
    assert outcome(judged(row()), "MD111") == ("not_checked", "nothing was measured")


@pytest.mark.parametrize(
    ("target", "status", "message"),
    [
        (None, "not_checked", "no target was named"),
        (90.0, "found", "target 90 %, measured 80.0 %: 10.0 points are missing"),
        (75.0, "passed", "target 75 %, measured 80.0 %"),
    ],
)
def test_a_target_is_missed_or_reached(target, status, message):
    facts = {} if target is None else {"target_accuracy": target}
    verdict = judged(row(cka=0.9, test_error=20.0, facts=facts))
    assert outcome(verdict, "MD120") == (status, message)


def test_a_target_that_is_reached_asks_no_tree():
    verdict = judged(row(cka=0.9, test_error=20.0, facts={"target_accuracy": 80.0}))
    assert verdict.mode == "none"
    reason = "no tree was asked: the target is reached"
    for code in (*MODES, "MD201", "MD202", "MD204", "MD301", "MD303", "MD305"):
        assert outcome(verdict, code) == ("not_checked", reason), code
    assert outcome(verdict, "MD203") == ("passed", "protocol standard-1")


def test_a_target_that_cannot_be_compared_says_why():
    verdict = judged(row(cka=0.9, facts={"target_accuracy": 80.0}))
    assert outcome(verdict, "MD120") == ("not_checked", "the test accuracy was not measured")


def test_the_distance_to_the_training_groups_is_told():
    saved = fit_tree(grid(), task="failure", method="grown")
    near = judged(grid()[7], tree=saved)
    assert outcome(near, "MD201") == (
        "passed",
        f"distance {near.outlier.distance:.2f}, usually up to {near.outlier.limit:.2f}",
    )
    far = replace(grid()[7], quantities={**grid()[7].quantities, "cka": Measured(value=-50.0)})
    status, message = outcome(judged(far, tree=saved), "MD201")
    assert status == "found"
    assert message.endswith("; outside their range: cka")
    status, message = outcome(judged(row(cka=0.9)), "MD201")
    assert (status, message) == (
        "not_checked", "the distance to the training groups cannot be computed"
    )  # fmt: skip


def test_an_answer_that_changes_within_the_error_bars_is_unstable():
    """The expected gain changes at a similarity of 0.5: half of all draws lie on either side."""
    unsteady = judged(row(cka=Measured(value=0.5001, stderr=0.1), test_error=20.0))
    assert unsteady.stability == pytest.approx(0.5, abs=0.15)
    share = f"{100 * unsteady.stability:.0f} %"
    same = "of resamples within measurement error give the same answer"
    assert outcome(unsteady, "MD202") == ("found", f"{share} {same}")
    steady = judged(row(cka=Measured(value=0.9, stderr=0.01), test_error=20.0))
    assert outcome(steady, "MD202") == ("passed", f"100 % {same}")
    assert outcome(judged(row(cka=0.9)), "MD202") == (
        "not_checked", "the measurements have no error bars"
    )  # fmt: skip


def test_protocols_that_are_mixed_are_found():
    verdict = judged(row(cka=0.9, protocol="paper-1"), allow_protocol_mismatch=True)
    message = "the tree was fitted to protocol standard-1, but the row has protocol paper-1"
    assert outcome(verdict, "MD203") == ("found", message)
    assert verdict.basis.warnings[-1] == message
    mixed = gain_tree(GAINS, provenance={"WARNING": "the prior tree has protocol 'paper-1'"})
    both = judged(row(cka=0.9, protocol="paper-1"), tree=mixed, allow_protocol_mismatch=True)
    assert outcome(both, "MD203") == (
        "found", f"the prior tree has protocol 'paper-1'; {message}"
    )  # fmt: skip
    assert outcome(judged(row(cka=0.9)), "MD203") == ("passed", "protocol standard-1")


def test_a_tree_that_explains_something_else_is_found():
    verdict = judged(row(cka=0.9, test_error=20.0))  # its only leaf says `none`
    status, message = outcome(verdict, "MD204")
    assert status == "found"
    assert message in verdict.basis.warnings
    same = gain_tree(GAINS, tree=Leaf(answer="data_small", counts={"data_small": 30.0}))
    assert outcome(judged(row(cka=0.9, test_error=20.0), tree=same), "MD204") == (
        "passed", "both say data_small"
    )  # fmt: skip
    assert outcome(judged(row(train_error=0.0), tree=small_tree()), "MD204") == (
        "not_checked", "the tree that explains decides"
    )  # fmt: skip


@pytest.mark.parametrize(("error", "status"), [(0.4, "found"), (0.1, "passed")])
def test_a_step_that_noise_could_have_decided_is_close(error, status):
    """The threshold is 1: 0.5 is 1.25 standard errors away, or 5."""
    verdict = judged(row(train_error=Measured(value=0.5, stderr=error)), tree=small_tree())
    (step,) = verdict.clues
    away = f"{step.flips_at:.1f} standard errors"
    message = {
        "found": f"close to the threshold: train_error: {away}",
        "passed": f"at least {away} from a threshold",
    }
    assert outcome(verdict, "MD205") == (status, message[status])
    assert [replace(step, flips_at=far).is_close for far in (1.9, 2.0, None)] == [
        True, False, False
    ]  # fmt: skip


def test_steps_without_error_bars_cannot_be_close():
    verdict = judged(row(train_error=0.5), tree=small_tree())
    assert outcome(verdict, "MD205") == ("not_checked", "no step of the path has an error bar")

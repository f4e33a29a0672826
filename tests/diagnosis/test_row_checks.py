"""Checks of the row: what was measured, and whether it is what it seems to be."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mdtree.diagnosis import CHECKS, ignore_checks
from mdtree.diagnosis.headlines import headline
from mdtree.diagnosis.remarks import ended_early, is_stable
from mdtree.rows import Copy, GroupFailure, Measured, Missing
from tests.support.checked import GAINS, ONE, judged, origin, outcome, row
from tests.support.small_gain_models import constant, gain_tree, question
from tests.support.trees import small_tree

STEEP = {"add_data": question(1, 5.0, 0.1, 0.4), "enlarge_model": constant(0.2)}


def test_a_row_without_numbers_was_not_measured():
    assert outcome(judged(row(cka=0.9)), "MD300") == ("passed", "there is a verdict")
    assert outcome(judged(row(cka=ONE)), "MD300") == ("found", "nothing was measured")


def rough(*, converged, stderr=0.1):
    """A group whose answer hangs on the trace: its logarithm is 5 at 148."""
    trace = Measured(value=148.0, stderr=stderr and 148 * stderr, converged=converged)
    return judged(
        row(hessian_trace=trace, cka=0.9, test_error=20.0),
        tree=gain_tree(STEEP, features=("cka", "log_hessian_trace")),
    )


def test_what_did_not_converge_is_found_where_the_answer_hangs_on_it():
    verdict = rough(converged=False)
    status, message = outcome(verdict, "MD301")
    assert status == "found"
    assert message.startswith("hessian_trace did not reach the tolerance")
    assert message in verdict.basis.warnings
    assert outcome(rough(converged=True), "MD301") == ("passed", "the tolerance was reached")
    assert outcome(rough(converged=False, stderr=None), "MD301") == (
        "not_checked", "without error bars, the effect on the answer is not known"
    )  # fmt: skip
    assert outcome(rough(converged=None), "MD301") == (
        "not_checked", "no measurement of the Hessian says whether it converged"
    )  # fmt: skip
    other = Measured(value=9.0, stderr=0.1, converged=False)  # no question asks for it
    steady = judged(row(hessian_trace=other, cka=Measured(value=0.9, stderr=0.01)))
    assert outcome(steady, "MD301") == (
        "passed", "not all reached the tolerance, but the answer does not hang on it"
    )  # fmt: skip


def test_a_curve_that_was_stopped_says_nothing_about_the_hessian():
    stopped = origin(reach={"barrier": (3.0, -1.0)})
    group = replace(row(cka=0.9, barrier=3.0), provenance=stopped)
    assert outcome(judged(group), "MD301") == (
        "not_checked", "no measurement of the Hessian says whether it converged"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("group", "status", "message"),
    [
        (
            replace(row(train_error=1.0), provenance=origin(members=1)),
            "found",
            "one checkpoint: add one of a second seed",
        ),
        (
            replace(row(train_error=1.0), provenance=origin(members=3)),
            "passed",
            "at least 3 checkpoints",
        ),
        (
            row(train_error=Measured(value=1.0, members=(1.0, 1.0))),
            "passed",
            "at least 2 checkpoints",
        ),
        (row(train_error=1.0, cka=ONE), "found", "one checkpoint: add one of a second seed"),
        (row(train_error=1.0), "not_checked", "the number of checkpoints is not known"),
    ],
)
def test_checkpoints_are_counted_as_far_as_a_row_tells(group, status, message):
    assert outcome(judged(group), "MD302") == (status, message)


def test_a_metric_that_may_change_the_answer_is_an_open_question():
    """Behind a similarity above 0.5, the trace decides between two leaves of ten groups each."""
    verdict = judged(row(train_error=2.0, cka=0.9), tree=small_tree())
    chance = "hessian (50 %): hessian_trace was not measured"
    assert outcome(verdict, "MD303") == (
        "found", f"not known, with the chance of another answer: {chance}"
    )  # fmt: skip


def test_a_metric_without_effect_is_no_question():
    verdict = judged(row(train_error=0.0), tree=small_tree())  # at most 1: nothing else is asked
    assert {each.flips for each in verdict.missed} == {0.0}
    assert outcome(verdict, "MD303") == ("passed", "without effect: similarity, hessian")
    known = row(train_error=2.0, cka=0.9, hessian_trace=3.0)
    assert outcome(judged(known, tree=small_tree()), "MD303") == (
        "passed", "every metric that the tree asks for is known"
    )  # fmt: skip


def test_facts_that_are_asked_for_and_not_known_are_found():
    tree = gain_tree(
        {"add_data": question(1, 5.0, 0.1, 0.4), "enlarge_model": constant(0.2)},
        features=("cka", "log_data_amount"),
    )
    group = row(cka=0.9, test_error=20.0)
    assert outcome(judged(group, tree=tree), "MD305") == (
        "found", "not known: log_data_amount (the fact data_amount is not known)"
    )  # fmt: skip
    known = replace(group, facts={"data_amount": 1000})
    assert outcome(judged(known, tree=tree), "MD305") == (
        "passed", "every fact that the tree asks for is known"
    )  # fmt: skip


def test_tokens_have_a_floor_that_only_a_target_tells():
    group = row(cka=0.9, test_error=40.0, test_perplexity=9.0)
    status, message = outcome(judged(group), "MD305")
    assert status == "found"
    assert message.startswith("not known: target_accuracy (no training makes every token right")
    known = replace(group, facts={"target_accuracy": 70.0})
    assert outcome(judged(known), "MD305")[0] == "passed"
    assert outcome(judged(row(cka=0.9, test_error=40.0)), "MD305")[0] == "passed"


def test_an_attempt_that_failed_is_found():
    failure = GroupFailure(kind="OutOfMemoryError", reason="the memory is full")
    measured = replace(row(train_error=1.0, cka=0.9), provenance=origin())
    partly = replace(row(cka=0.9), failure=failure)
    assert outcome(judged(measured), "MD304") == (
        "passed", "no attempt to measure the group failed"
    )  # fmt: skip
    assert outcome(judged(partly), "MD304") == (
        "found", "the group was only partly measured: the memory is full"
    )  # fmt: skip
    status, message = outcome(judged(replace(measured, failure=failure)), "MD304")
    assert status == "found"
    assert message.startswith("the numbers come from an earlier measurement")


def test_a_first_answer_from_files_says_so():
    assert outcome(judged(row(test_error=20.0)), "MD306")[0] == "found"
    assert outcome(judged(row(test_error=20.0, cka=0.9)), "MD306") == (
        "passed", "the networks were run"
    )  # fmt: skip
    measured = replace(row(test_error=20.0), provenance=origin())
    assert outcome(judged(measured), "MD306")[0] == "passed"
    assert outcome(judged(row()), "MD306") == ("not_checked", "nothing was measured")


def test_quantities_that_a_metric_could_not_give_are_listed_by_reason():
    broken = Missing(missing="not finite for 1 of 2 checkpoints")
    group = row(train_error=1.0, train_loss=broken, test_loss=broken, cka=ONE)
    assert outcome(judged(group), "MD307") == (
        "found", "train_loss, test_loss: not finite for 1 of 2 checkpoints"
    )  # fmt: skip
    assert outcome(judged(row(train_error=1.0, cka=ONE)), "MD307")[0] == "passed"
    assert outcome(judged(row()), "MD307") == ("not_checked", "nothing was measured")


def test_copies_are_found_where_files_are_known():
    copies = {"copy.pt": Copy(of="seed-0.pt", sha256="0" * 64)}
    group = row(train_error=1.0)
    assert outcome(judged(replace(group, provenance=origin(copies=copies))), "MD401") == (
        "found", "counted once: copy.pt is identical to seed-0.pt"
    )  # fmt: skip
    assert outcome(judged(replace(group, provenance=origin())), "MD401") == (
        "passed", "2 files with different weights"
    )  # fmt: skip
    assert outcome(judged(group), "MD401")[0] == "not_checked"


def test_a_long_list_is_cut():
    notes = tuple(f"note {n}" for n in range(7))
    group = replace(row(train_error=1.0), provenance=origin(notes=notes))
    assert outcome(judged(group), "MD402") == (
        "found", "note 0; note 1; note 2; note 3; note 4; and 2 more"
    )  # fmt: skip
    whole = replace(row(train_error=1.0), provenance=origin())
    assert outcome(judged(whole), "MD402") == ("passed", "there was nothing to choose")
    assert outcome(judged(row(train_error=1.0)), "MD402")[0] == "not_checked"
    endless = replace(whole, provenance=origin(notes=("x" * 5000,)))
    assert len(outcome(judged(endless), "MD402")[1]) == 1000


def test_snapshots_that_were_taken_for_seeds_are_found():
    failure = GroupFailure(kind="SnapshotsError", reason="a.pt and b.pt look like snapshots")
    measured = replace(row(train_error=1.0), provenance=origin())
    found = judged(replace(measured, failure=failure))
    assert outcome(found, "MD403") == ("found", "a.pt and b.pt look like snapshots")
    assert outcome(found, "MD304")[0] == "found"
    assert outcome(judged(measured), "MD403")[0] == "passed"
    assert outcome(judged(row(train_error=1.0)), "MD403")[0] == "not_checked"


@pytest.mark.parametrize(
    ("error", "stderr", "known", "status", "message"),
    [
        (20.0, None, 74.9, "found", "test accuracy: measured 80.0 %, the fact says 74.9 %"),
        (20.0, None, 75.1, "passed", "test accuracy: measured 80.0 %, the fact says 75.1 %"),
        (20.0, 1.0, 71.1, "passed", "test accuracy: measured 80.0 %, the fact says 71.1 %"),
        (20.0, 1.0, 90.0, "found", "test accuracy: measured 80.0 %, the fact says 90.0 %"),
        (20.0, None, None, "not_checked", "the fact test_accuracy is not known"),
        (None, None, 80.0, "not_checked", "the test error was not measured"),
    ],
)
def test_an_accuracy_far_from_that_of_the_facts_is_found(error, stderr, known, status, message):
    """Five points and four standard errors are allowed."""
    facts = {} if known is None else {"test_accuracy": known}
    numbers = {} if error is None else {"test_error": Measured(value=error, stderr=stderr)}
    assert outcome(judged(row(facts=facts, cka=0.9, **numbers)), "MD404") == (status, message)


@pytest.mark.parametrize(
    ("error", "stderr", "chance", "status"),
    [
        (52.0, 0.0, 50.0, "passed"),  # two points are allowed
        (52.1, 0.0, 50.0, "found"),
        (97.4, 0.4, 50.0, "found"),
        (55.0, 1.0, 50.0, "passed"),
        (20.0, 1.0, 50.0, "passed"),
        (97.4, None, 50.0, "found"),
        (97.4, 0.4, None, "not_checked"),
        (97.4, 0.4, 0.0, "not_checked"),  # all test items are of one class
        (None, None, 50.0, "not_checked"),
    ],
)
def test_a_network_that_is_worse_than_chance_is_found(error, stderr, chance, status):
    numbers = {} if error is None else {"test_error": Measured(value=error, stderr=stderr)}
    if chance is not None:
        numbers["chance_error"] = Measured(value=chance)
    found, message = outcome(judged(row(cka=0.9, **numbers)), "MD405")
    assert found == status
    if status != "not_checked":
        assert message.startswith(f"test error {error:.1f} %, that of chance {chance:.1f} %")


@pytest.mark.parametrize(("loss", "status"), [(0.70, "passed"), (0.75, "passed"), (0.77, "found")])
def test_a_network_that_has_hardly_begun_to_learn_does_not_speak_against_its_labels(loss, status):
    """It may name a class that is not the most frequent one."""
    numbers = {
        "test_error": Measured(value=60.0, stderr=1.0),
        "chance_error": Measured(value=40.0),
        "test_loss": Measured(value=loss),
        "chance_loss": Measured(value=0.69),
    }
    assert outcome(judged(row(cka=0.9, **numbers)), "MD405")[0] == status


def test_a_network_that_is_worse_than_chance_is_warned_of_on_the_card():
    numbers = {"test_error": Measured(value=97.4, stderr=0.4), "chance_error": Measured(value=50.0)}
    warnings = judged(row(cka=0.9, **numbers)).basis.warnings
    text = "test error 97.4 %, that of chance 50.0 %: are the labels wrong, or in another order?"
    assert text in warnings


@pytest.mark.parametrize(
    ("error", "simple", "status"),
    [
        ((20.0, 1.0), (21.0, 1.0), "passed"),
        ((20.0, 0.0), (19.0, 0.0), "passed"),  # one point is allowed
        ((20.0, 0.0), (18.9, 0.0), "found"),
        ((20.0, 0.3), (17.0, 0.4), "passed"),  # 4 x 0.5 and a point
        ((20.0, 0.3), (16.9, 0.4), "found"),
        ((20.0, None), (10.0, None), "found"),
        (None, (10.0, 0.0), "not_checked"),
        ((20.0, 0.0), None, "not_checked"),
    ],
)
def test_a_network_that_is_worse_than_a_simple_classifier_is_found(error, simple, status):
    numbers = {
        name: Measured(value=pair[0], stderr=pair[1])
        for name, pair in (("test_error", error), ("baseline_error", simple))
        if pair is not None
    }
    found, message = outcome(judged(row(cka=0.9, **numbers)), "MD406")
    assert found == status
    if status != "not_checked":
        expected = f"test error {error[0]:.1f} %, that of a simple classifier {simple[0]:.1f} %"
        assert message == expected


@pytest.mark.parametrize(
    ("gain", "drop", "status"),
    [
        (None, None, "not_checked"),
        (2.9, None, "passed"),
        (3.0, None, "found"),
        (None, 4.9, "passed"),
        (None, 5.0, "found"),
        (3.0, 2.9, "passed"),
        (2.9, 50.0, "passed"),  # it grows surer of the same answers
        (3.0, 3.0, "found"),
    ],
)
def test_a_training_that_still_brought_much_at_its_end_ended_early(gain, drop, status):
    known = {"late_accuracy_gain": gain, "late_loss_drop": drop}
    facts = {name: value for name, value in known.items() if value is not None}
    verdict = judged(row(cka=0.9, test_error=20.0, facts=facts))
    found, message = outcome(verdict, "MD407")
    assert found == status
    assert (message in verdict.basis.warnings) == (status == "found")
    is_said = "raining seems to have ended too early" in headline(verdict)
    assert is_said == (status == "found")


@pytest.mark.parametrize(("stderr", "status"), [(2.0, "found"), (2.6, "passed")])
def test_what_is_within_the_noise_of_the_test_items_is_no_gain(stderr, status):
    error = Measured(value=20.0, stderr=stderr)
    known = {"late_accuracy_gain": 5.0, "late_loss_drop": 9.0}
    found, _ = outcome(judged(row(cka=0.9, test_error=error, facts=known)), "MD407")
    assert found == status


@pytest.mark.parametrize(
    ("likely", "words"),
    [
        ("temperature_low", "train longer, or in larger steps, before you"),
        ("data_small", "train longer before you"),
        ("none", "train longer before you"),
    ],
)
def test_a_training_that_ended_early_is_told_what_goes_with_the_verdict(likely, words):
    remark = ended_early(row(facts={"late_accuracy_gain": 9.0}), likely)
    assert (remark.code, words in remark.text) == ("MD407", True)


def test_where_steps_are_too_large_longer_training_is_not_advised():
    facts = {"late_accuracy_gain": 9.0, "late_loss_drop": 9.0}
    assert ended_early(row(facts=facts), "temperature_high") is None

    hot = gain_tree({"lower_temperature": constant(0.6), "add_data": constant(0.1)})
    verdict = judged(row(cka=0.9, test_error=20.0, facts=facts), tree=hot)
    assert verdict.likely == "temperature_high"
    status, message = outcome(verdict, "MD407")
    assert status == "passed"
    assert message.endswith("while its steps seem too large")
    assert not verdict.ended_early


def test_what_no_longer_rose_is_said_so():
    known = {"late_accuracy_gain": 0.0, "late_loss_drop": 0.0}
    status, message = outcome(judged(row(cka=0.9, test_error=20.0, facts=known)), "MD407")
    assert status == "passed"
    assert message.startswith("the test accuracy no longer rose and the test loss no longer fell")


OTHER_AMOUNT = (
    "args.json tells of 90 training items, the data hold 50: the number of the data is used"
)
NOTES = origin(notes=("the last of 3 checkpoints", OTHER_AMOUNT, "one more"))


@pytest.mark.parametrize(
    ("group", "code", "tree"),
    [
        (row(cka=0.9, test_error=20.0, facts={"late_accuracy_gain": 9.0}), "MD407", {}),
        (row(test_error=20.0), "MD306", {}),
        (row(cka=0.9, test_error=97.0, chance_error=50.0), "MD405", {}),
        (replace(row(cka=0.9, facts={"data_amount": 50}), provenance=NOTES), "MD402", {}),
        (row(cka=0.9), "MD203", {"WARNING": "fitted to few groups"}),
        # two warnings, one check
        (row(cka=0.9, protocol="paper-1"), "MD203", {"WARNING": "fitted to few groups"}),
        (row(cka=0.9), "MD203", {"WARNING": "long " * 300}),
    ],
)
def test_what_is_ignored_is_no_warning_either(group, code, tree):
    saved = replace(gain_tree(GAINS), provenance=tree)
    verdict = judged(group, tree=saved, allow_protocol_mismatch=True)
    assert outcome(verdict, code)[0] == "found"
    ignored = ignore_checks(verdict, [code])
    assert outcome(ignored, code)[0] == "ignored"
    others = ignore_checks(verdict, set(CHECKS) - {code})
    assert {*verdict.basis.warnings} == {*ignored.basis.warnings, *others.basis.warnings}
    assert not {*ignored.basis.warnings} & {*others.basis.warnings}
    assert others.basis.warnings


def test_settings_that_tell_of_other_training_items_are_a_warning():
    group = replace(row(cka=0.9, test_error=20.0, facts={"data_amount": 50}), provenance=NOTES)
    assert OTHER_AMOUNT in judged(group).basis.warnings
    assert OTHER_AMOUNT in outcome(judged(group), "MD402")[1]
    stated = replace(group, facts={"data_amount": 90})  # by the user, who knows it
    assert OTHER_AMOUNT not in judged(stated).basis.warnings


@pytest.mark.parametrize(("share", "stable"), [(0.0, False), (0.89, False), (0.9, True), (1, True)])
def test_nine_of_ten_resamples_with_one_answer_are_stable(share, stable):
    assert is_stable(share) is stable

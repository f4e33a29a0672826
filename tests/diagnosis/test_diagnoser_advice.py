"""Judging with trees made by hand: gains, the next step, and what would make a verdict sure."""

from __future__ import annotations

import pytest

from mdtree.diagnosis import UNSURE, Diagnoser
from mdtree.exceptions import TreeError
from mdtree.failure_modes import FAILURE_MODES
from mdtree.rows import Missing
from mdtree.trees import Leaf, RemedyGain, SavedTree
from tests.support.rows import row
from tests.support.trees import cka_split

FEATURES = ("cka", "train_error", "log_data_amount", "log_hessian_trace", "log_edge", "log_epochs")
ONE_SEED = Missing(missing="needs 2 checkpoints, found 1")


def leaf(answer, *, gains=None, ways=None, **counts):
    return Leaf(answer=answer, counts=counts or {answer: 4.0}, gains=gains or {}, ways=ways or {})


def judged(node, group, *, classes=tuple(FAILURE_MODES), confidence=0.6):
    saved = SavedTree(
        task="failure",
        method="cart",
        protocol="standard-1",
        classes=classes,
        features=FEATURES,
        groups=4,
        ranges={},
        provenance={},
        tree=node,
    )
    return Diagnoser(saved, name="t", confidence=confidence)(group)


GAINS = {"raise_temperature": 1.8, "enlarge_model": 0.2}
WAYS = {"raise_temperature": RemedyGain(low=0.4, high=3.1, fact="batch_size", factor=0.25)}
UNDECIDED = leaf("none", none=5, data_small=5)


def test_gains_and_advice_come_from_the_leaf():
    node = cka_split(leaf("none"), leaf("temperature_low", gains=GAINS, ways=WAYS))
    verdict = judged(node, row(facts={"batch_size": 1024}, cka=0.7))
    assert [gain.remedy for gain in verdict.gains] == ["raise_temperature", "enlarge_model"]
    assert "batch size 1024 -> 256" in verdict.advice
    assert verdict.agreement is None
    assert judged(node, row(cka=0.2)).advice.startswith("leave training as it is")


def test_a_temperature_without_direction_is_unsure_and_says_what_to_compare():
    classes = ("model_small", "temperature")
    node = cka_split(leaf("model_small"), leaf("temperature"))
    verdict = judged(node, row(cka=0.9), classes=classes)
    assert (verdict.mode, verdict.likely, verdict.probability) == (UNSURE, "temperature", 1)
    assert verdict.why_unsure == (
        "a change of temperature gains most, but this tree does not say in which direction",
    )
    assert verdict.advice.startswith("try both a smaller and a larger batch")
    assert judged(node, row(cka=0.1), classes=classes).mode == "model_small"
    weak = cka_split(leaf("model_small"), leaf("temperature", temperature=5, model_small=4))
    verdict = judged(weak, row(cka=0.9), classes=classes)
    assert len(verdict.why_unsure) == 2
    assert verdict.advice.startswith("add seeds to make the error bars smaller")


def measure(metric, feature):
    cost = f"mdtree measure DIRECTORY --metrics {metric} --dry-run"
    return f"measure {metric} ({feature}; to see its cost: {cost}): this "


@pytest.mark.parametrize(
    ("group", "advice"),
    [
        (
            row(train_error=0.1),
            measure("similarity", "cka") + "has a 29 % chance of changing the answer",
        ),
        (
            row(cka=0.1),
            measure("error_rate", "train_error") + "does not change the answer, only how sure",
        ),
        (row(train_error=0.1, cka=ONE_SEED), "add a checkpoint of a second seed: this has a"),
        (
            row(train_error=0.1, cka=Missing(missing="not finite for 1 of 3 checkpoints")),
            "add seeds to make the error bars smaller",  # it was measured in vain
        ),
    ],
)
def test_an_unsure_verdict_says_what_to_measure(group, advice):
    node = cka_split(UNDECIDED, cka_split(leaf("none"), leaf("data_small"), feature="train_error"))
    verdict = judged(node, group)
    assert verdict.mode == UNSURE
    assert verdict.advice.startswith(advice)


AMOUNT = cka_split(UNDECIDED, leaf("data_small"), feature="log_data_amount")


def test_a_fact_is_for_the_user_to_tell_by_its_own_name():
    verdict = judged(cka_split(AMOUNT, AMOUNT), row(cka=0.3))
    assert verdict.advice.startswith("give data_amount with --fact: ")
    assert verdict.missed[0].metric == "facts"


@pytest.mark.parametrize(
    ("feature", "group", "told"),
    [
        ("log_edge", row(cka=0.3, hessian_top=2.0), "learning_rate"),
        ("log_epochs", row(cka=0.3), "steps, batch_size, data_amount"),
        ("log_epochs", row(facts={"batch_size": 4, "epochs": 2}, cka=0.3), "steps, data_amount"),
        ("log_epochs", row(facts={"batch_size": 4, "data_amount": 9}, cka=0.3), "steps"),
    ],
)
def test_only_facts_that_are_not_known_are_to_be_told(feature, group, told):
    node = cka_split(UNDECIDED, leaf("data_small"), feature=feature)
    verdict = judged(cka_split(node, node), group)
    assert verdict.advice.startswith(f"give {told} with --fact: ")
    assert verdict.missed[0].metric == "facts"


@pytest.mark.parametrize(
    ("facts", "known"), [({"data_amount": 1}, {}), ({"data_amount": 1}, {"hessian_trace": -1.0})]
)
def test_what_cannot_be_computed_is_not_to_be_measured_again(facts, known):
    node = cka_split(AMOUNT, AMOUNT, feature="log_hessian_trace") if known else AMOUNT
    verdict = judged(node, row(facts=facts, **known))
    assert verdict.mode == UNSURE
    assert len(verdict.missed) == len(known)
    assert verdict.advice == (
        "add seeds to make the error bars smaller; nothing else that mdtree measures can tell "
        "data_small from the next answer"
    )


def test_where_nothing_decides_the_two_best_changes_are_to_be_tried():
    end = leaf("none", gains=GAINS, ways=WAYS, none=5, data_small=5)
    assert judged(end, row()).advice.endswith("try the first two changes in the list of gains")


def test_an_answer_from_nothing_is_unsure_however_probable_it_is():
    verdict = judged(cka_split(leaf("none"), leaf("none")), row(cka=ONE_SEED))
    assert (verdict.mode, verdict.probability) == (UNSURE, 1)
    assert verdict.why_unsure == ("nothing that the tree asks for was measured",)
    assert verdict.advice.startswith("add a checkpoint of a second seed")


def test_a_tree_with_one_class_and_no_question_is_certain():
    verdict = judged(leaf("none"), row(), classes=("none",))
    assert (verdict.mode, verdict.probability, verdict.clues, verdict.missed) == ("none", 1, (), ())


def test_a_tree_that_answers_with_something_else_is_refused():
    with pytest.raises(TreeError, match="answers 'small', which is not a failure mode"):
        judged(leaf("small"), row(), classes=("small",))

"""Leaving one zoo out: scores by hand, and the shipped collection."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from mdtree.evaluation.left_out import (
    LeftOutScores,
    judge_set_aside,
    leave_one_zoo_out,
    left_out_scores,
    mean_scores,
)
from mdtree.evaluation.left_out_methods import LEFT_OUT_METHODS, Answers
from mdtree.exceptions import RowsError
from mdtree.failure_modes import TASKS
from mdtree.labelling import Label
from mdtree.trees.bundled import reference_collection

CLASSES = TASKS["failure"].classes


def label(mode, *, unknown=(), margin=1.0, **gains):
    ordered = sorted(gains.values(), reverse=True)
    lead = ordered[0] - ordered[1] if mode != "none" else margin - ordered[0]
    return Label(
        mode=mode, accuracy=50, gains=gains, severity=ordered[0], margin=margin, lead=lead,
        unknown=unknown,
    )  # fmt: skip


LABELS = [
    label("data_small", add_data=10, enlarge_model=4, raise_temperature=0, lower_temperature=3),
    label("model_small", add_data=1, enlarge_model=8, raise_temperature=0, lower_temperature=0),
    label("none", add_data=0, enlarge_model=0.5, raise_temperature=0, lower_temperature=0),
    label("temperature_low", unknown=("add_data",), add_data=0, enlarge_model=0,
          raise_temperature=6, lower_temperature=1),
]  # fmt: skip


def told(*modes, sure=0.9):
    """Answer these modes, each with that probability."""
    out = np.full((len(modes), len(CLASSES)), (1 - sure) / (len(CLASSES) - 1))
    out[np.arange(len(modes)), [CLASSES.index(mode) for mode in modes]] = sure
    return out


def test_right_answers_have_all_that_there_is():
    probabilities = told("data_small", "model_small", "none", "temperature_low")
    scores = left_out_scores(Answers(probabilities=probabilities, levels={"0.9": 0.5}), LABELS)
    assert (scores.right, scores.wrong_sure) == (100, 0)
    assert scores.lost == pytest.approx(100 * 0.5 / 24.5)  # half a point is lost by doing nothing
    assert scores.log_loss == pytest.approx(-math.log(0.9))
    assert scores.ece == pytest.approx(0.1)
    assert (scores.coverage_90, scores.size_90) == (100, 1)
    assert math.isnan(scores.coverage_80)


def test_wrong_answers_lose_what_they_do_not_reach():
    probabilities = told("model_small", "model_small", "data_small", "temperature_low")
    scores = left_out_scores(Answers(probabilities=probabilities), LABELS)
    assert (scores.right, scores.wrong_sure) == (50, 50)
    assert scores.lost == pytest.approx(100 * (6 + 0.5) / 24.5)
    # data against model: told `model` for the first, wrongly, and for the second, rightly
    assert scores.resources == pytest.approx(50)


def test_what_is_unknown_is_not_counted_as_lost():
    """More data for the last group: nobody knows what they would have gained."""
    probabilities = told("data_small", "model_small", "none", "data_small")
    scores = left_out_scores(Answers(probabilities=probabilities), LABELS)
    assert scores.lost == pytest.approx(100 * 0.5 / 18.5)


def test_groups_that_are_told_to_be_unlike_all_others_are_counted():
    answers = Answers(
        probabilities=told("none", "none", "none", "none"),
        outside=np.array([True, False, False, True]),
    )
    assert left_out_scores(answers, LABELS).outside == 50
    assert math.isnan(left_out_scores(Answers(probabilities=answers.probabilities), LABELS).outside)


def test_zoos_that_were_set_aside_are_answered_for_by_all_others():
    zoos = {name: rows for name, rows in reference_collection().items() if name in ZOOS}
    aside = {"twin": next(iter(zoos.values()))}
    (scores,) = judge_set_aside(zoos, aside, methods=["gains_validation"])[
        "gains_validation"
    ].values()
    left_out = leave_one_zoo_out(zoos, methods=["gains_validation"])["gains_validation"]
    assert scores.right > left_out[next(iter(zoos))].right  # they have seen it


def test_means_leave_out_what_a_zoo_cannot_tell():
    columns = score_names()
    one = LeftOutScores(**dict.fromkeys(columns, 10.0))
    other = LeftOutScores(**{**dict.fromkeys(columns, 20.0), "resources": math.nan})
    mean = mean_scores({"a": one, "b": other})
    assert (mean.right, mean.resources) == (15, 10)


def test_the_calibration_error_is_that_of_all_groups_together():
    """Each zoo alone is far off: half of what is told with 50 % is right, over both."""
    nothing = dict.fromkeys(score_names(), math.nan)
    right, wrong = (
        LeftOutScores(**nothing, confidences=((0.55, answer),) * 4) for answer in (True, False)
    )
    assert mean_scores({"a": right, "b": wrong}).ece == pytest.approx(0.05)
    assert math.isnan(mean_scores({"a": LeftOutScores(**nothing)}).ece)


def score_names():
    return [name for name in LeftOutScores.__dataclass_fields__ if name != "confidences"]


def test_one_zoo_cannot_be_left_out():
    with pytest.raises(RowsError, match="takes two or more"):
        leave_one_zoo_out({"digits": []})


def test_the_shipped_collection_is_answered_far_better_than_by_chance():
    zoos = {name: rows for name, rows in reference_collection().items() if name in ZOOS}
    results = leave_one_zoo_out(zoos, methods=["random", "gains_validation"])
    assert set(results) <= set(LEFT_OUT_METHODS)
    ours, chance = (mean_scores(results[name]) for name in ("gains_validation", "random"))
    assert ours.right > 1.5 * chance.right
    assert ours.lost < chance.lost / 1.5


ZOOS = ("segment", "words-lstm", "markov-gru")


def test_the_command_prints_the_benchmark(mdtree):
    ran = mdtree("evaluate", "--benchmark", "--methods", "random,majority")
    assert ran.code == 0
    assert "each left out in turn: animals-cnn" in ran.out
    content = json.loads(mdtree("evaluate", "--benchmark", "--methods", "random", "--json").out)
    scores = content["methods"]["random"]
    assert set(scores["zoos"]) == set(reference_collection())
    assert scores["mean"]["coverage_90"] is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--benchmark", "--train", "x.jsonl"], "--benchmark has its own rows"),
        (["--benchmark", "--methods", "gain"], "method 'gain' is unknown"),
        (["--train", "x.jsonl"], "give both --train and --test"),
        ([], "give both --train and --test"),
        (["--set-aside"], "--set-aside is part of the benchmark"),
    ],
)
def test_what_cannot_be_evaluated_is_told(mdtree, words, message):
    ran = mdtree("evaluate", *words)
    assert ran.code == 2
    assert message in ran.err

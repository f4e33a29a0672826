"""Verdicts of gains for the terminal: sets of answers, and the question that is asked most."""

from __future__ import annotations

import re

import pytest

from mdtree.diagnosis import Diagnoser
from mdtree.render.screen import Screen, shown_on
from mdtree.render.terminal_verdict import verdict_text
from mdtree.rows import Measured, Row
from tests.support.small_gain_models import constant, gain_tree

QUESTION = "more data or a larger network? "


def lines(*, error=20.0, levels=None, **gains):
    """The text of a verdict for these gains (remedy=relative gain)."""
    saved = gain_tree(
        {remedy: constant(gain) for remedy, gain in gains.items()},
        levels={"0.8": 0.3, "0.9": 0.15} if levels is None else levels,
    )
    quantities = {"cka": Measured(value=0.5)}
    if error is not None:
        quantities["test_error"] = Measured(value=error)
    group = Row(format=1, group="g", protocol="standard-1", facts={}, quantities=quantities)
    return verdict_text(Diagnoser(saved, name="t", confidence=0.0)(group)).splitlines()


def resources(**given):
    return [line.removeprefix(QUESTION) for line in lines(**given) if line.startswith(QUESTION)]


def test_answers_stand_below_the_probabilities_for_each_coverage():
    """Strengths of 0.5^2, 0.3^2, 2 x 0.1^2, and 1.5 x 0.15^2 for `none`, of 0.39375."""
    text = lines(add_data=0.4, enlarge_model=0.2)
    place = next(n for n, line in enumerate(text) if line.startswith("  data_small "))
    assert text[place].startswith("  data_small 63 %, model_small 23 %, none 9 %, temperature_")
    assert text[place + 1] == "  90 % prediction set: data_small or model_small"


@pytest.mark.parametrize(
    ("gains", "answer"),
    [
        ({"add_data": 0.4, "enlarge_model": 0.2}, "more data: +8.0 points; a larger network: +4.0"),
        ({"add_data": 0.2, "enlarge_model": 0.4}, "a larger network: +8.0 points; more data: +4.0"),
        ({"add_data": 0.3, "enlarge_model": 0.3}, "more data: +6.0 points; a larger network: +6.0"),
        ({"add_data": 0.1}, "more data: +2.0 points; a larger network: +0.0"),
        (
            {"enlarge_model": 0.1, "add_data": 0.001},
            "a larger network: +2.0 points; more data: +0.0",
        ),
        (
            {"raise_temperature": 0.9, "add_data": 0.1, "enlarge_model": 0.2},
            "a larger network: +4.0 points; more data: +2.0",
        ),
    ],
)
def test_more_data_or_a_larger_network_is_answered_whatever_the_verdict_is(gains, answer):
    assert resources(**gains) == [answer]


@pytest.mark.parametrize(
    "given",
    [
        {"raise_temperature": 0.5},
        {"add_data": 0.001, "enlarge_model": 0.0},
        {"add_data": 0.4, "error": None},
        {"add_data": 0.4, "error": 0.0},
    ],
    ids=["neither is known", "neither gains", "no test error", "nothing to gain"],
)
def test_where_neither_gains_the_question_is_not_asked(given):
    assert resources(**given) == []


def test_gains_are_points_of_the_error_at_hand():
    text = lines(add_data=0.4, enlarge_model=0.25, error=10.0)
    assert "  add_data       +4.0" in text
    assert "  enlarge_model  +2.5" in text


def test_without_levels_there_is_no_set():
    assert not [line for line in lines(add_data=0.4, levels={}) if " prediction set: " in line]


def test_the_card_comes_first_and_then_what_it_is_based_on():
    text = lines(add_data=0.4, enlarge_model=0.2)
    heads = ["group:", "verdict:", "what each single", QUESTION, "next:", "why:", "tree:"]
    found = [next(n for n, line in enumerate(text) if line.startswith(head)) for head in heads]
    assert found == sorted(found)
    assert text[0] == "group: g"


def test_colours_change_no_letter_and_a_folded_beginning_has_none():
    plain = "\n".join(lines(add_data=0.4, enlarge_model=0.2))
    with shown_on(Screen(colour=True)):
        coloured = "\n".join(lines(add_data=0.4, enlarge_model=0.2))
    assert "\x1b[1;35mverdict: data_small\x1b[0m (probability" in coloured
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == plain
    with shown_on(Screen(colour=True, width=12)):
        narrow = "\n".join(lines(add_data=0.4, enlarge_model=0.2))
    assert re.sub(r"\x1b\[[\d;]*m|\s", "", narrow) == re.sub(r"\s", "", plain)

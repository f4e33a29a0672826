"""The card: the verdict, how sure it is in plain words, and the next step."""

from __future__ import annotations

import pytest

from mdtree.diagnosis import OutOfDistribution
from mdtree.failure_modes import FAILURE_MODES
from mdtree.render.verdict_card import card, flag
from tests.support.reports import grid, judged, parsed


def drawn(**changes):
    return parsed(card(judged(grid()[0], **changes)))


def sureness(card):
    return [line.text for line in card.one("ul", class_="sure").find("li")]


@pytest.mark.parametrize("mode", FAILURE_MODES)
def test_every_verdict_is_read_by_its_role(mode):
    status = drawn(mode=mode, likely=mode).one(role="status", aria_label="verdict")
    assert status.one("strong").text == mode.replace("_", " ")
    assert status.find("code") == [] or status.one("code").text == mode
    assert FAILURE_MODES[mode][1:] in status.text


def test_a_verdict_says_how_sure_it_is():
    card = drawn(mode="none", likely="none", probability=0.7, agreement=0.9, stability=0.6)
    assert sureness(card) == [
        "70 % probable; a verdict needs 50 %.",
        "90 % of all plausible trees give this answer.",
        "Redrawn within their error bars, the measurements give this answer 60 % of the time.",
    ]


def test_what_is_not_known_of_sureness_is_said():
    _, agreement, stability = sureness(drawn(agreement=None, stability=None))
    assert "a single tree" in agreement
    assert "no error bar" in stability.lower()


def test_unsure_says_what_is_most_probable_and_every_doubt():
    card = drawn(mode="unsure", likely="data_small", why_unsure=("one doubt", "another"))
    status = card.one(role="status")
    assert status.one("strong").text == "unsure"
    assert status.one("p", class_="meaning").text == (
        "Most probable is data small: there are too few training data."
    )
    assert sureness(card)[:2] == ["One doubt.", "Another."]


def test_an_answer_without_a_direction_is_named_too():
    card = drawn(mode="unsure", likely="temperature", why_unsure=())
    assert card.one("p", class_="meaning").text == "Most probable is temperature."


def test_the_next_step_is_the_advice():
    card = drawn(advice="get more training data: data amount 600 -> 2400")
    assert card.one("p", class_="next").text == (
        "Next step: Get more training data: data amount 600 → 2400."
    )


def test_a_group_like_the_others_has_no_flag():
    assert flag(None) is None
    assert flag(OutOfDistribution(distance=1.0, limit=1.2, beyond=())) is None
    assert flag(OutOfDistribution(distance=9.0, limit=float("inf"), beyond=())) is None


def test_a_group_unlike_the_others_is_told_first_and_why():
    note = parsed(
        flag(OutOfDistribution(distance=3.14159, limit=1.2, beyond=("log_hessian_top", "cka")))
    )
    text = note.one(role="note").text
    assert text.startswith("Out of distribution.")
    assert "3.14" in text
    assert "Outside the range of all of them: Hessian top, CKA." in text


def test_a_hostile_advice_stays_text():
    card = drawn(advice="<script>alert(1)</script>", why_unsure=("<b>",), mode="unsure")
    assert card.find("script") == []
    assert "<script>alert(1)</script>" in card.one("p", class_="next").text

"""What the page shows of one group: its verdict, the walk, what is missing, and its provenance."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mdtree.diagnosis import DecisionStep, MissingMeasurement, NextStep, OutOfDistribution
from mdtree.failure_modes import FAILURE_MODES
from mdtree.render.formatting import chance, feature_name, plain, question
from mdtree.rows import Missing
from mdtree.trees import Leaf, leaves
from tests.support.reports import article, grid, judged, section, tree, whole_row


def drawn(**changes):
    return article(judged(grid()[0], **changes)).one("section", class_="verdict")


def flag(outlier):
    flags = article(judged(grid()[0], outlier=outlier)).find(role="note")
    return flags[0].text if flags else None


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
        "70 % probable; a verdict needs 60 %.",
        "90 % of the plausible trees give this answer.",
        "Stable in 60 % of resamples within measurement error.",
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
        "Most probable is data small: there is too little training data."
    )
    assert sureness(card)[:2] == ["One doubt.", "Another."]


def test_an_answer_without_a_direction_is_named_too():
    card = drawn(mode="unsure", likely="temperature", why_unsure=())
    assert card.one("p", class_="meaning").text == "Most probable is temperature."


def test_the_next_step_is_the_advice():
    card = drawn(
        next_step=NextStep(kind="keep", says="get more training data: data amount 600 -> 2400")
    )
    assert card.one("p", class_="step").text == ("Get more training data: data amount 600 → 2400.")


def test_a_group_like_the_others_has_no_flag():
    assert flag(None) is None
    assert flag(OutOfDistribution(distance=1.0, limit=1.2, beyond=())) is None
    assert flag(OutOfDistribution(distance=9.0, limit=float("inf"), beyond=())) is None


def test_a_group_unlike_the_others_is_told_first_and_why():
    text = flag(OutOfDistribution(distance=3.14159, limit=1.2, beyond=("log_hessian_top", "cka")))
    assert text.startswith("Out of distribution.")
    assert "3.14" in text
    assert "Outside the range of all of them: Hessian top, CKA." in text


def test_a_hostile_advice_stays_text():
    card = drawn(
        next_step=NextStep(kind="keep", says="<script>alert(1)</script>"),
        why_unsure=("<b>",),
        mode="unsure",
    )
    assert card.find("script") == []
    assert "<script>alert(1)</script>" in card.one("p", class_="step").text


def walk(verdict, saved):
    return section("Why", verdict, saved=saved)


def clue(flips_at):
    return DecisionStep(
        feature="cka",
        value=0.5,
        stderr=0.1,
        threshold=0.4,
        went="high",
        says="cka 0.5 ± 0.1 > 0.4: alike",
        flips_at=flips_at,
    )


@pytest.mark.parametrize("row", grid()[::5], ids=lambda row: row.group)
@pytest.mark.parametrize("method", ["posterior", "cart"])
def test_the_lit_boxes_are_those_of_the_clues(row, method):
    verdict = judged(row, method)
    picture = walk(verdict, tree(method))
    asked, node = [], tree(method).tree
    for step in verdict.clues:
        asked.append(question(node))
        node = node.low if step.went == "low" else node.high
    assert isinstance(node, Leaf)
    words = picture.one("g", class_="lit").find("text")
    lit = [text.text for text in words if text.attributes.get("class") != "s"]
    assert sorted([*asked, plain(node.answer)]) == sorted(lit)
    assert len(picture.find("rect")) == len(asked) + 1
    assert len(picture.one("ol").find("li")) == len(asked)


@pytest.mark.parametrize(
    ("flips_at", "words"),
    [
        (None, ""),
        (1.2, "1.2 standard errors from the threshold. Noise could have decided this step."),
        (9.3, "9.3 standard errors from the threshold."),
        (1e9, "Far from the threshold."),
    ],
)
def test_each_clue_says_how_far_the_other_answer_is(flips_at, words):
    line = walk(judged(grid()[0], clues=(clue(flips_at),)), None).one("li")
    assert line.text == f"CKA 0.5 ± 0.1 > 0.4: alike. {words}".strip()


def test_without_its_tree_a_verdict_still_has_its_clues():
    section = walk(judged(grid()[0]), None)
    assert section.find("figure") == []
    assert section.find("li")


def test_a_tree_that_is_one_leaf_is_drawn():
    lone = replace(tree(), tree=next(leaves(tree().tree)))
    section = walk(judged(grid()[0], clues=()), lone)
    assert section.find("ol") == []
    assert len(section.find("g", class_="lit")) == 1


def test_a_single_tree_is_not_said_to_be_an_average():
    assert "average" in walk(judged(grid()[0]), tree()).text
    assert "average" not in walk(judged(grid()[0], "cart"), tree("cart")).text


def test_a_wide_tree_can_be_scrolled_by_keyboard():
    box = walk(judged(grid()[0]), tree()).one(tabindex="0")
    assert box["aria-label"]
    assert box.one("svg")["role"] == "img"


ONE_SEED = Missing(missing="needs 2 checkpoints, found 1")


def absent(verdict, row):
    return section("Not measured", verdict, row)


def test_what_the_tree_asks_for_in_vain_is_told_with_its_weight():
    row = grid()[0]
    lost = dict.fromkeys(("connectivity_peak", "cka"), ONE_SEED)
    row = replace(row, quantities={**row.quantities, **lost})
    verdict = judged(row)
    lines = absent(verdict, row).find("li")
    assert [lack.metric for lack in verdict.missed] == [line.one("b").text for line in lines]
    for line, lack in zip(lines, verdict.missed, strict=True):
        assert "Needs 2 checkpoints, found 1." in line.text
        assert f" most probable answer with a chance of {chance(lack.flips)}." in line.text
        assert all(feature_name(name) in line.text for name in lack.features)


def test_a_failed_metric_that_no_tree_asks_for_is_listed_once():
    row = grid()[0]
    row = replace(row, quantities={**row.quantities, "fork_cka": Missing(missing="no training")})
    (line,) = absent(judged(row), row).find("li")
    assert line.text == "fork CKA : No training."


def test_what_the_tree_asks_for_is_not_listed_again():
    row = replace(grid()[0], quantities={**grid()[0].quantities, "cka": ONE_SEED})
    missed = (MissingMeasurement(metric="similarity", features=("cka",), reason="why", flips=0.25),)
    (line,) = absent(judged(row, missed=missed), row).find("li")
    assert line.text == (
        "similarity : Why. Knowing CKA changes the most probable answer with a chance of 25 %."
    )


def test_nothing_missing_nothing_said():
    assert absent(judged(grid()[0]), grid()[0]) is None
    assert absent(judged(grid()[0], missed=()), None) is None


def said(basis, row):
    verdict = judged(grid()[0] if row is None else row, basis=basis)
    listed = section("Basis of the verdict", verdict, row).one("dl")
    names = [name.text for name in listed.find("dt")]
    assert len(set(names)) == len(names)
    return dict(zip(names, (value.text for value in listed.find("dd")), strict=True))


def test_tree_protocol_data_and_versions_are_told():
    basis = replace(
        judged(grid()[0]).basis,
        tree="mine.json",
        chosen="it was requested",
        data="36 networks",
        accuracy="80 %",
        versions={"mdtree": "0.1", "torch": "2.13"},
    )
    assert said(basis, None) == {
        "tree": "mine.json (posterior, task failure)",
        "chosen because": "It was requested.",
        "fitted to": "36 groups: 36 networks",
        "accuracy": "80 %",
        "protocol": (
            "standard-1 (mdtree's own: better defined, with standard errors, and far cheaper)"
        ),
        "versions": "mdtree 0.1, torch 2.13",
    }


def test_what_is_not_known_is_left_out():
    entries = said(replace(judged(grid()[0]).basis, protocol="of-tomorrow", accuracy=""), grid()[0])
    assert "accuracy" not in entries
    assert entries["protocol"] == "of-tomorrow"
    assert "recipe (sha256)" not in entries


def test_a_measured_row_tells_its_checkpoints_recipe_and_notes():
    entries = said(judged(grid()[0]).basis, whole_row("zoo", members=("a", "b")))
    assert entries["checkpoints (sha256)"] == "a a1a1a1a1a1a1 , b a1a1a1a1a1a1"
    assert entries["recipe (sha256)"] == "b2b2b2b2b2b2"
    assert entries["measured"] == "on cpu in 1.5 s, seed 0"
    assert entries["choices"] == "Read from zoo."

"""The walk: the picture lights what the clues say."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mdtree.diagnosis import DecisionStep
from mdtree.render.formatting import plain, question
from mdtree.render.walk import walk
from mdtree.trees import Leaf, leaves
from tests.support.reports import grid, judged, parsed, tree


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
    picture = parsed(walk(verdict, tree(method)))
    asked, node = [], tree(method).tree
    for step in verdict.clues:
        asked.append(question(node))
        node = node.low if step.went == "low" else node.high
    assert isinstance(node, Leaf)
    lit = [
        group.find("text")[0].text
        for group in picture.find("g", class_="lit")
        if group.find("rect")
    ]
    assert sorted([*asked, plain(node.answer)]) == sorted(lit)
    boxes = 2 * len(list(leaves(tree(method).tree))) - 1
    assert len(picture.find("rect")) == boxes
    assert len(picture.one("ol").find("li")) == len(asked)


@pytest.mark.parametrize(
    ("flips_at", "words"),
    [
        (None, ""),
        (1.2, "1.2 standard errors from the other answer. It could well be the other one."),
        (9.3, "9.3 standard errors from the other answer."),
        (1e9, "Far from the other answer."),
    ],
)
def test_each_clue_says_how_far_the_other_answer_is(flips_at, words):
    line = parsed(walk(judged(grid()[0], clues=(clue(flips_at),)), None)).one("li")
    assert line.text == f"CKA 0.5 ± 0.1 > 0.4: alike. {words}".strip()


def test_without_its_tree_a_verdict_still_has_its_clues():
    section = parsed(walk(judged(grid()[0]), None))
    assert section.find("figure") == []
    assert section.find("li")


def test_a_tree_that_is_one_leaf_is_drawn():
    lone = replace(tree(), tree=next(leaves(tree().tree)))
    section = parsed(walk(judged(grid()[0], clues=()), lone))
    assert section.find("ol") == []
    assert len(section.find("g", class_="lit")) == 1


def test_a_single_tree_is_not_said_to_be_an_average():
    assert "average" in parsed(walk(judged(grid()[0]), tree())).text
    assert "average" not in parsed(walk(judged(grid()[0], "cart"), tree("cart"))).text


def test_a_wide_tree_can_be_scrolled_by_keyboard():
    box = parsed(walk(judged(grid()[0]), tree())).one(tabindex="0")
    assert box["aria-label"]
    assert box.one("svg")["role"] == "img"

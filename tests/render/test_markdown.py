"""Verdicts as Markdown: the words of the terminal, and names that start nothing."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest

from mdtree.diagnosis import NextStep, OutOfDistribution
from mdtree.render.markdown import as_text, verdicts_markdown
from mdtree.render.terminal_verdict import verdict_text
from tests.support.reports import HOSTILE, grid, judged, shown_markdown

TAGS = {"h2", "h3", "p", "code", "table", "thead", "tbody", "tr", "th", "td", "ul", "ol", "li"}
TAGS |= {"strong", "sub", "blockquote"}
STARTERS = [
    "# heading", "- item", "+ item", "1. item", "12) item", "=== ", "> quote", "    code", "***",
    "a | b | c", "**bold** _slanted_ __init__ `code` ~~no~~", "[link](https://x.y) ![i](x.png)",
    "<https://x.y> www.example.org http://example.org/a", "&lt; &amp; &#64;", "a\\|b \\` \\",
    "trailing \\", "``` fence", "| --- |", "[x]: https://x.y", "$x$", "---",
]  # fmt: skip


def verdicts(count=1):
    return [judged(row) for row in grid()[:count]]


def test_a_card_has_the_numbers_of_the_terminal():
    for verdict in verdicts(36)[::5]:
        card = shown_markdown(verdicts_markdown([verdict], most=1)).text.lower()
        numbers = re.findall(r"\d[\d.,]*\d", verdict_text(verdict).replace("<=", "≤"))
        assert len(numbers) > 10
        assert not [number for number in numbers if number not in card]


def test_a_card_tells_what_is_wrong_why_and_what_to_do():
    (verdict,) = verdicts()
    page = shown_markdown(verdicts_markdown([verdict], most=1))
    assert page.one("h3").text == f"{verdict.group} : {verdict.mode}"
    answers, gains = page.find("table")
    assert len(answers.find("tr")) == 1 + len(verdict.probabilities)
    assert len(gains.find("tr")) == 1 + len(verdict.gains)
    (walk,) = page.find("ol")
    assert len(walk.find("li")) == len(verdict.clues)
    assert "Next step:" in page.text


def test_several_have_a_table_and_cards_up_to_the_limit():
    several = verdicts(3)
    page = shown_markdown(verdicts_markdown(several, most=3))
    assert len(page.find("h3")) == 3
    rows = page.find("table")[0].find("tr")[1:]
    assert [row.find("td")[0].text for row in rows] == [verdict.group for verdict in several]
    many = verdicts_markdown(several, most=2)
    assert "### " not in many
    assert "`--group NAME`" in many


def test_an_unsure_verdict_says_what_is_probable_and_why_it_is_unsure():
    (verdict,) = verdicts()
    unsure = replace(verdict, mode="unsure", why_unsure=("the trees disagree",))
    page = shown_markdown(verdicts_markdown([unsure], most=1))
    assert page.one("h3").text == f"{verdict.group} : unsure ({verdict.likely}?)"
    assert "Unsure: the trees disagree." in page.text


def test_what_the_tree_does_not_know_is_a_caution():
    (verdict,) = verdicts()
    far = OutOfDistribution(distance=7.5, limit=2.25, beyond=("width",))
    page = shown_markdown(verdicts_markdown([replace(verdict, outlier=far)] * 2, most=2))
    assert page.find("table")[0].find("td")[3].text == "yes"
    assert "distance 7.50, usually up to 2.25; outside their range: width" in page.text


def test_groups_without_a_verdict_are_listed_with_the_reason():
    page = shown_markdown(verdicts_markdown([], most=3, failures={"a": "no weights <b>"}))
    assert page.one("li").text == "a : no weights <b>"


@pytest.mark.parametrize("text", [*HOSTILE, *STARTERS], ids=range(len(HOSTILE + STARTERS)))
def test_foreign_names_are_text_wherever_they_stand(text):
    (verdict,) = verdicts()
    plain = shown_markdown(verdicts_markdown([verdict, verdict], most=2))
    basis = replace(verdict.basis, tree=text, chosen=text, data=text, warnings=(text,))
    missed = tuple(replace(each, metric=text, reason=text) for each in verdict.missed)
    steps = tuple(replace(step, says=text) for step in verdict.clues)
    named = replace(
        verdict,
        group=text,
        next_step=NextStep(kind="keep", says=text),
        basis=basis,
        missed=missed,
        clues=steps,
        likely=text,
    )
    markdown = verdicts_markdown([named, named], most=2, failures={text: text})
    page = shown_markdown(markdown)
    assert {element.tag for element in page.find()} <= TAGS
    assert not [element for element in page.find() if element.attributes.keys() - {"style"}]
    assert len(page.find("table")) == len(plain.find("table"))
    for table in page.find("table"):
        columns = len(table.find("th"))
        assert all(len(row.find("td")) in (0, columns) for row in table.find("tr"))
    assert all(c.isprintable() or c == "\n" for c in markdown)
    lists = [[len(each.find("li")) for each in list_.find()] for list_ in page.find("ol")]
    assert all(count == 0 for nested in lists for count in nested)


@pytest.mark.parametrize("text", ["@team", "fixes #12", "https://x.y", "WWW.x.org", "a@b.cd"])
def test_no_mention_reference_or_link_is_left_in_one_piece(text):
    escaped = as_text(text)
    assert not re.search(r"@\w|#\d|://|www\.", escaped, re.IGNORECASE)
    assert escaped.replace("<!-- -->", "") == text


def test_names_of_ours_stay_readable():
    assert as_text("learning_rate 0.1 -> 0.01 (54 %)") == "learning_rate 0.1 -&gt; 0.01 (54 %)"


def test_a_number_that_is_missing_is_not_written():
    (verdict,) = verdicts()
    steps = tuple(replace(step, value=None, flips_at=math.inf) for step in verdict.clues)
    assert "inf" not in verdicts_markdown([replace(verdict, clues=steps)], most=1).lower().replace(
        "information", ""
    )

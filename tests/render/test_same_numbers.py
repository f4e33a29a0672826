"""One verdict on the page, in the terminal, in Markdown and in JSON has the same numbers."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from mdtree.diagnosis import OutOfDistribution, Target, headline, headline_of_all, to_plain_data
from mdtree.render.formatting import chance, percent
from mdtree.render.markdown import as_code, verdicts_markdown
from mdtree.render.page import report_page
from mdtree.render.terminal_verdict import verdict_text, verdicts_table
from tests.support.reports import grid, judged, parsed, tree

FAR = OutOfDistribution(distance=7.5, limit=2.25, beyond=("cka",))
GAP = Target(accuracy=95.0, measured=90.123, gap=4.877, noise=0.512)
CHANGES = {
    "as it is": {},
    "nearly certain": {
        "probability": 0.9996,
        "probabilities": {"none": 0.9996, "data_small": 4e-4},
    },
    "impossible in the estimate": {
        "probability": 0.996,
        "probabilities": {"none": 0.996, "data_small": 0.004, "model_small": 0.0},
    },
    "out of distribution": {"outlier": FAR},
    "with a target": {"target": GAP},
    "with prediction sets": {"answers": {"0.9": ("model_small", "data_small")}},
    "stable in part": {"stability": 0.4321, "agreement": 0.9991},
}
VERDICTS = [
    pytest.param(replace(judged(row), **changes), id=f"{row.group}, {name}")
    for row in grid()[::7]
    for name, changes in CHANGES.items()
]


def numbers(text):
    """List the numbers of a text, each with what says that it is bounded."""
    plain = text.replace("≤", "<=").replace(",", "")
    return re.findall(r"(?:under |over )?(?<![\w.])[-+]?\d+(?:\.\d+)?(?:e[-+]\d+)?", plain)


def texts(verdict):
    """Return the card of a verdict in the terminal, in Markdown and on the page."""
    row = next(row for row in grid() if row.group == verdict.group)
    article = parsed(report_page([verdict], [row], {"ours": tree()})).one("body")
    shown = (verdict_text(verdict), verdicts_markdown([verdict], most=1), article.text)
    return tuple(text.replace("Over ", "over ").replace("Under ", "under ") for text in shown)


@pytest.mark.parametrize("verdict", VERDICTS)
def test_the_page_and_markdown_have_all_numbers_of_the_terminal(verdict):
    terminal, markdown, page = texts(verdict)
    wanted = set(numbers(terminal.replace(verdict.group, "")))
    assert len(wanted) > 8
    assert wanted - set(numbers(markdown)) == set()
    assert wanted - set(numbers(page)) == set()


@pytest.mark.parametrize("verdict", VERDICTS)
def test_the_sentence_is_the_same_on_the_page_in_markdown_and_in_json(verdict):
    content = json.loads(json.dumps(to_plain_data(verdict)))
    _, markdown, page = texts(verdict)
    assert content["headline"] == headline(verdict)
    assert headline(verdict) in page
    assert headline(verdict) in markdown


def ends(gain):
    """Return the ends of a range that people read: those that the mean is not."""
    mean, low, high = (f"{gain[name]:.1f}" for name in ("mean", "low", "high"))
    return [end for end in dict.fromkeys((low, high)) if end != mean]


@pytest.mark.parametrize("verdict", VERDICTS)
def test_what_people_read_are_the_rounded_numbers_of_json(verdict):
    content = json.loads(json.dumps(to_plain_data(verdict)))
    wanted = [percent(content["probability"]), *map(chance, content["probabilities"].values())]
    wanted += [percent(s) for s in (content["agreement"], content["stability"]) if s is not None]
    for gain in content["gains"]:
        wanted += [f"{gain['mean']:+.1f}", *ends(gain)]
        if gain["old"] is not None:
            wanted.append(f"{gain['old']:.10g} → {gain['new']:.10g}")
    wanted += [
        f"{step['flips_at']:.1f} standard errors"
        for step in content["clues"]
        if step["flips_at"] is not None and step["flips_at"] <= 10
    ]
    if verdict.outlier is not None and verdict.outlier.outside:
        wanted += [f"{content['outlier'][name]:.2f}" for name in ("distance", "limit")]
    if content.get("target"):
        wanted += [f"{content['target'][name]:.1f}" for name in ("measured", "gap")]
    terminal, markdown, page = texts(verdict)
    assert [text for text in wanted if text not in page] == []
    assert [text for text in wanted if text not in terminal.replace("->", "→")] == []
    flat = markdown.replace("-&gt;", "→").replace(" | ", " ")
    assert [text for text in wanted if text not in flat] == []


def test_several_have_the_same_numbers_in_all_tables():
    rows = grid()[:4]
    verdicts = [judged(row) for row in rows]
    page = parsed(report_page(verdicts, rows, {"ours": tree()}))
    markdown = verdicts_markdown(verdicts, most=1)
    terminal = verdicts_table(verdicts)
    table = page.one("nav", aria_label="groups").find("table")[0]
    lines = table.one("tbody").find("tr")
    for verdict, line in zip(verdicts, lines, strict=True):
        share = percent(verdict.probability)
        assert f" {share} " in line.text
        assert re.search(rf"^{verdict.group} .* {share}( |$)", terminal, re.MULTILINE)
        assert re.search(rf"{re.escape(as_code(verdict.group))} \| .* \| {share} \|", markdown)
    sentence = headline_of_all(verdicts)
    assert sentence in page.text
    assert sentence in markdown

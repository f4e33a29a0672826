"""The page: whole for every kind of group, harmless for every name, and in need of nothing."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from itertools import pairwise

import pytest

from mdtree.diagnosis import NextStep, OutOfDistribution, headline, headline_of_all
from mdtree.failure_modes import FAILURE_MODES
from mdtree.render.page import report_page
from mdtree.render.style import COLOURS
from mdtree.rows import Detail, GroupFailure, Missing
from tests.support.reports import HOSTILE, grid, group, judged, numbers_in, parsed, tree, whole_row

TREES = {"ours": tree()}
ONE_SEED = Missing(missing="needs 2 checkpoints, found 1")
FAILED = GroupFailure(kind="CheckpointError", reason="seed-1.pt is cut off")


def page_of(*rows, **changes):
    return parsed(report_page([judged(row, **changes) for row in rows], rows, TREES))


def unmeasured(row, *names, **parts):
    kept = {n: ONE_SEED if n in names else value for n, value in row.quantities.items()}
    return replace(row, quantities=kept, **parts)


KINDS = {
    "whole": whole_row(),
    "from a table": grid()[0],
    "one checkpoint": unmeasured(grid()[0], "connectivity", "connectivity_peak", "cka"),
    "a failed metric": unmeasured(whole_row(), "hessian_top", "hessian_trace", failure=FAILED),
    "nothing measured": unmeasured(grid()[0], *grid()[0].quantities),
    "without anything": group("bare", {}),
    "unlike all others": group("far", {"train_error": (100.0, 1.0), "cka": (-1.0, 0.1)}),
    "extreme": group("huge", {"train_loss": (1e300, 1e300), "hessian_trace": (5e-324, 1e-9)}),
    "with odd facts": replace(grid()[0], facts={"width": 10**400, "on": True, "who": "me"}),
}


@pytest.mark.parametrize("row", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("method", ["posterior", "cart"])
def test_every_kind_of_group_makes_a_whole_page(row, method):
    """What no picture can hold is refused by the markup itself, so this is about crashes too."""
    row = replace(row, protocol="standard-1")
    trees = {
        "ours": replace(tree(method), population=None if method == "cart" else tree().population)
    }
    page = parsed(report_page([judged(row, method)], [row], trees))
    assert len(page.find("h1")) == 1
    assert [len(page.find(name)) for name in ("header", "main", "footer", "article")] == [1] * 4
    assert len(page.find(role="status", aria_label="verdict")) == 1
    for picture in page.find(role="img"):
        assert picture["aria-label"]
    for figure in page.find("figure"):
        assert figure.one("figcaption").text
    for element in page.find():
        for name in (
            "x",
            "y",
            "cx",
            "cy",
            "x1",
            "x2",
            "y1",
            "y2",
            "width",
            "height",
            "d",
            "viewbox",
        ):
            assert all(map(math.isfinite, numbers_in(element.attributes.get(name, ""))))


def test_all_pictures_of_a_measured_group_are_there():
    titles = [caption.text for caption in page_of(whole_row()).find("figcaption")]
    for title in (
        "A leaf shows",
        "Connectivity: error",
        "Connectivity: loss",
        "Spectral density",
        "Correlation flow",
        "Similarity of the networks",
        "Similarity of the layers",
    ):
        assert sum(heading.startswith(title) for heading in titles) == 1


def test_headings_come_in_order():
    page = page_of(
        whole_row(),
        unmeasured(grid()[0], "cka"),
        outlier=OutOfDistribution(distance=2, limit=1, beyond=()),
    )
    levels = [int(e.tag[1]) for e in page.find() if re.fullmatch("h[1-6]", e.tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_the_flag_comes_before_the_verdict():
    row = grid()[0]
    page = page_of(row, outlier=OutOfDistribution(distance=2.0, limit=1.0, beyond=("cka",)))
    roles = [element.attributes.get("role") for element in page.one("article").find()]
    assert roles.index("note") < roles.index("status")
    assert "note" not in [e.attributes.get("role") for e in page_of(row).one("article").find()]


def test_warnings_are_told():
    verdict = judged(grid()[0])
    verdict = replace(verdict, basis=replace(verdict.basis, warnings=("an old\ntree", "b")))
    page = parsed(report_page([verdict], grid(), TREES))
    assert [line.text for line in page.one("ul", class_="plain note").find("li")] == [
        "An old tree.",
        "B.",
    ]


def test_checks_are_found_fine_or_not_checked():
    """Of a measured row without provenance: nothing is known of its files."""
    verdict = judged(grid()[0])
    page = parsed(report_page([verdict], grid(), TREES))
    (section,) = [
        part for part in page.find("section") if part.find("h3") and "Checks" in part.one("h3").text
    ]
    text = " ".join(section.text.split())
    for check in verdict.checks:
        name = check.name.replace("_", " ")
        assert text.count(check.code) == 1
        assert f"{check.code} {name}" in text
    found, rest = text.split("Checked and fine:")
    fine, skipped = rest.split("Not checked:")
    for part, status in ((found, "found"), (fine, "passed"), (skipped, "not_checked")):
        codes = [check.code for check in verdict.checks if check.status == status]
        assert re.findall(r"MD\d+", part) == codes or status == "not_checked"
    assert "MD401 copies, MD403 snapshots: the row does not say which files it is about" in skipped
    assert not section.find("a")


def test_a_page_of_a_verdict_without_checks_has_no_section_of_them():
    verdict = replace(judged(grid()[0]), checks=())
    page = parsed(report_page([verdict], grid(), TREES))
    assert "Checks" not in [title.text for title in page.find("h3")]


def test_several_groups_have_a_table_whose_links_lead_to_them():
    rows = grid()[:3]
    page = page_of(*rows)
    links = page.one("nav", aria_label="groups").find("table")[0].find("a")
    assert [row.group for row in rows] == [link.text for link in links]
    articles = {article["id"]: article for article in page.find("article")}
    for link in links:
        article = articles[link["href"].removeprefix("#")]
        assert link.text == article.one("h2").text
        assert article.one("h2")["id"] == article["aria-labelledby"]
    assert page_of(rows[0]).find("nav") == []


def test_the_page_opens_with_the_sentence_then_the_card_then_the_evidence():
    row = whole_row()
    verdict = judged(row)
    page = parsed(report_page([verdict], [row], TREES))
    heading, sentence = page.one("header").find()[:2]
    assert (heading.tag, sentence.text) == ("h1", headline(verdict))
    places = [page.text.index(text) for text in (sentence.text, "What is wrong", "Why", "Checks")]
    assert places == sorted(places)
    assert page.text.count(sentence.text) == 1


def test_the_sentence_of_several_counts_them_and_each_has_its_own():
    rows = grid()[:3]
    verdicts = [judged(row) for row in rows]
    page = parsed(report_page(verdicts, rows, TREES))
    assert page.one("header").one("p", class_="headline").text == headline_of_all(verdicts)
    own = [article.one("p", class_="headline").text for article in page.find("article")]
    assert own == [headline(verdict) for verdict in verdicts]


def test_the_ten_words_are_explained_and_used():
    page = page_of(whole_row(), mode="temperature_low", answers={"0.9": ("none",)})
    section = page.one("section", id="words")
    words = [word.text for word in section.find("dt")]
    assert len(words) == len(section.find("dd")) == 10
    assert all(meaning.text.endswith(".") for meaning in section.find("dd"))
    rest = page.one("body").text.replace(section.text, "").lower()
    assert [word for word in words if word not in rest] == []
    assert page.one("header").one("a")["href"] == "#words"


def test_the_table_tells_the_unsure_and_the_outlying():
    rows = grid()[:2]
    one, other = (judged(row) for row in rows)
    one = replace(
        one, mode="unsure", likely="none", outlier=OutOfDistribution(distance=2, limit=1, beyond=())
    )
    other = replace(other, mode="data_small", likely="data_small", outlier=None, probability=0.9)
    table = parsed(report_page([one, other], rows, TREES)).one("nav").one("tbody").find("tr")
    assert "unsure (none?) out of distribution" in table[0].text
    gain = next(gain.mean for gain in other.gains if gain.mode == "data_small")
    assert table[1].text.endswith(f"data small 90 % {gain:+.1f}")


def test_ids_are_unique():
    ids = [e["id"] for e in page_of(*grid()[:3]).find() if "id" in e.attributes]
    assert ids
    assert len(set(ids)) == len(ids)


def test_two_protocols_of_one_group_keep_their_own_rows():
    one = replace(grid()[0], facts={"width": 1})
    other = replace(one, protocol="paper-1", facts={"width": 2})
    first, second = (judged(replace(row, protocol="standard-1")) for row in (one, other))
    second = replace(second, basis=replace(second.basis, protocol="paper-1"))
    facts = parsed(report_page([first, second], [other, one], TREES)).find("p", class_="facts")
    assert [paragraph.text for paragraph in facts] == ["width 1", "width 2"]


def test_a_group_without_a_verdict_is_named_with_its_reason():
    lost = replace(group("lost", {}), failure=FAILED)
    page = parsed(report_page([judged(grid()[0])], [grid()[0], lost, grid()[1]], TREES))
    text = page.one("section", class_="unjudged").text
    assert "lost Seed-1.pt is cut off." in text
    assert f"{grid()[1].group} It was not diagnosed." in text
    assert grid()[0].group not in text


def test_a_verdict_alone_is_a_page_too():
    page = parsed(report_page([judged(grid()[0])], [], {}))
    assert page.one(role="status")
    assert page.find("figure") == []


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_text_wherever_they_stand(name):
    row = whole_row(name, members=(name, f"{name}2"))
    row = replace(
        row,
        facts={name: name, "width": 3},
        quantities={
            **row.quantities,
            name: Missing(missing=name),
            f"{name}3": row.quantities["cka"],
        },
        failure=GroupFailure(kind=name, reason=name),
    )
    verdict = judged(row)
    names = {"tree": name, "chosen": name, "data": name, "accuracy": name, "warnings": (name,)}
    verdict = replace(
        verdict,
        group=row.group,
        mode="unsure",
        likely=name,
        probabilities={name: 1.0},
        why_unsure=(name,),
        next_step=NextStep(kind="keep", says=name),
        basis=replace(verdict.basis, **names, versions={name: name}),
    )
    page = parsed(
        report_page(
            [verdict, verdict], [row, group("lost", {}, failure=row.failure)], {name: tree()}
        )
    )
    usual = parsed(report_page([judged(whole_row())] * 2, [whole_row(), group("lost", {})], TREES))
    known = {element.tag for element in usual.find()}
    assert {element.tag for element in page.find()} - known <= {"small"}
    for element in page.find():
        assert not [key for key in element.attributes if key.startswith("on") or key == "style"]
        assert element.attributes.get("href", "#").startswith(("#group-", "data:,", "#"))
    seen = {text for text in page.text if not text.isprintable()}
    assert seen == set()


def test_the_page_asks_nothing_of_the_network():
    text = report_page([judged(whole_row())], [whole_row()], TREES)
    page = parsed(text)
    assert {e.tag for e in page.find()} & {
        "script",
        "img",
        "iframe",
        "object",
        "embed",
        "base",
    } == set()
    assert not re.search(r"@import|url\(|src=", text)
    assert "http://" not in text
    assert "https://" not in text
    policy = page.one("meta", http_equiv="Content-Security-Policy")["content"]
    assert policy.startswith("default-src 'none';")
    assert "script-src" not in policy


def test_the_same_verdicts_give_the_same_page():
    pages = {report_page([judged(whole_row())], [whole_row()], TREES) for _ in range(2)}
    assert len(pages) == 1


def test_every_mode_has_a_colour_of_its_own_on_light_and_on_dark():
    assert set(COLOURS) == set(FAILURE_MODES)
    style = page_of(grid()[0]).one("head").one("style").text
    light, dark = style.split("@media screen and (prefers-color-scheme:dark){", 1)
    for part in (light, dark):
        colours = [re.findall(rf"\.mode-{mode}{{--mode:(#\w{{6}})}}", part) for mode in COLOURS]
        assert len({colour for (colour,) in colours}) == len(COLOURS)


def test_a_detail_of_tomorrow_is_left_alone():
    row = whole_row()
    new = Detail(columns={"member": ("a",), "spin": (1.0,)})
    changed = replace(row, details=dict.fromkeys(row.details, new) | {"new": new})
    titles = [caption.text for caption in page_of(changed).find("figcaption")]
    assert len(titles) == 1


def test_the_page_grows_with_its_groups_and_no_faster():
    short, long = (
        len(report_page([judged(r) for r in rows], rows, TREES))
        for rows in (grid()[:4], grid()[:8])
    )
    assert long < 2.2 * short


def test_what_pictures_use_is_drawn_once():
    page = page_of(*grid()[:3])
    ids = [element["id"] for element in page.one("defs").find() if "id" in element.attributes]
    used = {use["href"].removeprefix("#") for use in page.find("use")}
    assert used == set(ids)
    assert len(ids) == 5 + len(TREES["ours"].features)

"""The overview: groups in orders that were sorted before, and on the map of their settings."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mdtree.render.overview import maps, orders
from mdtree.render.page import report_page
from tests.support.reports import HOSTILE, grid, group, judged, parsed, tree

ROWS = grid()[:4]  # width 1, batches of 8 and 64
ROWS_OF_A_MAP = [row for row in grid() if row.facts["data_amount"] == 100]


def verdict(row, mode="model_small", probability=0.9, gain=1.0, *, sure=True):
    """Give a verdict with these numbers; `gain` is that of its own remedy."""
    made = judged(row)
    (own,) = [each for each in made.gains if each.mode == mode][:1] or made.gains[:1]
    remedy = {"model_small": "enlarge_model", "data_small": "add_data"}[mode]
    return replace(
        made,
        mode=mode if sure else "unsure",
        likely=mode,
        probability=probability,
        gains=(replace(own, remedy=remedy, mode=mode, mean=gain),),
        outlier=None,
    )


VERDICTS = [
    verdict(ROWS[0], gain=2.0, probability=0.7),
    verdict(ROWS[1], "data_small", gain=5.0, probability=0.99, sure=False),
    verdict(ROWS[2], "data_small", gain=3.0, probability=0.8),
    verdict(ROWS[3], gain=2.0, probability=0.8),
]


def rows_by_key(rows):
    return {row.key: row for row in rows}


def test_each_order_is_sorted_and_ties_stay_as_listed():
    numbers = {o["name"]: [line["number"] for line in o["lines"]] for o in orders(VERDICTS)}
    assert numbers == {
        "listed": [1, 2, 3, 4],
        "gain": [2, 3, 1, 4],
        "verdict": [1, 4, 3, 2],  # model_small, data_small, and what is no failure mode
        "sure": [3, 4, 1, 2],  # what is unsure comes last, however probable its guess
    }


def test_two_groups_need_no_orders():
    assert [order["name"] for order in orders(VERDICTS[:2])] == ["listed"]


def test_one_order_is_shown_and_the_others_can_be_chosen_without_a_script():
    page = parsed(report_page(VERDICTS, ROWS, {"ours": tree()}))
    overview = page.one("nav", aria_label="groups")
    choices = overview.one("fieldset").find("input", type="radio", name="order")
    assert ["checked" in choice.attributes for choice in choices] == [True, False, False, False]
    labels = {label["for"]: label.text for label in overview.find("label")}
    assert [labels[choice["id"]] for choice in choices] == [
        "as listed",
        "largest gain first",
        "by verdict",
        "surest first",
    ]
    for choice, table in zip(choices, overview.find("table"), strict=True):
        assert table["class"].split() == ["order", choice["id"]]
    lines = overview.find("table")[1].one("tbody").find("tr")
    assert [line.text for line in lines][:2] == [
        f"{ROWS[1].group} unsure (data small?) 99 % +5.0",
        f"{ROWS[2].group} data small 80 % +3.0",
    ]


def test_groups_on_a_grid_have_a_map_for_each_further_fact():
    rows = grid()
    pictures = maps([verdict(row) for row in rows], rows_by_key(rows), most=200)
    assert [picture["title"] for picture in pictures] == [
        "data amount 100",
        "data amount 400",
        "data amount 1,600",
    ]
    first = pictures[0]
    assert (first["across"], first["down"]) == ("batch size", "width")
    assert first["columns"] == ["8", "64", "512"]
    assert [line for line, _ in first["lines"]] == ["8", "4", "2", "1"]
    assert [cell["number"] for _, cells in first["lines"] for cell in cells] == [
        number
        for width in (8, 4, 2, 1)
        for number in [
            1 + rows.index(row)
            for row in rows
            if row.facts["width"] == width and row.facts["data_amount"] == 100
        ]
    ]


def test_a_cell_leads_to_its_group_and_says_what_its_letter_means():
    rows = ROWS_OF_A_MAP
    verdicts = [verdict(row, probability=0.61, sure=row is not rows[1]) for row in rows]
    page = parsed(report_page(verdicts, rows, {"ours": tree()}))
    table = page.one("nav", aria_label="map of the groups").one("table")
    cells = [cell for line in table.one("tbody").find("tr") for cell in line.find("td")]
    assert len(cells) == len(rows)
    for cell in cells:
        row = rows[int(cell.one("a")["href"].removeprefix("#group-")) - 1]
        words = "M? model small (unsure) 61 %" if row is rows[1] else "M model small 61 %"
        assert cell.text == words
        assert cell["class"] == "mode-model_small"


def test_a_group_that_the_page_does_not_show_has_no_link():
    rows = grid()
    pictures = maps([verdict(row) for row in rows], rows_by_key(rows), most=1)
    numbers = [cell["number"] for each in pictures for _, cells in each["lines"] for cell in cells]
    assert [number for number in numbers if number is not None] == [1]


NOT_A_GRID = {
    "one fact": [row for row in grid() if row.facts["width"] == 1 and row.facts["batch_size"] == 8],
    "two groups in one cell": [*ROWS, replace(ROWS[0], group="twin")],
    "hardly any cell filled": [
        replace(ROWS[0], group=str(n), facts={"width": n, "batch_size": n}) for n in range(1, 6)
    ],
    "without facts": [group(name, {}) for name in "abc"],
    "a fact that is no number": [replace(row, facts={**row.facts, "width": "x"}) for row in ROWS],
}


@pytest.mark.parametrize("rows", NOT_A_GRID.values(), ids=NOT_A_GRID)
def test_other_groups_have_no_map(rows):
    if "no number" not in str(rows[0].facts):
        rows = [replace(row, facts=dict(row.facts)) for row in rows]
    pictures = maps([verdict(ROWS[0]) for _ in rows], {}, most=200)
    assert pictures == []
    verdicts = [replace(verdict(ROWS[0]), group=row.group) for row in rows]
    found = maps(verdicts, rows_by_key(rows), most=200)
    if rows[0].facts.get("width") != "x":
        assert found == []
    else:  # what is left is the grid of batches and amounts of data
        assert all(picture["down"] != "width" for picture in found)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_text_in_the_overview_and_on_the_map(name):
    rows = [
        replace(row, group=f"{name}{number}", facts={**row.facts, "zoo": name})
        for number, row in enumerate(ROWS_OF_A_MAP)
    ]
    verdicts = [replace(verdict(row), likely=name, mode="unsure") for row in rows]
    page = parsed(report_page(verdicts, rows, {"ours": tree()}))
    assert page.find("nav", aria_label="map of the groups")
    tags = {element.tag for element in page.one("header").find()}
    assert not tags & {"script", "img", "style", "svg"}
    for element in page.one("header").find():
        assert not [key for key in element.attributes if key.startswith("on") or key == "style"]
    assert all(text.isprintable() for text in page.one("header").text)

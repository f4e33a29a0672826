"""The page of a comparison: before and after side by side, in the words of the terminal."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mdtree.diagnosis import Compared, compare_groups
from mdtree.render.comparison import comparison_page, comparison_text
from mdtree.render.comparison_words import cells
from mdtree.rows import GroupFailure, Measured, Missing
from tests.support.reports import HOSTILE, parsed
from tests.support.rows import row

LOST = GroupFailure(kind="UnreadableError", reason="no weights")


def sides(name="net", **after):
    before = row(
        name,
        {"learning_rate": 0.1, "batch_size": 32, "steps": 100, name: name},
        test_error=Measured(value=40.0, stderr=1.0, members=(39.0, 41.0)),
        **{name: 1.0, "lost": Missing(missing=name)},
    )
    facts = {"learning_rate": 0.2, "batch_size": 64, "steps": 50, name: f"{name}!"}
    error = Measured(value=10.0, stderr=1.0, members=(9.0, 11.0))
    values = {"test_error": error, name: 2.0, **after}
    return before, row(f"{name}2", facts, **values)


def compared(*pairs):
    return compare_groups(pairs or [sides()])


def words(text):
    return " ".join(text.lower().replace("->", "→").split())


def test_the_page_says_what_the_terminal_says():
    found = compared()
    page = parsed(comparison_page(found))
    shown = words(page.text)
    (only,) = found.comparisons
    for line in comparison_text(only).splitlines():
        if line.startswith(("---", "quantity", "before:", "after:", "changed:", "  ")):
            continue
        for part in words(line).split(":", 1):
            assert part.strip(" .") in shown or ":" in line, part
    for each in only.differences:
        for cell in cells(each):
            assert words(cell) in shown


def test_before_and_after_stand_side_by_side():
    page = parsed(comparison_page(compared()))
    found = [
        each for each in page.find("div") if "side" in each.attributes.get("class", "").split()
    ]
    before, after, promised, gained = found
    assert (before["aria-label"], after["aria-label"]) == ("before", "after")
    assert "net" in before.text
    assert "net2" in after.text
    assert "probability" in before.text
    assert (promised["aria-label"], gained["aria-label"]) == ("promised", "gained")
    assert "points of test accuracy" in gained.text


def test_changed_facts_are_a_table_with_what_only_follows():
    page = parsed(comparison_page(compared()))
    lines = [[cell.text for cell in line.find("td")] for line in page.find("tr")]
    assert ["0.1", "0.2", ""] in lines
    assert ["100", "50", "follows from batch_size"] in lines


def test_several_comparisons_have_an_overview_with_links():
    pairs = [sides(name) for name in ("a", "b", "c")]
    page = parsed(comparison_page(compared(*pairs), most=2))
    assert [link["href"] for link in page.find("a")] == ["#pair-1", "#pair-2"]
    assert len(page.find("article")) == 2
    assert "The first 2 of 3 comparisons are shown in full." in page.text


def test_what_could_not_be_compared_is_listed_with_its_reason():
    same = row("same", cka=0.5)
    pairs = [sides(), (row("gone", failure=LOST), row("gone", failure=LOST)), (same, same)]
    gone = (replace(pairs[1][0]), row("gone", cka=0.5))
    page = parsed(comparison_page(compared(pairs[0], gone, pairs[2])))
    assert "Not compared" in page.text
    assert "no weights" in page.text
    assert "The same before and after" in page.text


def test_a_pair_without_a_tree_and_without_differences_has_a_page():
    before, after = (row("a", {"width": n}, protocol="mine", x=n) for n in (1, 2))
    page = parsed(comparison_page(compare_groups([(before, after)])))
    assert "there is none" in words(page.text)
    assert parsed(comparison_page(Compared(comparisons=()))).find("h1")


@pytest.mark.parametrize("name", [name.encode("ascii", "replace").decode() for name in HOSTILE])
def test_hostile_names_are_text(name):
    found = compared(sides(name), sides(f"{name}3"))
    whole = replace(found, failures={name: name}, unchanged=(name,))
    text = comparison_page(whole)
    assert all(letter.isprintable() or letter == "\n" for letter in text)
    page = parsed(text)
    plain = parsed(comparison_page(replace(compared(sides("a"), sides("b")), failures={"a": "a"},
                                           unchanged=("a",))))  # fmt: skip
    assert [each.tag for each in page.find()] == [each.tag for each in plain.find()]
    assert not page.find("script")
    assert not page.find("img")

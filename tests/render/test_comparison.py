"""Comparisons as text and as Markdown: hostile names start nothing, and both forms say the same."""

from __future__ import annotations

import pytest

from mdtree.diagnosis import LEVEL, compare_groups
from mdtree.render.comparison import comparison_text, comparisons_markdown, comparisons_table
from mdtree.render.comparison_noise import p_value
from mdtree.rows import Measured, Missing
from tests.support.reports import HOSTILE, shown_markdown
from tests.support.rows import row

TAGS = {"h2", "h3", "p", "code", "table", "thead", "tbody", "tr", "th", "td", "ul", "li"}
TAGS |= {"strong", "sub", "blockquote"}


def compared(name="net", **after):
    before = row(
        name,
        {"learning_rate": 0.1, name: name, "note": name},
        test_error=Measured(value=20.0, stderr=1.0),
        **{name: 1.0, "lost": Missing(missing=name)},
    )
    facts = {"learning_rate": 0.2, name: f"{name}!", "note": "sound"}
    values = {"test_error": Measured(value=10.0, stderr=1.0), name: 2.0, **after}
    return compare_groups([(before, row(f"{name}2", facts, **values))]).comparisons[0]


@pytest.mark.parametrize("name", [name.encode("ascii", "replace").decode() for name in HOSTILE])
def test_hostile_names_are_text_on_the_terminal_and_in_markdown(name):
    found = compared(name)
    for text in (comparison_text(found), comparisons_table([found, found])):
        assert all(letter.isprintable() or letter == "\n" for letter in text)
    text = comparisons_markdown([found, found], most=2, failures={name: name})
    assert all(letter.isprintable() or letter == "\n" for letter in text)
    page = shown_markdown(text)
    assert {element.tag for element in page.find()} <= TAGS
    assert len([element for element in page.find() if element.tag == "h3"]) == 3


def test_each_line_of_the_terminal_is_in_the_markdown():
    found = compared()
    page = " ".join(shown_markdown(comparisons_markdown([found], most=1)).text.lower().split())
    for line in comparison_text(found).splitlines():
        if line.startswith(("---", "quantity", "before:", "after:", "changed:")):
            continue
        for word in line.lower().replace("->", "→").split("  "):
            assert " ".join(word.split()) in page or ":" in word


def test_p_values_keep_two_digits_and_claim_no_certainty():
    assert [p_value(p) for p in (None, 0.0, 1e-4, 0.0456, 0.1, 1.0)] == [
        "", "< 0.0001", "0.0001", "0.046", "0.10", "1.00"
    ]  # fmt: skip


@pytest.mark.parametrize("p", [0.0498, 0.04996, 0.0499999999999, 0.05, 0.0502, 0.0500000001])
def test_a_printed_p_lies_on_the_same_side_of_the_limit(p):
    """0.0498 is not written as 0.05, which is not below 0.05."""
    text = p_value(p)
    if text.startswith("<"):
        assert p < LEVEL == float(text[2:])
    else:
        assert (float(text) < LEVEL) == (p < LEVEL)
        assert float(text) == pytest.approx(p, rel=0.01)


def test_a_gain_outside_the_range_says_on_which_side():
    def trained(rate, error):
        known = {
            "train_error": Measured(value=error - 1, stderr=0.5),
            "test_error": Measured(value=error, stderr=0.5),
            "hessian_top": Measured(value=5.0, stderr=0.5),
        }
        facts = {"learning_rate": rate, "batch_size": 32, "width": 32, "data_amount": 4096}
        return row("a", facts, **known)

    (worse,) = compare_groups([(trained(0.0005, 44), trained(0.016, 60))]).comparisons
    text = comparison_text(worse)
    assert worse.promise.gain is not None
    assert "gained:   -16.00 ± 0.71 points of test accuracy, below the promised range, by" in text

"""SVG: text stays text, whatever it holds."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdtree.render.svg import Markup, element, escaped, path, percent, picture


@given(st.text(max_size=30))
def test_any_text_is_read_back_from_elements_and_attributes(text):
    read = ET.fromstring(element("text", text, id=text))
    assert read.get("id") == (read.text or "")
    assert list(read) == []
    if text.isprintable():
        assert text == (read.text or "")


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("\x1b[2J", "\\x1b[2J"),
        ("\x00", "\\x00"),
        ("\ud800", "\\ud800"),
        ("\u202eevil", "\\u202eevil"),
        ("a\nb", "a\\nb"),
        ("<&\"'>", "&lt;&amp;&quot;&#x27;&gt;"),
        ("ü ≤", "ü ≤"),
    ],
)
def test_what_steers_terminals_or_readers_is_spelled_out(text, spelled):
    assert spelled == escaped(text)
    assert escaped(text).isprintable()


def test_a_text_that_nobody_reads_to_its_end_is_cut():
    assert escaped("<" * 3000) == "&lt;" * 1999 + "…"


def test_markup_is_not_escaped_again():
    made = element("g", element("text", "&"), Markup("<path/>"))
    assert made == "<g><text>&amp;</text><path/></g>"
    assert escaped(escaped("&")) == "&amp;"


def test_markup_and_text_added_are_text():
    """So a slip makes ugly pages, and never open doors."""
    assert element("g", element("text", "") + "<script>").count("<script>") == 0


def test_none_is_left_out():
    assert element("g", None, "a", None, class_=None, id="") == '<g id="">a</g>'


def test_names_of_attributes_are_those_of_svg():
    made = element("svg", class_="x", aria_label="y", fill_opacity=0.5, viewBox="0 0 1 1")
    assert made == '<svg class="x" aria-label="y" fill-opacity="0.5" viewBox="0 0 1 1"/>'


def test_only_an_element_without_content_has_no_end_of_its_own():
    assert element("rect", None) == "<rect/>"
    assert element("title", "") == "<title></title>"


def test_a_picture_has_its_description():
    assert picture("a < b", width=2) == '<svg width="2" role="img" aria-label="a &lt; b"/>'


@pytest.mark.parametrize(
    ("value", "written"),
    [(1 / 3, "0.33"), (-0.001, "0"), (5, "5"), (100.0, "100"), (12345.678, "12345.68")],
)
def test_numbers_are_short(value, written):
    assert element("rect", x=value) == f'<rect x="{written}"/>'
    assert percent(value) == f"{written}%"
    assert path([(value, 1), (0.125, 2)]) == f"M{written} 1L0.12 2"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    "write", [percent, lambda x: element("rect", x=x), lambda x: path([(x, 0)])]
)
def test_a_picture_holds_only_finite_numbers(write, value):
    with pytest.raises(ValueError, match="no place for"):
        write(value)

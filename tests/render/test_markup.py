"""Markup: text stays text, whatever it holds."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdtree.render.markup import Markup, escaped, joined, tag


@given(st.text(max_size=30))
def test_any_text_is_read_back_from_elements_and_attributes(text):
    element = ET.fromstring(tag("p", text, title=text))
    assert element.get("title") == (element.text or "")
    assert list(element) == []
    if text.isprintable():
        assert text == (element.text or "")


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


def test_markup_is_not_escaped_again():
    assert tag("p", tag("b", "&"), Markup("<i></i>")) == "<p><b>&amp;</b><i></i></p>"
    assert escaped(escaped("&")) == "&amp;"


def test_markup_and_text_added_are_text():
    """So a slip makes ugly pages, and never open doors."""
    assert tag("p", tag("b", "") + "<script>").count("<script>") == 0


def test_none_is_left_out():
    assert tag("p", None, "a", None, class_=None, title="") == '<p title="">a</p>'
    assert joined(["a", None, "<"], ", ") == "a, &lt;"


def test_names_of_attributes_are_those_of_html():
    made = tag("p", class_="x", aria_label="y", http_equiv="z", viewBox="0 0 1 1", for_="w")
    assert made == '<p class="x" aria-label="y" http-equiv="z" viewBox="0 0 1 1" for="w"></p>'


def test_elements_without_an_end_have_none():
    assert tag("meta", charset="utf-8") == '<meta charset="utf-8"/>'
    assert tag("rect") == "<rect></rect>"


@pytest.mark.parametrize(
    ("value", "written"),
    [(1 / 3, "0.33"), (-0.001, "0"), (5, "5"), (100.0, "100"), (12345.678, "12345.68")],
)
def test_numbers_are_short(value, written):
    assert tag("p", x=value) == f'<p x="{written}"></p>'


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_picture_holds_no_number_that_is_none(value):
    with pytest.raises(ValueError, match="no place for"):
        tag("circle", cx=value)

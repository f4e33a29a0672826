"""Correlation flow: layers in order, members side by side, and only trusted alphas filled."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mdtree.render.curves import flow
from tests.support.reports import HOSTILE, detail, grid, parsed, points_of


def drawn(*lines):
    table = detail("member", "layer", "kind", "state", "alpha", lines=lines)
    figure = flow(replace(grid()[0], details={"spectrum": table}))
    return None if figure is None else parsed(figure.drawing)


def test_the_line_goes_through_the_means_of_the_members():
    picture = drawn(
        ("a", "first", "dense", "2 to 6", 2.0),
        ("a", "second", "dense", "2 to 6", 8.0),
        ("b", "first", "dense", "2 to 6", 4.0),
        ("b", "second", "dense", "2 to 6", 6.0),
    )
    assert points_of(picture.one("path", class_="curved")) == [(25, 62.5), (75, 12.5)]
    assert [dot["cy"] for dot in picture.find("circle")] == ["75%", "50%", "0%", "25%"]


def test_the_band_is_alpha_from_2_to_6():
    picture = drawn(("a", "x", "dense", "2 to 6", 2.0), ("a", "y", "dense", "2 to 6", 8.0))
    band = picture.one("rect")
    assert (band["y"], band["height"]) == ("25%", "50%")


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ("2 to 6", "on"),
        ("over-trained", "on"),
        ("under-trained", "on"),
        ("random-like", "hollow"),
        ("poorly fit", "hollow"),
        ("trap", "hollow"),
        ("of tomorrow", "hollow"),
    ],
)
def test_an_alpha_that_tells_nothing_is_hollow(state, kind):
    picture = drawn(("a", "x", "dense", state, 3.0), ("a", "y", "dense", state, 3.0))
    assert [dot["class"] for dot in picture.find("circle")] == [kind, kind]
    assert picture.find("circle")[0].text == f"x, a: alpha 3.00, {state}"


def test_a_huge_alpha_is_on_the_edge_and_the_axis_says_so():
    picture = drawn(("a", "x", "dense", "2 to 6", 99.0), ("a", "y", "dense", "2 to 6", 3.0))
    assert picture.find("circle")[0]["cy"] == "0%"
    assert "12 and more on the upper edge" in picture.text


def test_embeddings_and_layers_without_alpha_are_left_out():
    lines = [("a", f"l{n}", "dense", "2 to 6", 3.0) for n in range(3)]
    lines += [
        ("a", "words", "embedding", "2 to 6", 9.0),
        ("a", "bias", "dense", "no spectrum", None),
    ]
    assert len(drawn(*lines).find("circle")) == 3


@pytest.mark.parametrize("count", [2, 7, 8, 500])
def test_few_layers_are_numbered(count):
    picture = drawn(*((("a", f"l{n}", "dense", "2 to 6", 3.0)) for n in range(count)))
    ticks = [text.text for text in picture.find("text", class_="tick centred")]
    assert ticks[0] == "1"
    assert 2 <= len(ticks) <= 7


def test_one_layer_has_no_flow():
    assert drawn(("a", "x", "dense", "2 to 6", 3.0)) is None
    assert flow(grid()[0]) is None


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_text(name):
    picture = drawn((name, name, name, name, 3.0), (name, "y", "dense", "2 to 6", 3.0))
    tags = {"svg", "title", "line", "text", "path", "circle", "rect"}
    assert {element.tag for element in picture.find()} == tags
